"""The baseline rule: how tests may differ between the accepted input and the candidate. Pure.

Rule: ids are compared as multisets. A test that passed in the accepted input may not vanish, be skipped or fail.
`keep`: no test fails at all. A test that failed in the accepted input must pass; it may not vanish or be skipped (it
may be the one that the stage is to fix). If a file could not be loaded there, tests of it must run, and none be
skipped. `no_worse`: a test that failed on the base may still fail, and is no reason to reject the base itself; a test
that a stage wrote since then must pass. `new_tests_fail`: there are new ids, each of them fails and shows that
something is missing, and what failed before may still fail.

Rule: an assertion, a missing name and an exception of the code under test show that something is missing. A fixture
that fails, a timeout, and a file that could not be loaded for another reason than a missing name (such as a syntax
error) show nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from interlock.core.events import Finding, Severity
from interlock.core.feedback import TOOLS
from interlock.core.pipeline import Baseline, Expect, Gate, Tests
from interlock.gates.reports.junit import RanTest, Status, belongs, counted, file_of, in_numbers, names_files

_SHOWN_MAX = 5  # names of tests in one line


@dataclass(frozen=True, slots=True)
class Comparison:
    """`findings` fail the gate, `notes` do not. `explained`: the report has failing tests, so the exit code may be
    non-zero."""

    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()
    explained: bool = False
    tests: str = ""  # how many there are
    excused: tuple[str, ...] = ()  # tests that failed, as they did on the accepted input by the tools of this machine


def compare(  # noqa: PLR0913 - all that tests can be compared with
    gate: Gate,
    tests: Sequence[RanTest],
    before: Sequence[RanTest] | None,
    on_base: Sequence[RanTest] | None = None,
    *,
    is_base: bool = False,
    elsewhere: Sequence[RanTest] | None = None,
) -> Comparison:
    """`before` is None if there is no accepted input to compare with (for the base, or for an input itself); `on_base`
    is None if the input is the base. `is_base`: the tests are those of the base itself. `elsewhere`: where other tools
    judged the accepted input, what they said of it; what fails there by the tools of this machine is no finding."""
    tests, before = _without_bare(tests), None if before is None else _without_bare(before)
    red = counted(before or (), Status.FAILED)  # what may have failed from the beginning
    old = red if on_base is None else red & counted(_without_bare(on_base), Status.FAILED)
    lenient = is_base and only_worse(gate) and not gate.base_green
    tolerated = counted(tests, Status.FAILED) if lenient else _tolerated(gate, tests, before, old)
    unlike = Counter[str]() if elsewhere is None else red - counted(_without_bare(elsewhere), Status.FAILED)
    findings = (
        *_nothing_ran(gate, tests, before),
        *_lost(gate, tests, before or ()),
        *_evaded(gate, tests, before or (), old),
        *_failing(tests, before or (), tolerated | unlike),
        *(_new(tests, before) if before is not None and gate.expect is Expect.NEW_TESTS_FAIL else ()),
    )
    failing = counted(tests, Status.FAILED)
    excused = tuple((failing & unlike) - tolerated)
    notes = (*(_tolerated_on_base(tests) if lenient else ()), *_by_tools(failing & unlike & tolerated), *_notes(tests))
    shown = in_numbers(tests, _as_asked(gate, tests, before))
    return Comparison(findings, notes, explained=bool(failing), tests=shown, excused=excused)


def only_worse(gate: Gate) -> bool:
    """Whether a test that failed before may still fail."""
    return gate.baseline is Baseline.NO_WORSE or gate.tests is Tests.BASE


def _without_bare(tests: Sequence[RanTest]) -> list[RanTest]:
    """The tests without entries that passed and are no test: a runner's entry for a file without tests."""
    return [test for test in tests if not (test.stands_for and test.status is Status.PASSED)]


def _tolerated(
    gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest] | None, old: Counter[str]
) -> Counter[str]:
    """How many failures of each id are no reason to reject. `old` are those from the beginning."""
    failing = counted(tests, Status.FAILED)
    if gate.expect is Expect.NEW_TESTS_FAIL:
        if before is None:
            return Counter() if gate.base_green else failing
        known = {test.id for test in before}
        new = Counter({name: count for name, count in failing.items() if name not in known})
        return new + counted(before, Status.FAILED)
    return old if only_worse(gate) else Counter()


def _nothing_ran(gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest] | None) -> Iterator[Finding]:
    """A report without a test has judged nothing."""
    if any(test.status is not Status.SKIPPED for test in tests):
        return
    if gate.expect is Expect.NEW_TESTS_FAIL or (only_worse(gate) and before is not None):
        return
    yield Finding(
        "no_tests", "the report shows no test that ran: add a test that the gate collects, or correct the gate"
    )


def _lost(gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest]) -> Iterator[Finding]:
    """Tests that passed in the accepted input and ran less often now. Other findings report tests that fail, and files
    that could not be loaded unless that is expected."""
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
    """Tests that failed in the accepted input and did not run now."""
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
    """Files (classes, packages) that could not be loaded in the accepted input. Their tests are not known, so at least
    one must have run, and none be skipped. If a report tells no files, a new test counts instead."""
    again = {test.stands_for for test in tests if test.status is Status.FAILED}
    known = {test.id for test in before}
    new = sum(test.ran and test.id not in known for test in tests)
    telling = names_files((test.id, test.file) for test in tests)
    for name in files:
        own = [test for test in tests if test.stands_for == name or belongs(name, test.id, test.file)]
        if name in again:
            continue  # it is a failure now and judged as one
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
    remaining = tolerated.copy()
    for test in tests:
        if test.status is not Status.FAILED:
            continue
        remaining[test.id] -= 1
        if remaining[test.id] < 0:
            was = " (it failed before your change as well)" if failed_before[test.id] else ""
            was = " (it passed in the accepted input)" if passed_before[test.id] else was
            done = f"{test.stands_for} could not be loaded" if test.stands_for else f"{test.id} failed"
            yield Finding("test_failed", f"{done}{was}\n{test.message}".rstrip(), file=test.file, line=test.line)


def _new(tests: Sequence[RanTest], before: Sequence[RanTest]) -> Iterator[Finding]:
    """New tests must exist, and must show that what they test is missing."""
    known = {test.id for test in before}
    new = [test for test in tests if test.id not in known]
    if not new:
        yield Finding("no_new_tests", "no new test ran: add tests that fail until the task is done")
    proving_files = {test.stands_for for test in new if test.stands_for and reason_of(test).proves}
    for test in new:
        if test.status is not Status.FAILED:
            what = "passes already" if test.status is Status.PASSED else "is skipped"
            message = f"{test.id} is new and {what}: make it assert what is still missing, or remove it"
            yield Finding("new_test_" + test.status, message, file=test.file, line=test.line)
        elif not reason_of(test).proves and test.stands_for not in proving_files:
            yield broken(test)


def _as_asked(gate: Gate, tests: Sequence[RanTest], before: Sequence[RanTest] | None) -> frozenset[str]:
    """The ids of new tests that fail as `new_tests_fail` wants it."""
    if before is None or gate.expect is not Expect.NEW_TESTS_FAIL:
        return frozenset()
    new = {test.id for test in tests if test.status is Status.FAILED} - {test.id for test in before}
    return frozenset(new - {test.id for test in tests if test.id in new and not reason_of(test).proves})


def broken(test: RanTest) -> Finding:
    """The finding on a new test whose failure shows nothing about the product."""
    message = f"{test.stands_for or test.id} is new and fails {reason_of(test)}, which proves nothing: fix the test"
    return Finding("new_test_broken", f"{message}\n{test.message}".rstrip(), file=test.file, line=test.line)


def _tolerated_on_base(tests: Sequence[RanTest]) -> Iterator[Finding]:
    """A note on what fails on the base and is tolerated there, as it is later on candidates."""
    failing = list(dict.fromkeys(test.stands_for or test.id for test in tests if test.status is Status.FAILED))
    if failing:
        shown = ", ".join(failing[:_SHOWN_MAX]) + (", ..." if len(failing) > _SHOWN_MAX else "")
        what = "1 test or file fails" if len(failing) == 1 else f"{len(failing)} tests or files fail"
        yield Finding("fails_before", f"{what} before any work, and may keep failing: {shown}", Severity.NOTE)


def _by_tools(failing: Counter[str]) -> Iterator[Finding]:
    """A note on what fails on this machine alone, and may fail."""
    if failing:
        shown = ", ".join(list(failing)[:_SHOWN_MAX]) + (", ..." if len(failing) > _SHOWN_MAX else "")
        yield Finding(TOOLS, f"failed by the tools of this machine, on the input too: {shown}", Severity.WARNING)


def _notes(tests: Sequence[RanTest]) -> Iterator[Finding]:
    for test in tests:
        if test.retried:
            message = f"{test.id} passed only after it had failed: it is flaky, or the candidate is"
            yield Finding("test_retried", message, Severity.WARNING, test.file, test.line)


# --- why a test failed --------------------------------------------------------------------------


class Reason(StrEnum):
    """Texts that follow the word `failed`."""

    ASSERTION = "for an assertion"
    MISSING = "for a missing name"
    RAISED = "by an exception"
    FIXTURE = "in a fixture, not in the test"
    TIMEOUT = "by a timeout"
    SYNTAX = "for a syntax error"
    UNLOADED = "while its file was loaded, and not for a missing name"

    @property
    def proves(self) -> bool:
        return self in (Reason.ASSERTION, Reason.MISSING, Reason.RAISED)


_MISSING = re.compile(
    r"\b(?:ImportError|ModuleNotFoundError|AttributeError|NameError)\b|\bcannot import name\b"
    r"|\bis not a (?:function|constructor)\b|\bis not defined\b|Cannot find (?:module|package)\b|MODULE_NOT_FOUND"
    r"|does not provide an export named|Named export '[^']*' not found|Failed to resolve import|No matching export"
    r"|has no exported member|\bundefined: \w|\bundefined \(type .{1,200} has no field or method"
    r"|is not in (?:std|GOROOT)"
    r"|cannot find (?:symbol|package|function|value|type|struct|trait|macro|module|crate|derive)"
    r"|\bunresolved (?:import|name|module|reference)"
    r"|no (?:function|method|field|variant|associated item)\b.{0,80}? named"
    r"|no required module provides package|NoSuchMethodError|NoSuchFieldError|NoClassDefFoundError"
    r"|ClassNotFoundException|package [\w.]+ does not exist",
    re.IGNORECASE,
)
_SYNTAX = re.compile(
    r"\b(?:SyntaxError|IndentationError|TabError)\b|invalid JS syntax|Unexpected (?:token|end of)|syntax error"
    r"|Jest failed to parse a file|Transform failed with|reached end of file while parsing"
    r"|this file contains an unclosed delimiter|expected one of ",
    re.IGNORECASE,
)
_MISSING_EXPORT = re.compile(r"does not provide an export named|Named export '[^']*' not found")
_TIMEOUT = re.compile(
    r"Failed: Timeout\b|Test timed out in \d|Exceeded timeout of \d|test timed out after \d|Timeout of \d+ ?ms exceeded"
    r"|panic: test timed out|TestTimedOutException|timed out after \d+ (?:milli)?seconds"
)
_FIXTURE = re.compile(r"failed on (?:setup|teardown) with |^file .*, line \d+", re.IGNORECASE)
_ASSERTION = re.compile(
    r"\bassert|AssertionError|AssertionFailedError|ERR_ASSERTION|\bexpect(?:ed)?\b|panicked at|DID NOT RAISE",
    re.IGNORECASE,
)


# Counts of tests. They include the tests that must fail, which no agent may know of.
_COUNTS = re.compile(r"\s*(?:\u2139|#) (?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms)\b")
_MARK = re.compile(r"\s*\^+\s*")


def reason_of(test: RanTest) -> Reason:
    """The reason of a failed entry of a report."""
    if _TIMEOUT.search(test.message):
        return Reason.TIMEOUT
    if test.stands_for:
        return load_reason(test.message)
    last = _raised(test.message)
    if _FIXTURE.match(test.message):
        return Reason.MISSING if _MISSING.search(last) and "fixture '" not in last else Reason.FIXTURE
    if _MISSING.search(last):
        return Reason.MISSING
    return Reason.ASSERTION if _ASSERTION.search(test.message) else Reason.RAISED


def explained(failed: RanTest, log: str) -> RanTest:
    """The entry with the log's text near the file's name if the report has no reason: node:test writes it to the log
    only."""
    if not failed.stands_for or reason_of(failed) is not Reason.UNLOADED:
        return failed
    lines = [line for line in log.splitlines() if not _COUNTS.match(line)]
    near = [index for index, line in enumerate(lines) if failed.stands_for in line][:20]
    shown = dict.fromkeys(line for index in near for line in _paragraph(lines, index) if line.strip())
    if load_reason("\n".join(shown)) is Reason.UNLOADED:
        shown = dict.fromkeys(line for index in near for line in lines[max(0, index - 5) : index + 12])
    return replace(failed, message="\n".join((failed.message, *shown)))


def _paragraph(lines: list[str], index: int) -> Iterator[str]:
    """The lines from this one to a blank line, except the blank line that Node writes below a mark `^`."""
    for number in range(index, min(index + 12, len(lines))):
        if not lines[number].strip() and not _MARK.fullmatch(lines[number - 1]):
            return
        yield lines[number]


def load_reason(text: str) -> Reason:
    """Why a file could not be loaded or a program not be compiled, by its output."""
    if _MISSING_EXPORT.search(text):
        return Reason.MISSING
    if _SYNTAX.search(text):
        return Reason.SYNTAX
    return Reason.MISSING if _MISSING.search(text) else Reason.UNLOADED


def _raised(message: str) -> str:
    """The lines that name the exception if they are marked as pytest does; else the beginning."""
    marked = [line for line in message.splitlines() if line.startswith("E  ")]
    return "\n".join([message.partition("\n")[0], *marked[-20:]]) if marked else message[:2_000]
