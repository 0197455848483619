"""Ask the gates that `init` wrote once, on what is there now, and say what was learned.

Rule: nothing here can undo what was written; whatever goes wrong is told, and the files stay.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from interlock.cli.opened import note
from interlock.cli.words import MARKS, count, safe
from interlock.ports import InterlockError

if TYPE_CHECKING:
    from interlock.bootstrap import Application
    from interlock.core.pipeline import Pipeline
    from interlock.gates.reports.junit import RanTest
    from interlock.pipelinefile.scaffold import GateLearned, Learned
    from interlock.ports import Judgement
    from interlock.service import Checked

PROVE_S = 900  # for all of it; what takes longer is stopped, and told
LOG_READ_MAX = 20_000  # bytes
PIPELINE = "quick"  # its gates are those of feature too
FAILED_SHOWN_MAX = 3
_TELLING = re.compile(
    r"^\W{0,4}(?:E\s+)?(?:npm )?(?:error|ERR!?|fatal)\b|Error\b|No module named|not found|No matching", re.I
)


@dataclass(frozen=True, slots=True)
class GateProof:
    """`learned` is for the pages. `green`: with it, every gate that is on is. `why`: what kept it from being asked to
    the end. `blocked`: the gates that no attempt can pass as things are."""

    learned: Learned
    green: bool
    why: str = ""
    blocked: tuple[str, ...] = ()


def prove(app: Application, tests: frozenset[str]) -> GateProof:
    """Setup and gates on the working tree as it is; `tests` are those that run tests. Ctrl-C ends it, and nothing but
    it."""
    from interlock.pipelinefile.scaffold import Learned

    gates: list[GateLearned] = []
    blocked: list[str] = []
    why = ""
    stop = threading.Event()
    alarm = threading.Timer(PROVE_S, stop.set)
    alarm.daemon = True
    alarm.start()
    try:
        for checked in _asked(app, stop):
            if (learned := _told(app, checked, tests)) is not None:
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
    return GateProof(Learned(tuple(gates)), green=not why and not blocked, why=why, blocked=tuple(blocked))


def _asked(app: Application, stop: threading.Event) -> Iterator[Checked]:
    from interlock.pipelinefile import load_pipeline, locate_pipeline
    from interlock.service import CheckRequest

    pipeline = _bounded(load_pipeline(locate_pipeline(app.repository, PIPELINE), app.repository).pipeline)
    base = app.workspaces.import_base(worktree=True)
    app.workspaces.check_contents(base, pipeline.carry)
    stages = tuple(stage.id for stage in pipeline.ordered())
    request = CheckRequest(
        pipeline, stages, base.commit, base.tree, base.commit, base.tree, environ=tuple(app.environ.items())
    )
    return app.service.check(request, stop)


def _bounded(pipeline: Pipeline) -> Pipeline:
    return replace(
        pipeline, setup=tuple(replace(each, timeout_s=min(each.timeout_s, PROVE_S)) for each in pipeline.setup)
    )


def _told(app: Application, checked: Checked, tests: frozenset[str]) -> GateLearned | None:
    """Says what a gate said, and gives back what is to be kept of it; None where it is green, or was not asked."""
    from interlock.core.events import VerdictStatus
    from interlock.pipelinefile.scaffold import GateLearned, missing_in

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
        return _unheeded(checked, tuple(finding.file for finding in judgement.findings), about)
    failing = tuple(dict.fromkeys(test.id for test in ran if test.status == "failed"))
    if failing and passed and all(finding.rule == "test_failed" for finding in judgement.findings):
        names = ", ".join(safe(name, 100) for name in failing[:FAILED_SHOWN_MAX])
        more = " ..." if len(failing) > FAILED_SHOWN_MAX else ""
        number = f"{len(failing)} of {count(len(ran), 'test')}"
        note(f"{about} failed: {number} {'fails' if len(failing) == 1 else 'fail'} on what is there now: {names}{more}")
        note("    they may go on failing (`baseline: no_worse`), and no other may")
        messages = "\n".join(test.message for test in ran if test.status == "failed")
        note(f"    {line}" for line in missing_in(app.repository, messages))
        return GateLearned(checked.gate.id, failing)
    can_run = judgement.status is VerdictStatus.FAILED and bool(passed or not ran)
    reason = _reason(judgement)
    note(f"{about} {'fails' if can_run else 'CANNOT RUN'} on what is there now: {reason}")
    learned = GateLearned(checked.gate.id, (), reason, can_run)
    note(f"    {line}" for line in _hints(app, judgement, learned, tests=learned.id in tests))
    return learned


def _unheeded(checked: Checked, paths: tuple[str, ...], about: str) -> GateLearned:
    """A gate that says yes with these test files broken: with what is left of them it is green."""
    from interlock.pipelinefile.scaffold import GateLearned

    heeds = len(paths) < len(checked.gate.breaks)
    broken = ", ".join(safe(path, 100) for path in paths)
    said = "goes by its exit code alone: it says yes as well where"
    note(f"{about} {'passed, and ' if heeds else ''}{said} {broken} {'is' if len(paths) == 1 else 'are'} broken")
    return GateLearned(checked.gate.id, heeds=heeds, unheeded=paths)


def _tests(app: Application, checked: Checked, judgement: Judgement) -> tuple[RanTest, ...]:
    from interlock.core.pipeline import Report
    from interlock.gates.canary import own_tests
    from interlock.gates.reports import Unreadable, junit

    digest = next(
        (kept.digest for kept in judgement.evidence if kept.name == Report.JUNIT or kept.name == "report"), ""
    )
    try:
        contents = junit.split(app.blobs.get(digest)) if digest else ()
        return own_tests(contents, is_marked=bool(checked.gate.canary)) if contents else ()
    except Unreadable:  # of another format
        return ()


def _reason(judgement: Judgement) -> str:
    """The line that tells most: of a setup that failed, or of a gate."""
    if not judgement.findings:
        return "no reason given"
    message = judgement.findings[0].message.replace(" (it failed before your change as well)", "")  # there is none
    first, *others = message.strip().splitlines() or [""]
    more = [line.strip() for line in [line for line in others if _TELLING.search(line)][:1] or others[-1:]]
    what = f"{first.partition(':')[0]} failed" if more and first.startswith(("setup: ", "settle: ")) else first
    return safe(": ".join([what, *more]), 300)


def _hints(app: Application, judgement: Judgement, learned: GateLearned, *, tests: bool) -> Iterator[str]:
    """What to do about it."""
    from interlock.pipelinefile.scaffold import missing_in

    said = "\n".join(finding.message for finding in judgement.findings[:50])
    log = next((kept.digest for kept in judgement.evidence if kept.name == "log"), "")
    if log:
        said += app.blobs.get(log)[-LOG_READ_MAX:].decode("utf-8", "replace")
    found = tuple(missing_in(app.repository, said))
    yield from found
    if learned.is_off(tests=tests):
        yield "it is written, but off: switch it on in .interlock/pipelines/ once it is green"
    elif learned.can_run:
        yield "no attempt can pass it until that is mended: mend it first, or take it out of .interlock/pipelines/"
    elif not found:
        yield "no run can start until that is mended: see setup in .interlock/common.yaml, and .interlock/pipelines/"
    if log:
        yield f"log: {app.blobs.path(log)}"
