"""The baseline rule, as a table: what was, what is, and what is said."""

import pytest

from interlock.core.pipeline import Baseline, Expect, Gate, GateKind
from interlock.gates.baseline import compare
from interlock.gates.reports.junit import RanTest, Status

KEEP = Gate("t", GateKind.RUN)
NO_WORSE = Gate("t", GateKind.RUN, baseline=Baseline.NO_WORSE)
RED = Gate("t", GateKind.RUN, expect=Expect.NEW_TESTS_FAIL)
RED_GREEN = Gate("t", GateKind.RUN, expect=Expect.NEW_TESTS_FAIL, base_green=True)
STATUS = {"+": Status.PASSED, "-": Status.FAILED, "o": Status.SKIPPED, "!": Status.FAILED}


def parsed(text: str | None) -> list[RanTest] | None:
    """`a+ b- co d!`: a passed, b failed, c was skipped, d could not be loaded."""
    if text is None:
        return None
    return [RanTest(word[:-1], STATUS[word[-1]], stood_in=word[-1] == "!") for word in text.split()]


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
        (KEEP, "a+ b!", "a+ c+", []),
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


def test_tolerated_failures_explain_the_exit_code() -> None:
    assert compare(NO_WORSE, parsed("a+ b-"), parsed("a+ b-")).explained
    assert not compare(NO_WORSE, parsed("a+"), parsed("a+")).explained
