"""The verdict, from how a command ended and what it reported. Pure, except that paths are resolved in the checkout.

Rule: exit code and report must both be good. If nothing can be decided (command not found, timeout, no report), the
candidate fails if the same gate could decide on the accepted input; else the verdict is `errored`. An exit code other
than 0 is ignored only if the report shows failing tests that are allowed to fail.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from interlock.core.events import Finding, Severity, VerdictStatus
from interlock.core.pipeline import Expect, Report, Tests
from interlock.gates import canary
from interlock.gates.baseline import Comparison, compare
from interlock.gates.proof import is_due
from interlock.gates.reports import MESSAGE_MAX, Unreadable, in_repository, junit, sarif
from interlock.gates.reports.reasons import explained
from interlock.gates.running import CommandRun
from interlock.ports import GateRequest, Judgement
from interlock.process import How
from interlock.text.cleaning import ending

# Rules of findings on a run that did not end in a way that can be judged.
UNFINISHED = frozenset({"dir", "not_found", "report", "timeout"})

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
    status = VerdictStatus.FAILED if findings else VerdictStatus.PASSED
    return Judgement(status, (*findings, *compared.notes, *_without_canary(ran), *_changes_files(ran)))


def _why_undecided(request: GateRequest, ran: CommandRun) -> _Undecided | None:
    """Why the command could not decide, apart from the content of its report."""
    if ran.how is None:
        return _Undecided("dir", ran.why, permanent=True)
    if ran.how is How.NOT_FOUND:
        return _Undecided("not_found", "the command was not found: install it, or correct the gate", permanent=True)
    if ran.how is not How.EXITED:
        message = f"no end after {request.gate.timeout_s} s: make it faster, or raise the gate's `timeout`"
        return _Undecided("timeout", message)
    if ran.code in _NOT_RUNNABLE and not isinstance(ran.report, tuple):
        message = f"exit code {ran.code}: a command was not found or cannot be run: install it, or correct the gate"
        return _Undecided("not_found", message, permanent=True)
    if isinstance(ran.report, Unreadable):
        return _Undecided("report", f"{ran.report} (exit code {ran.code})")
    setting = _needing_a_baseline(request)
    if setting and request.baseline is None and not _stands_alone(request):
        message = f"{setting} needs the gate's own report on the accepted input, and there is none"
        return _Undecided("baseline", message, permanent=True)
    return None


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
        return Judgement(VerdictStatus.FAILED, (Finding(undecided.rule, message),))
    return Judgement(VerdictStatus.ERRORED, (Finding(undecided.rule, message),), permanent=undecided.permanent)


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
            return compare(request.gate, tests, before, on_base, is_base=is_base)
        case Report.SARIF:
            assert isinstance(ran.report, tuple)
            results = sarif.parse(ran.report[0], ran.tree, request.gate.dir)
            errors = tuple(finding for finding in results if finding.severity is Severity.ERROR)
            return Comparison(errors, tuple(finding for finding in results if finding not in errors))


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
    message = "a test that must fail did not: something in the candidate changes what the test runner reports"
    return Judgement(VerdictStatus.FAILED, (Finding("canary", message),))


def _breaks_ignored(request: GateRequest, ran: CommandRun) -> Judgement:
    """A finding for each broken test file that the command accepted."""
    decided = _failed_on_input(request, ran)
    said = (
        "a test file was broken, and the command did not say no as it must: something in the candidate ends it early"
        if decided
        else "it was broken, and the command said yes, or did not say what is wrong: name test files that it runs, "
        "or take `breaks` out"
    )
    found = tuple(Finding("canary", f"{path}: {said}", file=path) for path in ran.must_fail.unheeded)
    return Judgement(VerdictStatus.FAILED if decided else VerdictStatus.ERRORED, found, permanent=not decided)


def _failed_on_input(request: GateRequest, ran: CommandRun) -> bool:
    """Whether the same gate showed that failure on the accepted input, so that here the candidate is at fault."""
    if request.baseline is None or not ran.must_fail.rode:
        return request.decided_on_input
    return canary.result_of(junit.split(request.baseline)).failed


def _changes_files(ran: CommandRun) -> tuple[Finding, ...]:
    if not ran.changed:
        return ()
    names = ", ".join(ran.changed[:_NAMED_MAX]) + (", ..." if len(ran.changed) > _NAMED_MAX else "")
    message = f"the command changed {names} in its checkout; nothing of it is kept: let it only check, without a fix"
    return (Finding("changed_files", message, Severity.NOTE),)


def _without_canary(ran: CommandRun) -> tuple[Finding, ...]:
    message = f"no test that must fail was added: {ran.must_fail.why}: let the gate say `canary: false`"
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
