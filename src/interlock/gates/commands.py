"""Commands of run gates: each in a checkout of its own, judged by its exit code and its report.

Rule: the same command on the same input is run once, and each gate judges that run anew. `repeat` runs it again on the
same tree and keeps every run; if they disagree, nothing is decided. A run that ended by a timeout or a signal may be
the machine's fault and is not kept; a run that another version kept in an unknown format is run again.

Rule: exit code and report must both be good. If nothing can be decided (command not found, timeout, no report), the
candidate fails if the same gate could decide on the accepted input; else the verdict is `errored`. An exit code other
than 0 is ignored only if the report shows failing tests that are allowed to fail. On the base, it decides nothing if
the command names a file that the sandbox hides: no agent can correct that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from interlock.conventions.commands import only_checks
from interlock.core.events import Evidence, Finding, Severity, VerdictStatus
from interlock.core.feedback import CHANGED_FILES, TOOLS
from interlock.core.pipeline import CommandLine, Expect, Report, Tests
from interlock.gates import canary, proof
from interlock.gates.baseline import Comparison, compare, explained
from interlock.gates.cache import recall, remember, run_key, tools_of, verdict_key
from interlock.gates.compared import SAME_TOOLS, CannotCompare, excused, made_here, with_tests_of_base
from interlock.gates.held_out import HeldOutMissing
from interlock.gates.hidden import missed
from interlock.gates.locks import Slot, WaitingWork, hold_locks, show_waiting
from interlock.gates.proof import is_due
from interlock.gates.referee import GateContext
from interlock.gates.reports import MESSAGE_MAX, Unreadable, bounded, in_repository, junit, outside_of, sarif
from interlock.gates.running import CommandRun, checkout_spec_of, run_once, values_seen
from interlock.ports import Cancel, GateRequest, Judgement, UnfitSetup
from interlock.process import How
from interlock.sandbox import alone, unseen
from interlock.text.cleaning import ending

_NO_FORK = 254  # of bash, which says "fork: Resource temporarily unavailable"


def judge_command(context: GateContext, request: GateRequest, cancel: Cancel) -> Judgement:
    """The judgement of a candidate by the gate's command. Raises Cancelled and InfrastructureError."""
    request = with_tests_of_base(context, request)
    tools = tools_of(request, context.environ)

    def ask(other: GateRequest) -> tuple[Judgement, Sequence[CommandRun]]:
        return _judged(context, other, tools, cancel)

    try:
        request = made_here(context, request, tools, lambda other: ask(other)[0])
        judgement, runs = ask(request)
        judgement = excused(request, judgement, tools, lambda other: ask(other)[0])
        if judgement.status is not VerdictStatus.PASSED or not proof.is_due(request):
            return judgement
        proved = proof.proved(context, request, runs[0], judgement, lambda other: ask(other)[1][0])
        return replace(proved, findings=bounded(proved.findings, secret=bool(request.gate.held_out)))
    except HeldOutMissing as error:
        return Judgement(VerdictStatus.ERRORED, (Finding("held_out", str(error), secret=True),), permanent=True)
    except CannotCompare as error:
        return Judgement(VerdictStatus.ERRORED, (Finding(TOOLS, str(error)),), error.evidence, tools=tools)
    except UnfitSetup as error:
        log = Evidence("log", context.blobs.put(error.output), len(error.output))
        return Judgement(VerdictStatus.FAILED, (Finding("setup", str(error)),), (log,))


def _judged(
    context: GateContext, request: GateRequest, tools: str, cancel: Cancel
) -> tuple[Judgement, Sequence[CommandRun]]:
    """The judgement, and the runs that it was made from."""
    checkout = context.workspaces.checkout_digest(request.commit, request.base_commit, checkout_spec_of(request))
    values = values_seen(context, request)
    key = run_key(request, context.environ, values, (checkout, tools), context.held_out_of(request))
    judgement, runs = _kept_or_run(context, request, key, cancel)
    return replace(judgement, digest=verdict_key(request, key), tools=tools), runs


def _kept_or_run(
    context: GateContext, request: GateRequest, key: str, cancel: Cancel
) -> tuple[Judgement, Sequence[CommandRun]]:
    if not request.gate.cached or request.pipeline.carry:  # files that `carry` copies have no known digest
        runs = _run(context, request, cancel)
        return _judgement_of(request, runs), runs
    with context.flights.alone(key, cancel):
        kept = recall(context, key)
        judgement = replace(_judgement_of(request, kept), cached=True) if kept else None
        if kept and judgement is not None and not judgement.flaky:
            return judgement, kept
        runs = _run(context, request, cancel)
        judgement = _judgement_of(request, runs)
        finished = not any(finding.rule in UNFINISHED for finding in judgement.findings)
        if finished and not judgement.flaky and not any(_was_killed(ran) for ran in runs):
            remember(context, key, runs)
        return judgement, runs


def _run(context: GateContext, request: GateRequest, cancel: Cancel) -> list[CommandRun]:
    with _slot_and_locks(context, request, cancel) as slot:
        return [run_once(context, request, slot, cancel) for _ in range(max(1, request.gate.repeat))]


def _was_killed(ran: CommandRun) -> bool:
    """By a signal, which a shell reports as 128 and more, or because a shell could not fork: the machine may have been
    short of memory or processes."""
    return ran.code is None or ran.code < 0 or 128 < ran.code < 160 or ran.code == _NO_FORK


@contextmanager
def _slot_and_locks(context: GateContext, request: GateRequest, cancel: Cancel) -> Iterator[Slot]:
    who = WaitingWork(request.run, str(request.subject), request.gate.id)

    def waits(name: str) -> AbstractContextManager[None]:
        why = f"waits for {name}, which another gate has (`exclusive`)"
        return show_waiting(context.slots.folder, replace(who, why=why))

    with context.slots.acquire(cancel, who) as slot, hold_locks(context.locks, request.gate.exclusive, cancel, waits):
        yield slot


def _judgement_of(request: GateRequest, runs: Sequence[CommandRun]) -> Judgement:
    judgements = [_judge_run(request, ran) for ran in runs]
    return judgements[0] if len(judgements) == 1 else _combine(judgements)


def _judge_run(request: GateRequest, ran: CommandRun) -> Judgement:
    judgement = verdict(request, ran)
    findings = bounded(outside_of(judgement.findings, ran.tree), secret=bool(request.gate.held_out))
    tests = "" if request.gate.held_out else judgement.tests
    return replace(judgement, findings=findings, evidence=ran.evidence, tests=tests)


def _combine(judgements: Sequence[Judgement]) -> Judgement:
    """The verdict if all runs agree, else errored and flaky. Every run is kept as evidence."""
    evidence = tuple(_numbered(judgements))
    voices = {(judgement.status, _failed_tests(judgement)) for judgement in judgements}
    if len(voices) == 1:
        return replace(judgements[0], evidence=evidence)
    statuses = ", ".join(judgement.status for judgement in judgements)
    message = (
        f"the same tree was judged {len(judgements)} times with different results ({statuses}): fix the flaky check"
    )
    others = dict.fromkeys(finding for judgement in judgements for finding in judgement.findings)
    return Judgement(VerdictStatus.ERRORED, (Finding("flaky", message), *others), evidence, flaky=True)


def _failed_tests(judgement: Judgement) -> frozenset[str]:
    """The tests that a verdict is about, without texts that contain times or addresses."""
    about_tests = (finding.message for finding in judgement.findings if finding.rule.startswith("test_"))
    return frozenset(message.split(" failed", 1)[0] for message in about_tests)


def _numbered(judgements: Sequence[Judgement]) -> Iterator[Evidence]:
    for number, judgement in enumerate(judgements, 1):
        for item in judgement.evidence:
            yield item if number == 1 else replace(item, name=f"{item.name}.{number}")


# --- the verdict --------------------------------------------------------------------------------


# Rules of findings on a run that did not end in a way that can be judged.
UNFINISHED = frozenset({"dir", "not_found", "report", "sandbox", "timeout"})

_NAMED_MAX = 5  # files
_NOT_RUNNABLE = frozenset({126, 127})  # a shell's exit codes for a command that it cannot run or find


@dataclass(frozen=True, slots=True)
class _Undecided:
    """Nothing can be decided about the candidate. `permanent`: trying again does not help."""

    rule: str
    message: str
    permanent: bool = False


def verdict(request: GateRequest, ran: CommandRun) -> Judgement:
    """The verdict, without its evidence."""
    undecided = _why_undecided(request, ran)
    if undecided is not None:
        return _without_decision(request, ran, undecided)
    try:
        compared = _reported(request, ran)
        broke_off = (
            bool(compared.findings) and not ran.must_fail.seen
        )  # failed anyway, such as by a file that cannot be loaded
        unproven = None if broke_off else _unproven(request, ran)
    except Unreadable as error:
        return _without_decision(request, ran, _Undecided("report", str(error)))
    if unproven is not None and unproven.status is VerdictStatus.ERRORED:
        return unproven
    silent = unproven.findings if unproven is not None else ()
    findings = (*silent, *compared.findings, *_exit(request, ran, compared))
    hint = _unseen(request) if findings else ""
    if hint and request.subject.is_base and all(finding.rule == "exit" for finding in findings):
        return _without_decision(request, ran, _Undecided("sandbox", f"{hint}; exit code {ran.code}", permanent=True))
    if compared.excused and not findings:
        return _by_tools(compared)
    status = VerdictStatus.FAILED if findings else VerdictStatus.PASSED
    notes = (*compared.notes, *_without_canary(ran), *_changes_files(ran, request.gate.command))
    if hint:
        notes = (*notes, Finding("sandbox", hint, Severity.NOTE))
    elif findings and (lacking := _unseen(request, alone)):
        notes = (*notes, Finding("beside", lacking, Severity.NOTE))
    notes = (*notes, *missed(request, ran)) if findings else notes
    return Judgement(status, (*findings, *notes), tests=compared.tests)


def _why_undecided(request: GateRequest, ran: CommandRun) -> _Undecided | None:
    """Why the command could not decide, apart from the content of its report."""
    if ran.how is None:
        return _Undecided("dir", ran.why, permanent=True)
    seen = _unseen(request) or _unseen(request, alone)
    hint = f"{seen}; " if seen else ""
    if ran.how is How.NOT_FOUND:
        message = f"{hint}the command was not found: install it, or correct the gate"
        return _Undecided("not_found", message, permanent=True)
    if ran.how is How.OVER_LIMIT:
        limit, _, what = ran.over.partition(": ")
        cure = "make room on the disk" if what == "filled the disk" else f"raise `{limit}` of `sandbox`"
        return _Undecided("limit", f"{ran.over}: it was ended; use less, or {cure}")
    if ran.how is not How.EXITED:
        message = f"no end after {request.gate.timeout_s} s: make it faster, or raise the gate's `timeout`"
        return _Undecided("timeout", message)
    if ran.code in _NOT_RUNNABLE and not isinstance(ran.report, tuple):
        what = "a command was not found or cannot be run: install it, or correct the gate"
        message = f"{hint}exit code {ran.code}: {what}"
        return _Undecided("not_found", message, permanent=True)
    if isinstance(ran.report, Unreadable):
        return _Undecided("report", f"{hint}{ran.report} (exit code {ran.code})", permanent=bool(hint))
    setting = _needing_a_baseline(request)
    if setting and request.baseline is None and not _stands_alone(request):
        message = f"{setting} needs the gate's report on the accepted input, but there is none"
        return _Undecided("baseline", message, permanent=True)
    return None


def _unseen(request: GateRequest, said: Callable[..., str] = unseen) -> str:
    """What the command names of the machine, and does not see in the sandbox."""
    words = request.gate.command.words if request.gate.command else ()
    return said(words, request.sandbox_spec, os.environ.get("PATH", os.defpath))


def _needing_a_baseline(request: GateRequest) -> str:
    """The setting of the gate that needs a report on the accepted input (or the base), as it is written in the file."""
    if request.gate.expect is Expect.NEW_TESTS_FAIL or is_due(request):
        return f"`expect: {request.gate.expect}`"
    return "`tests: base`" if request.gate.tests is Tests.BASE and request.gate.report is Report.JUNIT else ""


def _without_decision(request: GateRequest, ran: CommandRun, undecided: _Undecided) -> Judgement:
    tail = ending(ran.tail, MESSAGE_MAX)
    message = f"{undecided.message}\n{tail}" if tail else undecided.message
    if request.decided_on_input and undecided.rule != "baseline":
        message = f"{message}\n(on the accepted input the same gate could decide)"
        return Judgement(VerdictStatus.FAILED, (Finding(undecided.rule, message), *missed(request, ran)))
    findings = (Finding(undecided.rule, message), *missed(request, ran))
    return Judgement(VerdictStatus.ERRORED, findings, permanent=undecided.permanent)


def _reported(request: GateRequest, ran: CommandRun) -> Comparison:
    """The findings of the report. Raises Unreadable."""
    match request.gate.report:
        case Report.NONE:
            return Comparison(())
        case Report.JUNIT:
            assert isinstance(ran.report, tuple)
            tests = _with_repository_paths(request, ran, _tests(request, ran.report))
            before, on_base = _kept(request, request.baseline), _kept(request, request.on_base)
            is_base = request.subject.is_base and ran.must_fail.failed  # an incomplete run is not tolerated
            elsewhere = _kept(request, request.elsewhere)
            return compare(request.gate, tests, before, on_base, is_base=is_base, elsewhere=elsewhere)
        case Report.SARIF:
            assert isinstance(ran.report, tuple)
            results = sarif.parse(ran.report[0], ran.tree, request.gate.dir)
            errors = tuple(finding for finding in results if finding.severity is Severity.ERROR)
            return Comparison(errors, tuple(finding for finding in results if finding not in errors))


def _by_tools(compared: Comparison) -> Judgement:
    """Nothing is wrong but what fails on this machine before the candidate too."""
    names = ", ".join(compared.excused[:_NAMED_MAX]) + (", ..." if len(compared.excused) > _NAMED_MAX else "")
    message = f"{names}: failed here, and so on the accepted input, which passed with other tools: {SAME_TOOLS}"
    return Judgement(VerdictStatus.ERRORED, (Finding(TOOLS, message),), tests=compared.tests)


def _tests(request: GateRequest, report: tuple[bytes, ...]) -> tuple[junit.RanTest, ...]:
    """The project's own tests: without those that must fail."""
    return canary.own_tests(report, is_marked=bool(request.gate.canary))


def _unproven(request: GateRequest, ran: CommandRun) -> Judgement | None:
    """The judgement if a test that must fail did not: then the whole run proves nothing. None if it failed. Raises
    Unreadable."""
    if ran.must_fail.failed:
        return None
    if request.gate.breaks:
        return _breaks_ignored(request, ran)
    if not _failed_on_input(request, ran):
        message = (
            f"a test that must fail was added for {request.gate.canary}, and the report does not show that it failed: "
            "let the gate run all tests and report them, or let it say `canary: false`, or name its runner"
        )
        return Judgement(VerdictStatus.ERRORED, (Finding("canary", message),), permanent=True)
    message = "a test that must fail passed: something in the candidate changes what the test runner reports"
    return Judgement(VerdictStatus.FAILED, (Finding("canary", message),))


def _breaks_ignored(request: GateRequest, ran: CommandRun) -> Judgement:
    """A finding for each broken test file that the command accepted."""
    decided = _failed_on_input(request, ran)
    said = (
        "a test file was broken, but the command did not fail as it must: something in the candidate ends it early"
        if decided
        else "it was broken, but the command passed, or did not name the error: name test files that it runs, "
        "or take `breaks` out"
    )
    found = tuple(Finding("canary", f"{path}: {said}", file=path) for path in ran.must_fail.unheeded)
    return Judgement(VerdictStatus.FAILED if decided else VerdictStatus.ERRORED, found, permanent=not decided)


def _failed_on_input(request: GateRequest, ran: CommandRun) -> bool:
    """Whether the same gate showed that failure on the accepted input, so that here the candidate is at fault."""
    if request.baseline is None or not ran.must_fail.rode:
        return request.decided_on_input
    return canary.result_of(junit.split(request.baseline)).failed


def _changes_files(ran: CommandRun, command: CommandLine | None) -> tuple[Finding, ...]:
    if not ran.changed:
        return ()
    names = ", ".join(" ".join(name.split()) for name in ran.changed[:_NAMED_MAX]) + (
        ", ..." if len(ran.changed) > _NAMED_MAX else ""
    )
    message = f"the command changed {names} in its checkout; nothing of it is kept: {_instead(command)}"
    return (Finding(CHANGED_FILES, message, Severity.NOTE),)


def _instead(command: CommandLine | None) -> str:
    better = only_checks(command) if command is not None else ""
    return f"use a command that only checks, such as {better or '`ruff check` without `--fix`'}"


def _without_canary(ran: CommandRun) -> tuple[Finding, ...]:
    message = f"no test that must fail was added: {ran.must_fail.why}: set `canary: false`"
    return (Finding("canary", message, Severity.WARNING),) if ran.must_fail.why else ()


def _with_repository_paths(
    request: GateRequest, ran: CommandRun, tests: tuple[junit.RanTest, ...]
) -> tuple[junit.RanTest, ...]:
    """The tests with paths of the repository, and with what the output tells about files that could not be loaded."""
    said = ran.tail.decode("utf-8", "replace")
    placed = (replace(test, file=in_repository(test.file, ran.tree, request.gate.dir)) for test in tests)
    return tuple(explained(test, said) for test in placed)


def _stands_alone(request: GateRequest) -> bool:
    """Whether there is nothing to compare with: the base and an accepted input are judged alone."""
    return request.subject.is_base or request.subject.is_input


def _kept(request: GateRequest, report: bytes | None) -> tuple[junit.RanTest, ...] | None:
    """The tests of the report to compare with: on the accepted input (for a merge, those of the merged parts), or on
    the base."""
    return None if report is None else _tests(request, junit.split(report))


def _exit(request: GateRequest, ran: CommandRun, compared: Comparison) -> tuple[Finding, ...]:
    if ran.code == 0 or compared.findings or compared.explained:
        return ()
    if ran.must_fail.rode and canary.is_failure_exit(request.gate.canary, ran.code, ran.tail):
        return ()
    tail = ending(ran.tail, MESSAGE_MAX)
    ended = f"exit code {ran.code}" if ran.code is not None and ran.code >= 0 else f"ended by signal {-(ran.code or 0)}"
    if ran.report is not None:
        ended += ", though its report shows nothing wrong"
    return (Finding("exit", f"{ended}\n{tail}" if tail else ended),)
