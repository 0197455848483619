"""The baseline rule: what tests may do between the accepted input and the candidate. Pure.

Rule: ids are compared as multisets. What passed in the accepted input may not vanish, be skipped or fail.
`keep`: no test fails at all, and what failed in the accepted input is mended by passing, not by vanishing or being
skipped (it may be what the stage is to make pass). `no_worse`: what failed on the base may go on failing as it did
there, and there it is no reason to say no either; a test that a stage wrote since then has to pass.
A file that could not be loaded there is mended by tests of it that run, none of them skipped.
`new_tests_fail`: there are new ids, each of them fails and shows that something is missing, and what failed before may
go on failing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from interlock.core.events import Finding, Severity
from interlock.core.pipeline import Baseline, Expect, Gate, Tests
from interlock.gates.reports.junit import RanTest, Status, belongs, counted, file_of, names_files
from interlock.gates.reports.reasons import reason_of

_SHOWN_MAX = 5  # names of tests in one line


@dataclass(frozen=True, slots=True)
class Comparison:
    """`findings` that fail the gate, `notes` that do not. `explained`: tests fail that are allowed to."""

    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()
    explained: bool = False


def compare(
    gate: Gate,
    tests: Sequence[RanTest],
    before: Sequence[RanTest] | None,
    on_base: Sequence[RanTest] | None = None,
    *,
    is_base: bool = False,
) -> Comparison:
    """`before` is None where there is no accepted input to compare with (the base, or an input itself); `on_base`
    where that is the base. `is_base`: the tests are those of the base itself, by which others are judged later."""
    tests, before = _without_bare(tests), None if before is None else _without_bare(before)
    red = counted(before or (), Status.FAILED)  # what may be so from the beginning
    old = red if on_base is None else red & counted(_without_bare(on_base), Status.FAILED)
    lenient = is_base and only_worse(gate) and not gate.base_green
    tolerated = counted(tests, Status.FAILED) if lenient else _tolerated(gate, tests, before, old)
    findings = (
        *_nothing_ran(gate, tests, before),
        *_lost(gate, tests, before or ()),
        *_evaded(gate, tests, before or (), old),
        *_failing(tests, before or (), tolerated),
        *(_new(tests, before) if before is not None and gate.expect is Expect.NEW_TESTS_FAIL else ()),
    )
    failing = sum(test.status is Status.FAILED for test in tests)
    notes = (*(_let_be(tests) if lenient else ()), *_notes(tests))
    return Comparison(findings, notes, explained=failing > 0)


def only_worse(gate: Gate) -> bool:
    """Whether what failed before may go on failing."""
    return gate.baseline is Baseline.NO_WORSE or gate.tests is Tests.BASE


def _without_bare(tests: Sequence[RanTest]) -> list[RanTest]:
    """Less what passed and is no test: a program that names the file because there are no tests in it."""
    return [test for test in tests if not (test.stands_for and test.status is Status.PASSED)]


def _tolerated(
    gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest] | None, old: Counter[str]
) -> Counter[str]:
    """How many failures of each id are no reason to reject. `old` are those that were there from the beginning."""
    failing = counted(tests, Status.FAILED)
    if gate.expect is Expect.NEW_TESTS_FAIL:
        if before is None:
            return Counter() if gate.base_green else failing
        known = {test.id for test in before}
        new = Counter({name: count for name, count in failing.items() if name not in known})
        return new + counted(before, Status.FAILED)
    return old if only_worse(gate) else Counter()


def _nothing_ran(gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest] | None) -> Iterator[Finding]:
    """A report of no test has judged nothing."""
    if any(test.status is not Status.SKIPPED for test in tests):
        return
    if gate.expect is Expect.NEW_TESTS_FAIL or (only_worse(gate) and before is not None):
        return
    yield Finding("no_tests", "the report shows no test that ran: add one that the gate collects, or correct the gate")


def _lost(gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest]) -> Iterator[Finding]:
    """Tests that passed in the accepted input, and of which fewer ran now. Those that fail are named elsewhere, and so
    is a file that could not be loaded, where that is not expected."""
    passed, skipped = counted(tests, Status.PASSED), counted(tests, Status.SKIPPED)
    worse = counted(tests, Status.FAILED) - counted(before, Status.FAILED)
    unloaded = [test.stands_for for test in tests if test.stands_for and test.status is Status.FAILED]
    files = {test.id: test.file for test in before}
    for name, count in counted(before, Status.PASSED).items():
        missing = count - passed[name] - worse[name]
        broken_file = next((of for of in unloaded if belongs(of, name, files[name])), "")
        if missing <= 0 or (broken_file and gate.expect is not Expect.NEW_TESTS_FAIL):
            continue
        if skipped[name]:
            message = f"{name}: it passed in the accepted input and is skipped now: let it run again"
            yield Finding("test_skipped", message, file=file_of(name, files[name]))
            continue
        times = f" {missing} of {count} times" if count > 1 else ""
        mend = f"{broken_file} could not be loaded; put new tests into a new file" if broken_file else "bring it back"
        message = f"{name}: it passed in the accepted input and did not run now{times}: {mend}"
        yield Finding("test_vanished", message, file=file_of(name, files[name]))


def _evaded(gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest], old: Counter[str]) -> Iterator[Finding]:
    """What failed in the accepted input, and did not run now."""
    if gate.expect is Expect.NEW_TESTS_FAIL or gate.tests is Tests.BASE:
        return
    failed = [test for test in before if test.status is Status.FAILED]
    yield from _unloaded(tests, before, tuple(dict.fromkeys(test.stands_for for test in failed if test.stands_for)))
    if gate.baseline is not Baseline.KEEP:
        failed = [test for test in failed if not old[test.id]]
    ran = {test.id for test in tests if test.status is not Status.SKIPPED}
    skipped = {test.id for test in tests if test.status is Status.SKIPPED}
    for test in dict.fromkeys(test.id for test in failed if not test.stands_for):
        if test in skipped - ran:
            yield Finding("test_skipped", f"{test}: it failed in the accepted input and is skipped now: make it pass")
        elif test not in ran:
            yield Finding("test_vanished", f"{test}: it failed in the accepted input and did not run now: make it pass")


def _unloaded(tests: Sequence[RanTest], before: Sequence[RanTest], files: tuple[str, ...]) -> Iterator[Finding]:
    """Files (classes, packages) that could not be loaded in the accepted input: nobody knows what tests they hold, so
    one of them must have run at least, and none be skipped. A report that tells no files shows new tests instead."""
    again = {test.stands_for for test in tests if test.status is Status.FAILED}
    known = {test.id for test in before}
    new = sum(test.ran and test.id not in known for test in tests)
    telling = names_files((test.id, test.file) for test in tests)
    for name in files:
        own = [test for test in tests if test.stands_for == name or belongs(name, test.id, test.file)]
        if name in again:
            continue  # it is a failure, and judged as such
        skipped = next((test for test in own if test.status is Status.SKIPPED), None)
        if skipped is not None:
            message = "could not be loaded in the accepted input, and is skipped now: let it run"
            yield Finding("test_skipped", f"{name if skipped.stands_for else skipped.id}: it {message}")
        elif not any(test.ran for test in own):
            if "/" in name and not telling and new > 0:
                new -= 1
                continue
            message = "it could not be loaded in the accepted input, and no test of it ran now: let its tests run"
            yield Finding("test_vanished", f"{name}: {message}")


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
            done = f"{test.stands_for} could not be loaded" if test.stands_for else f"{test.id} failed"
            yield Finding("test_failed", f"{done}{was}\n{test.message}".rstrip(), file=test.file, line=test.line)


def _new(tests: Sequence[RanTest], before: Sequence[RanTest]) -> Iterator[Finding]:
    """New tests must be there, and must show that what they ask for is missing."""
    known = {test.id for test in before}
    new = [test for test in tests if test.id not in known]
    if not new:
        yield Finding("no_new_tests", "no new test ran: add tests that fail until the task is done")
    told = {test.stands_for for test in new if test.stands_for and reason_of(test).proves}
    for test in new:
        if test.status is not Status.FAILED:
            what = "passes already" if test.status is Status.PASSED else "is skipped"
            message = f"{test.id} is new and {what}: let it assert what is still missing, or take it out"
            yield Finding("new_test_" + test.status, message, file=test.file, line=test.line)
        elif not reason_of(test).proves and test.stands_for not in told:
            yield broken(test)


def broken(test: RanTest) -> Finding:
    """A new test whose failure shows nothing of the product."""
    message = f"{test.stands_for or test.id} is new and fails {reason_of(test)}, which shows nothing: mend the test"
    return Finding("new_test_broken", f"{message}\n{test.message}".rstrip(), file=test.file, line=test.line)


def _let_be(tests: Sequence[RanTest]) -> Iterator[Finding]:
    """What fails on the base: a gate that asks for no worse lets it be there as on what comes of it."""
    failing = list(dict.fromkeys(test.stands_for or test.id for test in tests if test.status is Status.FAILED))
    if failing:
        shown = ", ".join(failing[:_SHOWN_MAX]) + (", ..." if len(failing) > _SHOWN_MAX else "")
        what = "1 test or file fails" if len(failing) == 1 else f"{len(failing)} tests or files fail"
        yield Finding("fails_before", f"{what} before any work, and may go on failing: {shown}", Severity.NOTE)


def _notes(tests: Sequence[RanTest]) -> Iterator[Finding]:
    for test in tests:
        if test.retried:
            message = f"{test.id} passed only after it had failed: it is flaky, or the candidate is"
            yield Finding("test_retried", message, Severity.WARNING, test.file, test.line)
