"""The baseline rule: what tests may do between the accepted input and the candidate. Pure.

Rule: ids are compared as multisets. What passed in the accepted input may not vanish, be skipped or fail.
`keep`: no test fails at all, and what failed in the accepted input is mended by passing, not by vanishing or being
skipped (it may be what the stage is to make pass). `no_worse`: a test may fail no more often than it did there.
`new_tests_fail`: there are new ids, each of them fails, and what failed before may go on failing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from interlock.core.events import Finding, Severity
from interlock.core.pipeline import Baseline, Expect, Gate
from interlock.gates.reports.junit import RanTest, Status, counted


@dataclass(frozen=True, slots=True)
class Compared:
    """`findings` that fail the gate, `notes` that do not. `explained`: tests fail that are allowed to."""

    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()
    explained: bool = False


def compare(gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest] | None) -> Compared:
    """`before` is None where there is no accepted input to compare with (the base, or an input itself)."""
    tolerated = _tolerated(gate, tests, before)
    findings = (
        *_nothing_ran(gate, tests, before),
        *_lost(tests, before or ()),
        *(_evaded(tests, before or ()) if gate.baseline is Baseline.KEEP and gate.expect is Expect.PASS else ()),
        *_failing(tests, before or (), tolerated),
        *(_new(tests, before) if before is not None and gate.expect is Expect.NEW_TESTS_FAIL else ()),
    )
    failing = sum(test.status is Status.FAILED for test in tests)
    return Compared(findings, tuple(_notes(tests)), explained=failing > 0)


def _tolerated(gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest] | None) -> Counter[str]:
    """How many failures of each id are no reason to reject."""
    failing = counted(tests, Status.FAILED)
    if gate.expect is Expect.NEW_TESTS_FAIL:
        if before is None:
            return Counter() if gate.base_green else failing
        known = {test.id for test in before}
        new = Counter({name: count for name, count in failing.items() if name not in known})
        return new + counted(before, Status.FAILED)
    if gate.baseline is Baseline.NO_WORSE:
        return counted(before or (), Status.FAILED)
    return Counter()


def _nothing_ran(gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest] | None) -> Iterator[Finding]:
    """A report of no test has judged nothing."""
    if any(test.status is not Status.SKIPPED for test in tests):
        return
    if gate.expect is Expect.NEW_TESTS_FAIL or (gate.baseline is Baseline.NO_WORSE and before is not None):
        return
    yield Finding("no_tests", "the report shows no test that ran: add one that the gate collects, or correct the gate")


def _lost(tests: Sequence[RanTest], before: Sequence[RanTest]) -> Iterator[Finding]:
    """Tests that passed in the accepted input, and of which fewer ran now. Those that fail are named elsewhere."""
    passed, skipped = counted(tests, Status.PASSED), counted(tests, Status.SKIPPED)
    worse = counted(tests, Status.FAILED) - counted(before, Status.FAILED)
    for name, count in counted(before, Status.PASSED).items():
        missing = count - passed[name] - worse[name]
        if missing <= 0:
            continue
        if skipped[name]:
            message = f"{name}: it passed in the accepted input and is skipped now: let it run again"
            yield Finding("test_skipped", message)
            continue
        times = f" {missing} of {count} times" if count > 1 else ""
        message = f"{name}: it passed in the accepted input and did not run now{times}: bring it back"
        yield Finding("test_vanished", message)


def _evaded(tests: Sequence[RanTest], before: Sequence[RanTest]) -> Iterator[Finding]:
    """Tests that failed in the accepted input, and did not run now. What only stood for a file that could not be
    loaded gives way to the tests of that file."""
    ran = {test.id for test in tests if test.status is not Status.SKIPPED}
    skipped = {test.id for test in tests if test.status is Status.SKIPPED}
    for test in dict.fromkeys(test.id for test in before if test.status is Status.FAILED and not test.stood_in):
        if test in skipped - ran:
            yield Finding("test_skipped", f"{test}: it failed in the accepted input and is skipped now: make it pass")
        elif test not in ran:
            yield Finding("test_vanished", f"{test}: it failed in the accepted input and did not run now: make it pass")


def _failing(tests: Sequence[RanTest], before: Sequence[RanTest], tolerated: Counter[str]) -> Iterator[Finding]:
    passed_before, failed_before = counted(before, Status.PASSED), counted(before, Status.FAILED)
    left = tolerated.copy()
    for test in tests:
        if test.status is not Status.FAILED:
            continue
        left[test.id] -= 1
        if left[test.id] < 0:
            was = " (it failed before your change as well)" if failed_before[test.id] else ""
            was = " (it passed in the accepted input)" if passed_before[test.id] else was
            message = f"{test.id} failed{was}\n{test.message}".rstrip()
            yield Finding("test_failed", message, file=test.file, line=test.line)


def _new(tests: Sequence[RanTest], before: Sequence[RanTest]) -> Iterator[Finding]:
    """New tests must be there, and must show that what they ask for is missing."""
    known = {test.id for test in before}
    new = [test for test in tests if test.id not in known]
    if not new:
        yield Finding("no_new_tests", "no new test ran: add tests that fail until the task is done")
    for test in new:
        if test.status is not Status.FAILED:
            what = "passes already" if test.status is Status.PASSED else "is skipped"
            message = f"{test.id} is new and {what}: a new test must fail until the task is done"
            yield Finding("new_test_" + test.status, message, file=test.file, line=test.line)


def _notes(tests: Sequence[RanTest]) -> Iterator[Finding]:
    for test in tests:
        if test.retried:
            message = f"{test.id} passed only after it had failed: it is flaky, or the candidate is"
            yield Finding("test_retried", message, Severity.WARNING, test.file, test.line)
