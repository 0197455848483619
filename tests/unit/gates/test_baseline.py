"""The baseline rule, as a table: what was, what is, and what is said."""

from __future__ import annotations

import pytest

from interlock.core.pipeline import Baseline, Expect, Gate, GateKind
from interlock.core.pipeline import Tests as Whose
from interlock.gates.baseline import Reason, compare, explained, reason_of
from interlock.gates.reports.junit import RanTest, Status

KEEP = Gate("t", GateKind.RUN)
NO_WORSE = Gate("t", GateKind.RUN, baseline=Baseline.NO_WORSE)
RED = Gate("t", GateKind.RUN, expect=Expect.NEW_TESTS_FAIL)
RED_GREEN = Gate("t", GateKind.RUN, expect=Expect.NEW_TESTS_FAIL, base_green=True)
BASES = Gate("t", GateKind.RUN, tests=Whose.BASE)
STATUS = {
    "+": Status.PASSED,
    "-": Status.FAILED,
    "o": Status.SKIPPED,
    "!": Status.FAILED,
    "?": Status.FAILED,
    "~": Status.SKIPPED,
    ".": Status.PASSED,
}


def parsed(text: str | None) -> list[RanTest] | None:
    """`a+ b- co d! e? f~ g.`: a passed, b failed, c was skipped, d could not be loaded for a missing name, e for a
    syntax error; f was skipped as a whole, and g passed and has no tests."""
    if text is None:
        return None
    return [one(word[:-1], word[-1]) for word in text.split()]


def one(name: str, how: str) -> RanTest:
    message = {"!": "ImportError: cannot import name", "?": "SyntaxError: no", "-": "assert 1 == 2"}.get(how, "")
    return RanTest(name, STATUS[how], message, stands_for=name if how in "!?~." else "")


@pytest.mark.parametrize(
    ("gate", "before", "now", "rules"),
    [
        (KEEP, "a+ b+", "a+ b+", []),
        (KEEP, "a+ b+", "a+ b+ c+", []),
        (KEEP, "a+ b+", "a+", ["test_vanished"]),
        (KEEP, "a+ b+", "a+ bo", ["test_skipped"]),
        (KEEP, "a+ b+", "a+ b-", ["test_failed"]),
        (KEEP, "a+ b-", "a+", ["test_vanished"]),
        (KEEP, "a+ b-", "a+ bo", ["test_skipped"]),
        (KEEP, "a+ b-", "a+ b+", []),
        (KEEP, "a+ b!", "a+ b::c+", []),
        (KEEP, "a+ b!", "a+ b::c+ b::d-", ["test_failed"]),
        (KEEP, "a+ b!", "a+ b!", ["test_failed"]),
        (KEEP, "a+ b!", "a+", ["test_vanished"]),
        (KEEP, "a+ b!", "a+ c+", ["test_vanished"]),
        (KEEP, "a+ b!", "a+ bc+", ["test_vanished"]),
        (KEEP, "a+ b!", "a+ b::co", ["test_skipped"]),
        (KEEP, "a+ b!", "a+ b::c+ b::do", ["test_skipped"]),
        (KEEP, "a+ b!", "a+ b~", ["test_skipped"]),
        (KEEP, "a+ b!", "a+ b.", ["test_vanished"]),
        (KEEP, "a+ t/b.js!", "a+ c+", []),
        (KEEP, "a+ t/b.js!", "a+", ["test_vanished"]),
        (KEEP, "a+ t/b.js!", "a+ t/b.js.", ["test_vanished"]),
        (KEEP, "a+ t/b.js! t/c.js!", "a+ c+", ["test_vanished"]),
        (KEEP, "t/a.js::a+ t/b.js!", "t/a.js::a+ t/a.js::c+", ["test_vanished"]),
        (KEEP, "b::a+ b::c+", "b!", ["test_failed"]),
        (KEEP, "a.", "a.", ["no_tests"]),
        (KEEP, "a. b+", "b+", []),
        (NO_WORSE, "a+ b!", "a+ b!", []),
        (NO_WORSE, "a+ b!", "a+ b::c+", []),
        (NO_WORSE, "a+ b!", "a+", ["test_vanished"]),
        (RED, "a+ b-", "a+ n-", []),
        (KEEP, "a+ b-", "a+ b-", ["test_failed"]),
        (KEEP, "a+ bo", "a+", []),
        (KEEP, "a+", "a+ c-", ["test_failed"]),
        (KEEP, "a+ a+", "a+", ["test_vanished"]),
        (KEEP, "a+ a+", "a+ ao", ["test_skipped"]),
        (KEEP, "p[1]+ p[2]+", "p[1]+ p[3]+", ["test_vanished"]),
        (KEEP, "a+", "", ["no_tests", "test_vanished"]),
        (KEEP, "", "", ["no_tests"]),
        (KEEP, None, "", ["no_tests"]),
        (KEEP, None, "ao", ["no_tests"]),
        (KEEP, None, "a+", []),
        (KEEP, None, "a-", ["test_failed"]),
        (NO_WORSE, "a+ b-", "a+ b-", []),
        (NO_WORSE, "a+ b-", "a- b-", ["test_failed"]),
        (NO_WORSE, "a+ b-", "b-", ["test_vanished"]),
        (NO_WORSE, "a+ b-", "a+ b- c-", ["test_failed"]),
        (NO_WORSE, "a-", "a- a-", ["test_failed"]),
        (NO_WORSE, "a- a+", "a-", ["test_vanished"]),
        (NO_WORSE, "a- a+", "a- a-", ["test_failed"]),
        (NO_WORSE, "", "", []),
        (NO_WORSE, None, "a-", ["test_failed"]),
        (RED, "a+", "a+ n-", []),
        (RED, "a+", "a+", ["no_new_tests"]),
        (RED, "a+", "a+ n+", ["new_test_passed"]),
        (RED, "a+", "a+ n- m+", ["new_test_passed"]),
        (RED, "a+", "a+ no", ["new_test_skipped"]),
        (RED, "a+", "a- n-", ["test_failed"]),
        (RED, "a+", "n-", ["test_vanished"]),
        (RED, "a+ b-", "a+ b- n-", []),
        (RED, "", "n-", []),
        (RED, "a+", "a+ n!", []),
        (RED, "a+", "a+ n?", ["new_test_broken"]),
        (RED, "a+", "a+ n~", ["new_test_skipped"]),
        (RED, "a+", "a+ n.", ["no_new_tests"]),
        (RED, "a+ b!", "a+ b! n-", []),
        (RED, "b::a+", "b!", ["test_vanished"]),
        (BASES, "a+ b-", "a+ b-", []),
        (BASES, "a+ b-", "a+", []),
        (BASES, "a+ b-", "a- b-", ["test_failed"]),
        (BASES, "a+ b!", "a+", []),
        (RED, None, "", []),
        (RED, None, "a+ b-", []),
        (RED_GREEN, None, "a+ b-", ["test_failed"]),
    ],
)
def test_baseline(gate: Gate, before: str | None, now: str, rules: list[str]) -> None:
    compared = compare(gate, parsed(now), parsed(before))
    assert [finding.rule for finding in compared.findings] == rules


def test_a_finding_names_the_test_and_what_would_be_right() -> None:
    (vanished,) = compare(KEEP, parsed("a+"), parsed("a+ b+")).findings
    assert vanished.message == "b: it passed in the accepted input and did not run now: bring it back"


@pytest.mark.parametrize(
    ("name", "file", "told"),
    [
        ("b", "tests/test_b.py", "tests/test_b.py"),
        ("outer::b", "/r/gate-x/tree/test/b.js", "test/b.js"),
        ("test/b.test.js::b", "", "test/b.test.js"),
        ("b", "/elsewhere/b.js", ""),
        ("b.c::d", "", ""),
    ],
)
def test_a_test_that_vanished_is_told_with_its_file(name: str, file: str, told: str) -> None:
    (vanished,) = compare(
        KEEP, parsed("a+"), [RanTest("a", Status.PASSED), RanTest(name, Status.PASSED, file=file)]
    ).findings
    assert (vanished.rule, vanished.file) == ("test_vanished", told)


@pytest.mark.parametrize(
    ("gate", "before", "now", "said"),
    [
        (RED, "a+", "a+ b- c- do", "4 tests, 2 new ones fail as asked, 1 skipped"),
        (RED, "a+ b-", "a+ b- c-", "3 tests, 1 failed, 1 new one fails as asked"),
        (RED, "a+", "a+ b- b-", "3 tests, 2 new ones fail as asked"),
        (RED, "a+", "a+ b!", "1 test"),
        (RED, None, "a+ b-", "2 tests, 1 failed"),
        (KEEP, "a+", "a+ b-", "2 tests, 1 failed"),
    ],
)
def test_new_tests_that_fail_as_the_gate_asks_are_counted_apart(
    gate: Gate, before: str | None, now: str, said: str
) -> None:
    assert compare(gate, parsed(now) or [], parsed(before)).tests == said


def test_a_new_test_that_shows_nothing_failed_and_not_as_asked() -> None:
    broken = RanTest("b", Status.FAILED, "failed on setup with x")
    assert compare(RED, [*parsed("a+ c-"), broken], parsed("a+")).tests == "3 tests, 1 failed, 1 new one fails as asked"


def test_tolerated_failures_explain_the_exit_code() -> None:
    assert compare(NO_WORSE, parsed("a+ b-"), parsed("a+ b-")).explained
    assert not compare(NO_WORSE, parsed("a+"), parsed("a+")).explained


@pytest.mark.parametrize(
    ("on_base", "before", "now", "rules"),
    [
        ("a+ old-", "a+ old- new-", "a+ old- new+", []),
        ("a+ old-", "a+ old- new-", "a+ old+ new+", []),
        ("a+ old-", "a+ old- new-", "a+ new+", []),
        ("a+ old-", "a+ old- new-", "a+ old- new-", ["test_failed"]),
        ("a+ old-", "a+ old- new-", "a+ old-", ["test_vanished"]),
        ("a+ old-", "a+ old- new-", "a+ old- newo", ["test_skipped"]),
        ("a+ old-", "a+ old+", "a+ old-", ["test_failed"]),
        ("a+", "a+ new-", "a+ new-", ["test_failed"]),
    ],
)
def test_only_what_failed_on_the_base_may_go_on_failing(on_base: str, before: str, now: str, rules: list[str]) -> None:
    """A test that another stage wrote, and that fails on the accepted input, is what the work is for."""
    said = compare(NO_WORSE, parsed(now) or [], parsed(before), parsed(on_base))
    assert [finding.rule for finding in said.findings] == rules


@pytest.mark.parametrize("gate", [NO_WORSE, BASES])
def test_what_may_go_on_failing_is_no_failure_of_the_base_either(gate: Gate) -> None:
    compared = compare(gate, parsed("a+ b- c?"), None, is_base=True)
    assert compared.findings == ()
    assert compared.explained
    (note,) = compared.notes
    assert (note.rule, note.severity) == ("fails_before", "note")
    assert note.message == "2 tests or files fail before any work, and may keep failing: b, c"


def test_the_base_alone_is_judged_so() -> None:
    """A candidate without a report to compare with is not let off, nor is a base that has to be green."""
    assert [finding.rule for finding in compare(NO_WORSE, parsed("a+ b-"), None).findings] == ["test_failed"]
    green = Gate("t", GateKind.RUN, baseline=Baseline.NO_WORSE, base_green=True)
    assert [finding.rule for finding in compare(green, parsed("a+ b-"), None, is_base=True).findings] == ["test_failed"]
    assert [finding.rule for finding in compare(KEEP, parsed("a+ b-"), None, is_base=True).findings] == ["test_failed"]


FILE = "/room/tree/test/mul.test.js"
LOG = f"""\
file://{FILE}:3
import {{ mul }} from '../calc.js';
         ^

SyntaxError: The requested module '../calc.js' does not provide an export named 'mul'
    at ModuleJob._instantiate (node:internal/modules/esm/module_job:213:21)

Node.js v20.20.2
\N{HEAVY BALLOT X} {FILE} (36.931842ms)
  'test failed'

\N{HEAVY BALLOT X} addpolimo (2.1ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:
\N{INFORMATION SOURCE} tests 6
\N{INFORMATION SOURCE} fail 4
"""


def unloaded(message: str = "test failed") -> RanTest:
    return RanTest(FILE, Status.FAILED, message, stands_for=FILE)


def test_the_paragraph_of_the_file_says_why() -> None:
    told = explained(unloaded(), LOG)
    assert "does not provide an export named 'mul'" in told.message
    assert reason_of(told) is Reason.MISSING


def test_nothing_of_other_tests_and_of_how_many_there_were() -> None:
    message = explained(unloaded(), LOG).message
    assert "AssertionError" not in message
    assert "addpolimo" not in message
    assert "tests 6" not in message


def test_a_reason_further_away_is_found_too() -> None:
    log = f"FAIL {FILE}\n  * Test suite failed to run\n\n    Cannot find module '../calc'\n"
    assert reason_of(explained(unloaded(), log)) is Reason.MISSING
