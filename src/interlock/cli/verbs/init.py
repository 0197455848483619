"""`interlock init`: writes pipelines that fit the repository, asks their gates once, and writes down what it learns.

Rule: asking the gates undoes nothing that was written; a failure is reported, and the files stay.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application, sandbox_for_checks
from interlock.cli.terminal import note, say
from interlock.ports import InterlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from interlock.application import Application
    from interlock.core.events import Finding
    from interlock.core.pipeline import Pipeline
    from interlock.gates.reports.junit import RanTest
    from interlock.pipelinefile.scaffold import GateTrial, GateTrials, InitOptions, Scaffold
    from interlock.ports import Judgement
    from interlock.service import Checked

PROVE_S = 900  # for all gates together; what takes longer is stopped
LOG_READ_MAX = 20_000  # bytes
PIPELINE = "quick"  # `feature` has the same gates
FAILED_SHOWN_MAX = 3
_ERROR_LINE = re.compile(
    r"^\W{0,4}(?:E\s+)?(?:npm )?(?:error|ERR!?|fatal)\b|(?<!new )Error\b|No module named|not found|No matching", re.I
)


@dataclass(frozen=True, slots=True)
class GateProof:
    """`learned` is for the pipeline files. `green`: every gate that is on passes with it. `why`: why not all gates were
    asked. `blocked`: the gates that no attempt can pass now."""

    learned: GateTrials
    green: bool
    why: str = ""
    blocked: tuple[str, ...] = ()


@click.command()
@click.option("--force", is_flag=True, help="Replace files that differ.")
@click.option("--agent", metavar="NAME", default="", help="The agent to use; default: the first that is found.")
@click.option("--reviewer", metavar="NAME", default="", help="The agent that reviews in feature; `none` for no review.")
@click.option("--no-verify", is_flag=True, help="Write the files without running setup and gates.")
@click.option("--json", "json", is_flag=True, help="Print JSON on stdout.")
def init(force: bool, agent: str, reviewer: str, no_verify: bool, json: bool) -> int:
    """Find languages, tools and agents, and write the pipelines `feature`, `quick` and `chore` to .interlock/.

    Then run setup and gates once on the code as it is, and write the result into the pipelines: which tests fail
    today, and which gates cannot run.
    """
    from interlock.agents.probe import logged_in
    from interlock.cli.pipelines import repository_here
    from interlock.cli.words import safe
    from interlock.pipelinefile.scaffold import InitOptions, plan_files, write
    from interlock.service.formats import document

    root = repository_here()
    known = InitOptions(agent, reviewer, logins=logged_in(os.environ), tag=_newest_tag(root))
    plan = partial(plan_files, root, os.environ, partial(shutil.which, path=os.environ.get("PATH")))
    scaffold = plan(known)
    written = [str(path.relative_to(root)) for path in write(scaffold, root, force)]
    found = scaffold.found
    if not json:
        note(f"found: {', '.join((*found.languages, *found.folders, *found.agents)) or 'no known language, no agent'}")
        note(f"agent: {line}" for line in _agent_lines(scaffold.agents))
        say(safe(name) for name in written)
        note(f"note: {safe(line, 500)}" for line in scaffold.notes)
    proved = _prove_files(root, plan, known, scaffold) if written and not no_verify else None
    if json:
        say(document(written=written, found=found, notes=scaffold.notes, proved=proved))
        return 0
    if not written:
        note("nothing to write: all files exist")
    note("next:")
    note(f"  {line}" for line in _next_steps(scaffold, proved, is_new=bool(written)))
    return 0


def _agent_lines(names: Sequence[str]) -> Iterator[str]:
    """The version and access of the agents that the pipelines use, found without spending."""
    from interlock.agents.probe import probe

    for one in probe(os.environ, names):
        if one.path:
            yield f"{one.name} {one.version}".rstrip() + f", {one.access or 'no key and no login seen'}"


def _next_steps(scaffold: Scaffold, proved: GateProof | None, *, is_new: bool) -> Iterator[str]:
    """What remains to be done, in order."""
    if scaffold.unfilled:
        yield "add the command that starts your coding agent to .interlock/common.yaml, under `agents`"
    if proved and proved.blocked:
        yield f"fix {', '.join(proved.blocked)} as shown above, until this passes: interlock check -p quick"
    elif is_new and not (proved and proved.green):
        yield "run the gates on the code as it is: interlock check -p quick"
    if is_new:
        yield 'git add .interlock && git commit -m "Interlock pipelines"'
    yield 'interlock run -p quick -t "the task"'


def _newest_tag(root: Path) -> str:
    """Empty if there is none."""
    from interlock.process import capture, scrubbed

    argv = ["git", "describe", "--tags", "--abbrev=0"]
    done = capture(argv, env=scrubbed(os.environ), cwd=root)
    return done.out.decode("utf-8", "replace").strip() if done.code == 0 else ""


def _prove_files(
    root: Path, plan: Callable[[InitOptions], Scaffold], known: InitOptions, scaffold: Scaffold
) -> GateProof:
    """Ask the gates, and write what is learned into the files that nobody has changed since."""
    from dataclasses import replace

    from interlock.pipelinefile.scaffold import GateTrials, write
    from interlock.ports import InterlockError

    note("setup and gates run once on the code as it is; --no-verify skips this, Ctrl-C ends it and keeps the files")
    try:
        with application() as app:
            proved = prove(app, scaffold.tests)
    except InterlockError as error:  # such as the state folder: the files stay good
        proved = GateProof(GateTrials(), green=False, why=str(error))
    if proved.why:
        note(f"not all gates ran: {proved.why}: `interlock check` runs them again")
    learned = plan(replace(known, learned=proved.learned))
    wanted = dict(learned.files)
    unchanged = [name for name, content in scaffold.files if (root / name).read_bytes() == content.encode()]
    files = tuple((name, wanted[name]) for name in unchanged if name in wanted)
    for path in write(replace(learned, files=files), root, force=True):
        note(f"recorded in {path.relative_to(root)}")
    return proved


# --- asking the gates -----------------------------------------------------------------------------


def prove(app: Application, tests: frozenset[str]) -> GateProof:
    """Run setup and gates on the working tree; `tests` are the gates that run tests. Ctrl-C ends this alone."""
    from interlock.cli.words import safe
    from interlock.pipelinefile.scaffold import GateTrials

    gates: list[GateTrial] = []
    blocked: list[str] = []
    shown: dict[tuple[Finding, ...], str] = {}
    why = ""
    stop = threading.Event()
    alarm = threading.Timer(PROVE_S, stop.set)
    alarm.daemon = True
    alarm.start()
    try:
        for checked in _check_gates(app, stop):
            if (learned := _learn(app, checked, tests, shown)) is not None:
                gates.append(learned)
                off = learned.is_off(tests=learned.id in tests)
                blocked += [] if learned.failing or learned.unheeded or off else [learned.id]
            if stop.is_set():
                why = f"it took longer than {PROVE_S // 60} minutes"
                break
    except KeyboardInterrupt:
        why = "stopped"
    except InterlockError as error:
        why = safe(str(error), 500)
    finally:
        alarm.cancel()
    return GateProof(GateTrials(tuple(gates)), green=not why and not blocked, why=why, blocked=tuple(blocked))


def _check_gates(app: Application, stop: threading.Event) -> Iterator[Checked]:
    from interlock.pipelinefile import load_pipeline, locate_pipeline
    from interlock.service import CheckRequest

    pipeline = _with_short_setup(load_pipeline(locate_pipeline(app.repository, PIPELINE), app.repository).pipeline)
    base = app.workspaces.import_base(worktree=True)
    app.workspaces.check_contents(base, pipeline.carry)
    stages = tuple(stage.id for stage in pipeline.ordered())
    request = CheckRequest(
        pipeline, stages, base.commit, base.tree, base.commit, base.tree, environ=tuple(app.environ.items()),
        sandbox=sandbox_for_checks(app),
    )  # fmt: skip
    return app.service.check(request, stop)


def _with_short_setup(pipeline: Pipeline) -> Pipeline:
    return replace(
        pipeline, setup=tuple(replace(each, timeout_s=min(each.timeout_s, PROVE_S)) for each in pipeline.setup)
    )


def _learn(
    app: Application, checked: Checked, tests: frozenset[str], shown: dict[tuple[Finding, ...], str]
) -> GateTrial | None:
    """Print the result of a gate, and return what is learned from it; None if it passed or was not asked. `shown` are
    findings that were printed, with their gate: the same ones are not printed twice."""
    from interlock.cli.words import MARKS, safe
    from interlock.core.events import VerdictStatus
    from interlock.pipelinefile.scaffold import GateTrial, missing_dependencies
    from interlock.service.formats import count

    judgement = checked.judgement
    if judgement is None:
        return None
    mark, tone = MARKS[judgement.status]
    about = f"{click.style(mark, fg=tone)} {checked.gate.id}"
    ran = _tests(app, checked, judgement)
    passed = sum(test.status == "passed" for test in ran)
    if judgement.status is VerdictStatus.PASSED:
        note(f"{about} passed" + (f" ({count(passed, 'test')})" if ran else ""))
        return None
    if checked.gate.breaks and {finding.rule for finding in judgement.findings} == {"canary"}:
        return _broken_tests_pass(checked, tuple(finding.file for finding in judgement.findings), about)
    failing = tuple(dict.fromkeys(test.id for test in ran if test.status == "failed"))
    if failing and passed and all(finding.rule == "test_failed" for finding in judgement.findings):
        names = ", ".join(safe(name, 100) for name in failing[:FAILED_SHOWN_MAX])
        more = " ..." if len(failing) > FAILED_SHOWN_MAX else ""
        number = f"{len(failing)} of {count(len(ran), 'test')}"
        note(f"{about} failed: {number} {'fails' if len(failing) == 1 else 'fail'} on the code as it is: {names}{more}")
        note("    these may keep failing (`baseline: no_worse`), and no other test may fail")
        messages = "\n".join(test.message for test in ran if test.status == "failed")
        note(f"    {line}" for line in missing_dependencies(app.repository, messages))
        return GateTrial(checked.gate.id, failing)
    can_run = judgement.status is VerdictStatus.FAILED and bool(passed or not ran)
    reason = _reason(judgement)
    before = (
        shown.setdefault(judgement.findings, checked.gate.id) if judgement.findings and not can_run else checked.gate.id
    )
    again = before != checked.gate.id
    said = f"as {before}" if again else reason
    note(f"{about} {'fails' if can_run else 'CANNOT RUN'} on the code as it is: {said}")
    learned = GateTrial(checked.gate.id, (), reason, can_run)
    if again:
        return learned
    note(f"    {line}" for line in _hints(app, judgement, learned, tests=learned.id in tests))
    return learned


def _broken_tests_pass(checked: Checked, paths: tuple[str, ...], about: str) -> GateTrial:
    """A gate that passes although these test files are broken. The other test files do break it."""
    from interlock.cli.words import safe
    from interlock.pipelinefile.scaffold import GateTrial

    heeds = len(paths) < len(checked.gate.breaks)
    broken = ", ".join(safe(path, 100) for path in paths)
    text = "is judged only by its exit code: it also passes if"
    note(f"{about} {'passed, and ' if heeds else ''}{text} {broken} {'is' if len(paths) == 1 else 'are'} broken")
    return GateTrial(checked.gate.id, heeds=heeds, unheeded=paths)


def _tests(app: Application, checked: Checked, judgement: Judgement) -> tuple[RanTest, ...]:
    from interlock.core.pipeline import Report
    from interlock.gates.canary import own_tests
    from interlock.gates.reports import Unreadable, junit

    digest = next(
        (item.digest for item in judgement.evidence if item.name == Report.JUNIT or item.name == "report"), ""
    )
    try:
        contents = junit.split(app.blobs.get(digest)) if digest else ()
        return own_tests(contents, is_marked=bool(checked.gate.canary)) if contents else ()
    except Unreadable:  # of another format
        return ()


def _reason(judgement: Judgement) -> str:
    """The most useful line of the message of a failed setup or gate."""
    from interlock.cli.words import safe

    if not judgement.findings:
        return "no reason given"
    message = judgement.findings[0].message.replace(
        " (it failed before your change as well)", ""
    )  # init changed nothing
    first, *others = message.strip().splitlines() or [""]
    more = [line.strip() for line in [line for line in others if _ERROR_LINE.search(line)][:1] or others[-1:]]
    what = f"{first.partition(':')[0]} failed" if more and first.startswith(("setup: ", "settle: ")) else first
    return safe(": ".join([what, *more]), 300)


def _hints(app: Application, judgement: Judgement, learned: GateTrial, *, tests: bool) -> Iterator[str]:
    """What to do about a gate that fails."""
    from interlock.pipelinefile.scaffold import missing_dependencies

    output = "\n".join(finding.message for finding in judgement.findings[:50])
    log = next((item.digest for item in judgement.evidence if item.name == "log"), "")
    if log:
        output += app.blobs.get(log)[-LOG_READ_MAX:].decode("utf-8", "replace")
    found = tuple(missing_dependencies(app.repository, output))
    yield from found
    if learned.is_off(tests=tests):
        yield "it is written, but turned off: enable it in .interlock/pipelines/ when it passes"
    elif learned.can_run:
        yield "no attempt can pass it until this is fixed: fix it first, or remove it from .interlock/pipelines/"
    elif not found:
        yield "no run can start until this is fixed: see `setup` in .interlock/common.yaml, and .interlock/pipelines/"
    if log:
        yield f"log: {app.blobs.path(log)}"
