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

from interlock.cli.application import application
from interlock.cli.exits import Exit
from interlock.cli.terminal import note, say, without_reader
from interlock.ports import InfrastructureError, UsageError, machine_trouble

if TYPE_CHECKING:
    from interlock.bootstrap import Application
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
class _Asked:
    """What the user asked for. Empty: every pipeline, every stage, the working tree, HEAD."""

    name: str
    stages: tuple[str, ...]
    commit: str
    base: str
    junit: Path | None = None
    sarif: Path | None = None
    inside: Path | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """A gate with its result. `status` is passed, failed, errored or skipped. No pipeline: all of them together."""

    pipeline: str
    checked: Checked

    @property
    def status(self) -> str:
        return self.checked.judgement.status.value if self.checked.judgement else "skipped"


@dataclass(slots=True)
class _Shown:
    """`findings` are those that were shown, with the gate that had them: nothing is shown twice."""

    several: bool
    findings: dict[tuple[Finding, ...], str] = field(default_factory=dict)


@click.command()
@click.option("-p", "--pipeline", "name", metavar="NAME|PATH", default="", help="One of them; without it all.")
@click.option("--stage", "stages", metavar="S", multiple=True, help="The gates of this stage, its scope included.")
@click.option("--all", "every", is_flag=True, help="The gates of every stage. That is the default.")
@click.option("--commit", metavar="C", default="", help="Judge this commit; without it the working tree as it is.")
@click.option(
    "--base", metavar="REF", default="", help="Compare with REF and read the pipeline there; without it HEAD."
)
@click.option(
    "--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write the results to FILE as JUnit XML."
)
@click.option("--sarif", type=click.Path(path_type=Path), metavar="FILE", help="Write the findings to FILE as SARIF.")
@click.option("--inside", type=click.Path(path_type=Path), hidden=True, help="As an agent asks, in its own checkout.")
@click.option("--json", "json", is_flag=True, help="As JSON on stdout.")
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
    """Ask the gates outside any run. Exit code 0: none said no; 1: one did; 5: one could not decide.

    Under GitHub Actions findings become annotations too, and the job gets a summary.
    """
    if stages and every:
        raise UsageError("--stage and --all exclude each other: give one of them")
    asked = _Asked(name, stages, commit, base, junit, sarif, inside)
    with application() as app:
        compared = compare(app, asked.base, asked.commit, inside=inside is not None)
        told: list[_Told] = []
        with _pipelines(app, asked, compared.base) as pipelines:
            shown = _Shown(several=len(pipelines) > 1)
            for one in _ask(app, pipelines, asked, compared):
                told.append(one)
                if not json:
                    with without_reader():
                        _show(app, one, shown)
        with without_reader():
            if json:
                _as_json(told, compared)
            else:
                say(_skipped(told) if shown.several else ())
                note(_summary(told))
        _report(app, asked, told)
    return _code(told)


@contextmanager
def _pipelines(app: Application, asked: _Asked, base: Base) -> Iterator[list[Pipeline]]:
    """From where the user stands; from the base if one is named, so that a change cannot loosen its own gates."""
    from interlock.cli.pipelines import lines, load_all
    from interlock.pipelinefile import find_pipelines
    from interlock.ports import CheckoutSpec

    if asked.inside is not None:
        yield [_rehearsal(asked.inside).pipeline]
        return
    if not asked.base:
        loaded = load_all(app.repository, asked.name)
        note(line for one in loaded for line in lines(one.findings))
        yield _with_stages(loaded, asked)
        return
    with app.workspaces.clean_checkout(base.commit, base.commit, CheckoutSpec()) as place:
        if not find_pipelines(place.tree):
            raise UsageError(f"{asked.base} has no pipeline, and `check --base` reads it there: commit one first")
        yield _with_stages(load_all(place.tree, asked.name), asked)


def _with_stages(loaded: list[Loaded], asked: _Asked) -> list[Pipeline]:
    """Those that have one of the stages asked for. Raises UsageError for a stage that none has."""
    pipelines = [one.pipeline for one in loaded]
    known = {stage.id for pipeline in pipelines for stage in pipeline.stages}
    for name in asked.stages:
        if name not in known:
            raise UsageError(f"--stage {name}: no such stage, there are {', '.join(sorted(known))}")
    if not asked.stages:
        return pipelines
    wanted = set(asked.stages)
    return [pipeline for pipeline in pipelines if wanted & {stage.id for stage in pipeline.stages}]


def _ask(app: Application, pipelines: list[Pipeline], asked: _Asked, compared: Compared) -> Iterator[_Told]:
    requests: list[CheckRequest] = []
    put_back: dict[str, tuple[str, ...]] = {}
    for pipeline in pipelines:
        app.workspaces.check_contents(compared.judged, pipeline.carry)
        request = _request(app, pipeline, asked, compared)
        if asked.base and not compared.conflicts:
            request, put_back[pipeline.name] = app.service.with_judges_of_base(request)
        requests.append(request)
    note(_put_back(asked.base, put_back))
    proposal = app.service.check_proposal(requests)
    if proposal is not None:
        yield _Told(pipelines[0].name if len(pipelines) == 1 else "", proposal)
    for request in requests[:1] if compared.conflicts else requests:  # what cannot be merged is so for all of them
        of_all = bool(compared.conflicts) and len(requests) > 1
        for checked in app.service.check(request):
            yield _Told("" if of_all else request.pipeline.name, checked)


def _put_back(base: str, paths_of: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """A line for each set of files, with the pipelines that it holds for where it is not all of them."""
    from interlock.cli.words import safe
    from interlock.service.formats import count

    for paths in dict.fromkeys(paths for paths in paths_of.values() if paths):
        names = [name for name, own in paths_of.items() if own == paths]
        where = "" if len(names) == len(paths_of) else f" (for {', '.join(names)})"
        shown = ", ".join(safe(path) for path in paths[:5]) + (", ..." if len(paths) > 5 else "")
        yield f"{count(len(paths), 'protected file')} judged as in {safe(base)}, not as proposed{where}: {shown}"


def _request(app: Application, pipeline: Pipeline, asked: _Asked, compared: Compared) -> CheckRequest:
    from interlock.service import CheckRequest

    base, judged = compared.base, compared.judged
    known = [stage.id for stage in pipeline.ordered()]
    request = CheckRequest(
        pipeline=pipeline,
        stages=tuple(name for name in known if not asked.stages or name in asked.stages),
        commit=judged.commit,
        tree=judged.tree,
        base_commit=base.commit,
        base_tree=base.tree,
        environ=tuple(app.environ.items()),
        scoped=bool(asked.stages),
        conflicts=compared.conflicts,
    )
    if asked.inside is None:
        return request
    given = _rehearsal(asked.inside)
    return replace(
        request, stages=(given.stage,), task=given.task, inputs=given.inputs, scoped=True, inside=True,
        conflicts=given.conflicts, undecided=tuple(_with_sides(app, item) for item in given.undecided),
    )  # fmt: skip


def _with_sides(app: Application, item: Undecided) -> Undecided:
    """With the commits of what was merged, which are branches `from/STAGE` of an agent's checkout."""
    known = (replace(side, commit=app.workspaces.import_base(f"from/{side.stage}").commit) for side in item.sides)
    return replace(item, sides=tuple(known))


def _rehearsal(path: Path) -> Rehearsal:
    from interlock.execution.rehearsal import decode_rehearsal

    try:
        return decode_rehearsal(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise machine_trouble(error) or UsageError(f"{path}: it cannot be read: {error}") from error


def _show(app: Application, told: _Told, shown: _Shown) -> None:
    if shown.several and told.status == "skipped":
        return
    judgement = told.checked.judgement
    findings = judgement.findings if judgement is not None and told.status != "passed" else ()
    before = shown.findings.get(findings, "") if findings else ""
    say(_line(told, several=shown.several) + (f": as {before}" if before else ""))
    if judgement is None or told.status == "passed" or before:
        return
    shown.findings[findings] = _about(told, several=shown.several)
    say(_findings(told))
    if not told.checked.gate.held_out:
        note(f"    log: {app.blobs.path(kept.digest)}" for kept in judgement.evidence if kept.name == "log")


def _about(told: _Told, *, several: bool) -> str:
    name = f"{told.pipeline}: " if several and told.pipeline else ""
    return f"{name}{told.checked.stage}/{told.checked.gate.id}"


def _line(told: _Told, *, several: bool) -> str:
    from interlock.cli.words import MARKS

    judgement = told.checked.judgement
    about = _about(told, several=several)
    if judgement is None:
        return f"{click.style('-', fg='bright_black')} {about} skipped: {told.checked.skipped}"
    mark, tone = MARKS[judgement.status]
    known = (
        ("cached", judgement.cached),
        ("flaky", judgement.flaky),
        ("it failed before your change as well", told.checked.failed_before),
        (f"allowed by {', '.join(told.checked.allowed_by)}", bool(told.checked.allowed_by) and not told.pipeline),
    )
    traits = [word for word, holds in known if holds]
    return f"{click.style(mark, fg=tone)} {about} {told.status}" + (f" ({', '.join(traits)})" if traits else "")


def _skipped(told: list[_Told]) -> Iterator[str]:
    """All that was skipped, in one line."""
    reasons = Counter(one.checked.skipped for one in told if one.status == "skipped")
    if reasons:
        said = "; ".join(f"{why} ({number})" for why, number in reasons.items())
        yield f"{click.style('-', fg='bright_black')} {reasons.total()} skipped: {said}"


def _findings(told: _Told) -> Iterator[str]:
    from interlock.service.formats import count

    findings = told.checked.judgement.findings if told.checked.judgement else ()
    hidden = sum(finding.secret for finding in findings) if os.environ.get("CI") else 0  # there others read it, too
    if hidden:
        yield f"    {count(hidden, 'finding')} held out"
        findings = tuple(finding for finding in findings if not finding.secret)
    for finding in findings[:FINDINGS_SHOWN_MAX]:
        yield from _finding(finding)
    if len(findings) > FINDINGS_SHOWN_MAX:
        yield f"    and {count(len(findings) - FINDINGS_SHOWN_MAX, 'finding')} more: --json has all"


def _finding(finding: Finding) -> Iterator[str]:
    """As compilers write it where the place is known, so that editors find it; then what else was said."""
    from interlock.cli.words import place, safe
    from interlock.core.text import plain, without_place

    where = place(finding)
    said = without_place(finding.message, finding.file, finding.line)
    first, *others = plain(said, 2_000).splitlines() or [""]
    yield f"    {where + ': ' if where else ''}{safe(finding.rule, 100)}: {first}"
    yield from (f"        {line}" for line in others[:LINES_SHOWN_MAX])


def _summary(told: list[_Told]) -> str:
    from interlock.service.formats import count

    numbers = {name: sum(one.status == name for one in told) for name in ("passed", "failed", "errored", "skipped")}
    said = ", ".join(f"{number} {name}" for name, number in numbers.items() if number)
    return f"{count(len(told), 'gate')}: {said}" if told else "no gates: nothing was judged"


def _code(told: list[_Told]) -> Exit:
    statuses = {one.status for one in told}
    if "failed" in statuses:
        return Exit.NO
    return Exit.INFRASTRUCTURE if "errored" in statuses else Exit.ACCEPTED


def _report(app: Application, asked: _Asked, told: list[_Told]) -> None:
    """For machines: the files that were asked for, and what GitHub Actions shows."""
    from interlock.service import reports

    results = [_result(one) for one in told]
    for path, render in ((asked.junit, reports.junit), (asked.sarif, reports.sarif)):
        if path is not None:
            _write(path, render(results), "w")
    if app.environ.get("GITHUB_ACTIONS") == "true":
        note(reports.workflow_commands(results))
        if page := app.environ.get("GITHUB_STEP_SUMMARY"):
            _write(Path(page), reports.summary(results), "a")


def _result(told: _Told) -> Result:
    from interlock.service.reports import Result

    checked = told.checked
    findings = checked.judgement.findings if checked.judgement else ()
    return Result(told.pipeline, checked.stage, checked.gate.id, told.status, checked.skipped, findings)


def _write(path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise InfrastructureError(f"{path}: the report could not be written: {error.strerror}") from error


def _as_json(told: list[_Told], compared: Compared) -> None:
    from interlock.service.formats import document

    base, judged = compared.base, compared.judged
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
        for one in told
    ]
    commit = compared.proposed.commit
    say(document(base=base.commit, commit=commit, tree=judged.tree, passed=_code(told) == 0, gates=gates))


# --- what is compared -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """`judged` is `proposed`, or its merge with the base; `conflicts` are the paths that keep it from being merged."""

    base: Base
    proposed: Base
    judged: Base
    conflicts: tuple[str, ...] = ()


def compare(app: Application, base: str, commit: str, *, inside: bool) -> Compared:
    """All of it in the store. Only a named base is merged; an attempt always stands on its input. Raises UsageError."""
    onto = app.workspaces.import_base(base or "HEAD")
    proposed = app.workspaces.import_base(commit) if commit else app.workspaces.import_base(worktree=True)
    if not base or inside:
        return Compared(onto, proposed, proposed)
    merged = app.workspaces.merge_proposal(onto, proposed)
    if merged.commit == proposed.commit:
        return Compared(onto, proposed, proposed)
    if not merged.conflicts:
        note(_merged(onto, proposed))
    return Compared(onto, proposed, replace(proposed, commit=merged.commit, tree=merged.tree), merged.conflicts)


def _merged(onto: Base, proposed: Base) -> str:
    from interlock.cli.words import safe

    return f"{safe(proposed.ref)} is behind {safe(onto.ref)}: their merge is judged, as it would be there"
