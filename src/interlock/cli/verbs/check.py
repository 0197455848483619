"""`interlock check`: the gates outside any run, for pre-push hooks and CI."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application, sandbox_for_checks
from interlock.cli.exits import Exit
from interlock.cli.terminal import note, say, without_reader
from interlock.ports import InfrastructureError, UsageError, machine_trouble

if TYPE_CHECKING:
    from interlock.application import Application
    from interlock.core.conflicts import Undecided
    from interlock.core.events import Finding
    from interlock.core.pipeline import Pipeline
    from interlock.execution.rehearsal import Rehearsal
    from interlock.pipelinefile import Loaded
    from interlock.service import Checked, CheckRequest
    from interlock.service.reports import Result
    from interlock.workspaces import Base


FINDINGS_SHOWN_MAX = 20  # of a gate; --json has all
LINES_SHOWN_MAX = 8  # of a finding, beyond its first


@dataclass(frozen=True, slots=True)
class _Options:
    """The user's options. Empty: every pipeline, every stage, the working tree, HEAD."""

    name: str
    stages: tuple[str, ...]
    commit: str
    base: str
    junit: Path | None = None
    sarif: Path | None = None
    inside: Path | None = None


@dataclass(frozen=True, slots=True)
class _GateResult:
    """A gate with its result. `status` is passed, failed, errored or skipped. `pipeline` is empty for all together."""

    pipeline: str
    checked: Checked

    @property
    def status(self) -> str:
        return self.checked.judgement.status.value if self.checked.judgement else "skipped"


@dataclass(slots=True)
class _AlreadyShown:
    """`findings` are those that were shown, with their gate: the same ones are not shown twice."""

    several: bool
    findings: dict[tuple[Finding, ...], str] = field(default_factory=dict)


@click.command()
@click.option("-p", "--pipeline", "name", metavar="NAME|PATH", default="", help="One pipeline; default: all.")
@click.option("--stage", "stages", metavar="S", multiple=True, help="Run the gates of this stage, including its scope.")
@click.option("--all", "every", is_flag=True, help="Run the gates of every stage (the default).")
@click.option("--commit", metavar="C", default="", help="Judge this commit; default: the working tree.")
@click.option(
    "--base", metavar="REF", default="", help="Compare with REF and read the pipeline from it; default: HEAD."
)
@click.option(
    "--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write the results to FILE as JUnit XML."
)
@click.option("--sarif", type=click.Path(path_type=Path), metavar="FILE", help="Write the findings to FILE as SARIF.")
@click.option("--inside", type=click.Path(path_type=Path), hidden=True, help="As an agent asks, in its own checkout.")
@click.option("--json", "json", is_flag=True, help="Print JSON on stdout.")
def check(
    name: str,
    stages: tuple[str, ...],
    every: bool,
    commit: str,
    base: str,
    junit: Path | None,
    sarif: Path | None,
    inside: Path | None,
    json: bool,
) -> int:
    """Run the gates without a run. Exit code 0: no gate failed; 1: a gate failed; 5: a gate errored.

    On GitHub Actions, findings also become annotations, and the job gets a summary.
    """
    from interlock.cli.words import safe

    if stages and every:
        raise UsageError("--stage and --all exclude each other: give one of them")
    options = _Options(name, stages, commit, base, junit, sarif, inside)
    with application() as app:
        comparison = _compare(app, options.base, options.commit, inside=inside is not None)
        results: list[_GateResult] = []
        with _pipelines(app, options, comparison.base) as pipelines:
            shown = _AlreadyShown(several=len(pipelines) > 1)
            for one in _results(app, pipelines, options, comparison):
                results.append(one)
                if not json:
                    with without_reader():
                        _print_result(app, one, shown)
        with without_reader():
            if json:
                _as_json(results, comparison)
            else:
                say(_skipped(results) if shown.several else ())
                note(_summary(results))
        note(f"note: {safe(line, 500)}" for line in app.workspaces.removal_notes())
        _write_reports(app, options, results)
    return _code(results)


@contextmanager
def _pipelines(app: Application, options: _Options, base: Base) -> Iterator[list[Pipeline]]:
    """Those of the working tree, or of the base that `--base` names: a change cannot loosen its own gates."""
    from interlock.cli.pipelines import lines, load_all
    from interlock.pipelinefile import find_pipelines
    from interlock.ports import CheckoutSpec

    if options.inside is not None:
        yield [_rehearsal(options.inside).pipeline]
        return
    if not options.base:
        loaded = load_all(app.repository, options.name)
        note(line for one in loaded for line in lines(one.findings))
        yield _with_stages(loaded, options)
        return
    with app.workspaces.clean_checkout(base.commit, base.commit, CheckoutSpec()) as checkout:
        if not find_pipelines(checkout.tree):
            raise UsageError(
                f"{options.base} has no pipeline, but `check --base` reads the pipeline from there: commit one first"
            )
        yield _with_stages(load_all(checkout.tree, options.name), options)


def _with_stages(loaded: list[Loaded], options: _Options) -> list[Pipeline]:
    """Those that have one of the stages of `--stage`. Raises UsageError for a stage that none has."""
    pipelines = [one.pipeline for one in loaded]
    known = {stage.id for pipeline in pipelines for stage in pipeline.stages}
    for name in options.stages:
        if name not in known:
            raise UsageError(f"--stage {name}: no such stage, there are {', '.join(sorted(known))}")
    wanted = set(options.stages or known)
    return [pipeline for pipeline in pipelines if wanted & {stage.id for stage in pipeline.stages}]


def _results(
    app: Application, pipelines: list[Pipeline], options: _Options, comparison: _Comparison
) -> Iterator[_GateResult]:
    requests: list[CheckRequest] = []
    put_back: dict[str, tuple[str, ...]] = {}
    level = sandbox_for_checks(app) if options.inside is None else "none"  # an agent's sandbox is around it
    for pipeline in pipelines:
        app.workspaces.check_contents(comparison.judged, pipeline.carry)
        request = _request(app, pipeline, options, comparison, level)
        if options.base and not comparison.conflicts:
            request, put_back[pipeline.name] = app.service.with_judges_of_base(request)
        requests.append(request)
    note(_restored_lines(options.base, put_back))
    proposal = app.service.check_proposal(requests)
    if proposal is not None:
        yield _GateResult(pipelines[0].name if len(pipelines) == 1 else "", proposal)
    for request in requests[:1] if comparison.conflicts else requests:  # what cannot be merged is the same for all
        of_all = bool(comparison.conflicts) and len(requests) > 1
        for checked in app.service.check(request):
            yield _GateResult("" if of_all else request.pipeline.name, checked)


def _restored_lines(base: str, paths_of: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """A line for each set of files, with its pipelines if it is not for all of them."""
    from interlock.cli.words import safe
    from interlock.service.formats import count

    for paths in dict.fromkeys(paths for paths in paths_of.values() if paths):
        names = [name for name, own in paths_of.items() if own == paths]
        where = "" if len(names) == len(paths_of) else f" (for {', '.join(names)})"
        shown = ", ".join(safe(path) for path in paths[:5]) + (", ..." if len(paths) > 5 else "")
        yield f"{count(len(paths), 'protected file')} judged as in {safe(base)}, not as proposed{where}: {shown}"


def _request(
    app: Application, pipeline: Pipeline, options: _Options, comparison: _Comparison, level: str
) -> CheckRequest:
    from interlock.service import CheckRequest

    base, judged = comparison.base, comparison.judged
    known = [stage.id for stage in pipeline.ordered()]
    request = CheckRequest(
        pipeline=pipeline,
        stages=tuple(name for name in known if not options.stages or name in options.stages),
        commit=judged.commit,
        tree=judged.tree,
        base_commit=base.commit,
        base_tree=base.tree,
        environ=tuple(app.environ.items()),
        scoped=bool(options.stages),
        conflicts=comparison.conflicts,
        sandbox=level,
    )
    if options.inside is None:
        return request
    given = _rehearsal(options.inside)
    return replace(
        request, stages=(given.stage,), task=given.task, inputs=given.inputs, scoped=True, inside=True,
        conflicts=given.conflicts, undecided=tuple(_with_sides(app, item) for item in given.undecided),
    )  # fmt: skip


def _with_sides(app: Application, item: Undecided) -> Undecided:
    """With the commits of the merged stages, which are branches `from/STAGE` in an agent's checkout."""
    known = (replace(side, commit=app.workspaces.import_base(f"from/{side.stage}").commit) for side in item.sides)
    return replace(item, sides=tuple(known))


def _rehearsal(path: Path) -> Rehearsal:
    from interlock.execution.rehearsal import decode_rehearsal

    try:
        return decode_rehearsal(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise machine_trouble(error) or UsageError(f"{path}: cannot be read: {error}") from error


def _print_result(app: Application, result: _GateResult, shown: _AlreadyShown) -> None:
    from interlock.cli.words import safe
    from interlock.readmodel.reasons import about_command

    if shown.several and result.status == "skipped":
        return
    judgement = result.checked.judgement
    findings = judgement.findings if judgement is not None and result.status != "passed" else ()
    before = shown.findings.get(findings, "") if findings else ""
    say(_line(result, several=shown.several) + (f": as {before}" if before else ""))
    if result.status == "passed" and (said := about_command(judgement.findings if judgement else ())):
        say(f"    note: {safe(said, 2_000)}")
    if judgement is None or result.status == "passed" or before:
        return
    shown.findings[findings] = _about(result, several=shown.several)
    say(_findings(result))
    if not result.checked.gate.held_out:
        note(f"    log: {app.blobs.path(item.digest)}" for item in judgement.evidence if item.name == "log")


def _about(result: _GateResult, *, several: bool) -> str:
    name = f"{result.pipeline}: " if several and result.pipeline else ""
    return f"{name}{result.checked.stage}/{result.checked.gate.id}"


def _line(result: _GateResult, *, several: bool) -> str:
    from interlock.cli.words import MARKS

    judgement = result.checked.judgement
    about = _about(result, several=several)
    if judgement is None:
        return f"{click.style('-', fg='bright_black')} {about} skipped: {result.checked.skipped}"
    mark, tone = MARKS[judgement.status]
    traits = list(result.checked.traits(allowed=not result.pipeline))
    return f"{click.style(mark, fg=tone)} {about} {result.status}" + (f" ({', '.join(traits)})" if traits else "")


def _skipped(results: list[_GateResult]) -> Iterator[str]:
    """All skipped gates in one line."""
    reasons = Counter(one.checked.skipped for one in results if one.status == "skipped")
    if reasons:
        text = "; ".join(f"{why} ({number})" for why, number in reasons.items())
        yield f"{click.style('-', fg='bright_black')} {reasons.total()} skipped: {text}"


def _findings(result: _GateResult) -> Iterator[str]:
    from interlock.service.formats import count

    findings = result.checked.judgement.findings if result.checked.judgement else ()
    hidden = sum(finding.secret for finding in findings) if os.environ.get("CI") else 0  # others read the log of CI
    if hidden:
        yield f"    {count(hidden, 'finding')} held out"
        findings = tuple(finding for finding in findings if not finding.secret)
    for finding in findings[:FINDINGS_SHOWN_MAX]:
        yield from _finding(finding)
    if len(findings) > FINDINGS_SHOWN_MAX:
        yield f"    and {count(len(findings) - FINDINGS_SHOWN_MAX, 'finding')} more: --json shows all"


def _finding(finding: Finding) -> Iterator[str]:
    """As compilers write it if the place is known, so that editors find it; then the other lines."""
    from interlock.cli.words import place, safe
    from interlock.text.cleaning import plain, without_place

    where = place(finding)
    message = without_place(finding.message, finding.file, finding.line)
    first, *others = plain(message, 2_000).splitlines() or [""]
    yield f"    {where + ': ' if where else ''}{safe(finding.rule, 100)}: {first}"
    yield from (f"        {line}" for line in others[:LINES_SHOWN_MAX])


def _summary(results: list[_GateResult]) -> str:
    from interlock.service.formats import count

    numbers = {name: sum(one.status == name for one in results) for name in ("passed", "failed", "errored", "skipped")}
    text = ", ".join(f"{number} {name}" for name, number in numbers.items() if number)
    return f"{count(len(results), 'gate')}: {text}" if results else "no gates: nothing was checked"


def _code(results: list[_GateResult]) -> Exit:
    statuses = {one.status for one in results}
    if "failed" in statuses:
        return Exit.NO
    return Exit.INFRASTRUCTURE if "errored" in statuses else Exit.ACCEPTED


def _write_reports(app: Application, options: _Options, results: list[_GateResult]) -> None:
    """For other tools: the files of `--junit` and `--sarif`, and what GitHub Actions shows."""
    from interlock.service import reports

    rows = [_as_report(one) for one in results]
    for path, render in ((options.junit, reports.junit), (options.sarif, reports.sarif)):
        if path is not None:
            _write(path, render(rows), "w")
    if app.environ.get("GITHUB_ACTIONS") == "true":
        note(reports.workflow_commands(rows))
        if page := app.environ.get("GITHUB_STEP_SUMMARY"):
            _write(Path(page), reports.summary(rows), "a")


def _as_report(result: _GateResult) -> Result:
    from interlock.service.reports import Result

    checked = result.checked
    findings = checked.judgement.findings if checked.judgement else ()
    return Result(result.pipeline, checked.stage, checked.gate.id, result.status, checked.skipped, findings)


def _write(path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise InfrastructureError(f"{path}: the report could not be written: {error.strerror}") from error


def _as_json(results: list[_GateResult], comparison: _Comparison) -> None:
    from interlock.service.formats import document

    base, judged = comparison.base, comparison.judged
    gates = [
        {
            "pipeline": one.pipeline,
            "stage": one.checked.stage,
            "gate": one.checked.gate.id,
            "class": one.checked.gate.gate_class,
            "status": one.status,
            "skipped": one.checked.skipped,
            "failed_before": one.checked.failed_before,
            "allowed_by": one.checked.allowed_by,
            "judgement": one.checked.judgement,
        }
        for one in results
    ]
    commit = comparison.proposed.commit
    say(document(base=base.commit, commit=commit, tree=judged.tree, passed=_code(results) == 0, gates=gates))


# --- base and proposal -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Comparison:
    """`judged` is `proposed`, or its merge with the base; `conflicts` are the paths that prevent the merge."""

    base: Base
    proposed: Base
    judged: Base
    conflicts: tuple[str, ...] = ()


def _compare(app: Application, base: str, commit: str, *, inside: bool) -> _Comparison:
    """Imports both into the store. The proposal is merged only with a named base; an attempt is never merged, since it
    starts from its input. Raises UsageError."""
    onto = app.workspaces.import_base(base or "HEAD")
    proposed = app.workspaces.import_base(commit) if commit else app.workspaces.import_base(worktree=True)
    if not base or inside:
        return _Comparison(onto, proposed, proposed)
    merged = app.workspaces.merge_proposal(onto, proposed)
    if merged.commit == proposed.commit:
        return _Comparison(onto, proposed, proposed)
    if not merged.conflicts:
        from interlock.cli.words import safe

        note(f"{safe(proposed.ref)} is behind {safe(onto.ref)}: the gates judge their merge")
    return _Comparison(onto, proposed, replace(proposed, commit=merged.commit, tree=merged.tree), merged.conflicts)
