"""Why a run is not accepted, and in how many attempts in a row it was so."""

from __future__ import annotations

import pytest
from tests.unit.core.histories import ACCEPTED, FAILED, JUDGING, ONE, PASSED, PIPELINE, READY, TWO, WAITING
from tests.unit.readmodel.test_history import seen

from interlock.core.events import (
    AttemptErrored,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Event,
    Finding,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.readmodel.reasons import Reason, alike
from interlock.readmodel.run import describe

WRONG = Finding("pytest", "1 != 2", file="tests/test_a.py", line=3)


def why(*events: Event) -> tuple[Reason, ...]:
    return describe(PIPELINE, seen(*events), "").reasons


def failed(attempt: AttemptId, *findings: Finding, gate: str = "code/test", hard: bool = True) -> VerdictGiven:
    return VerdictGiven(attempt, gate, 1, FAILED, findings, hard=hard)


def rejected(attempt: AttemptId, *verdicts: VerdictGiven) -> tuple[Event, ...]:
    tree = f"t{attempt.number}"
    begun = (
        () if attempt == ONE else (AttemptStarted(attempt, "coder", "", "t0"), CandidateProduced(attempt, "c", tree))
    )
    return (*begun, *verdicts, CandidateRejected(attempt, tree, "told", "print", gates=("code/test",)))


FIRST = (*JUDGING, *rejected(ONE, failed(ONE, WRONG, Finding("pytest", "also this"))))


def test_a_reason_names_gate_place_and_message_of_the_first_finding() -> None:
    expected = Reason(
        "code", "code/1.1", "code/test", FAILED, True, "1 != 2", "pytest", "tests/test_a.py", 3, findings=2, times=1
    )
    assert why(*FIRST) == (expected,)


def test_a_reason_counts_the_attempts_in_a_row_in_which_the_same_was_wrong() -> None:
    again = Finding("pytest", "1 != 3", file="tests/test_a.py", line=9)  # numbers and lines do not matter
    same = (*FIRST, *rejected(TWO, failed(TWO, again, Finding("pytest", "also this"))))
    other = (*FIRST, *rejected(TWO, failed(TWO, Finding("pytest", "something else"))))
    assert [reason.times for reason in why(*same)] == [2]
    assert [reason.times for reason in why(*other)] == [1]


def test_hard_gates_come_first_and_passed_ones_do_not_come() -> None:
    soft = failed(ONE, Finding("review", "not clear"), gate="code/scope", hard=False)
    found = why(*JUDGING, *rejected(ONE, soft, failed(ONE, WRONG)))
    assert [(reason.gate, reason.hard) for reason in found] == [("code/test", True), ("code/scope", False)]


def test_the_newest_verdict_of_a_gate_counts() -> None:
    undecided = VerdictGiven(ONE, "code/test", 1, VerdictStatus.ERRORED, (Finding("timeout", "too slow"),))
    assert [reason.status for reason in why(*JUDGING, undecided)] == [VerdictStatus.ERRORED]
    assert why(*JUDGING, undecided, VerdictGiven(ONE, "code/test", 2, PASSED)) == ()


def test_an_attempt_without_a_candidate_says_why_it_ended() -> None:
    begun, crashed = AttemptStarted(ONE, "coder", "", "t0"), AttemptErrored(ONE, "crashed: exit 1", 9.0)
    (reason,) = why(*READY, begun, crashed)
    assert (reason.gate, reason.status, reason.message) == ("", VerdictStatus.ERRORED, "crashed: exit 1")


def test_before_the_first_attempt_the_base_and_the_input_speak() -> None:
    on_base = VerdictGiven(base_of("code"), "code/test", 1, FAILED, (WRONG,))
    on_input = VerdictGiven(input_of("code", 1), "code/test", 1, FAILED, (WRONG,))
    assert [(reason.stage, reason.attempt) for reason in why(WAITING[0], on_base)] == [("", "")]
    assert [(reason.stage, reason.attempt) for reason in why(*READY, on_input)] == [("code", "")]


def test_what_is_accepted_has_no_reasons() -> None:
    assert why(*ACCEPTED) == ()


def test_attempts_that_ended_alike_are_one_group() -> None:
    three = AttemptId("code", 1, 3)
    past = seen(
        *FIRST,
        *rejected(TWO, failed(TWO, WRONG, Finding("pytest", "also this"))),
        *rejected(three, failed(three, Finding("pytest", "other"))),
    ).past
    # The first attempt also passed `scope`: what passed does not matter.
    assert [[each.id.number for each in group] for group in alike(past.of_stage("code"))] == [[1, 2], [3]]


BROKEN = (
    "the report is missing: nothing was written to $REPORT (exit code 4)\n"
    "ImportError while loading conftest 'tests/conftest.py'.\n"
    "tests/conftest.py:3: in <module>\n"
    "    import utils\n"
    'E     File "utils.py", line 158\n'
    "E       return\n"
    "E   IndentationError: expected an indented block"
)


@pytest.mark.parametrize(
    ("output", "message", "file", "line"),
    [
        (BROKEN, "IndentationError: expected an indented block", "utils.py", 158),
        ("exit code 2\nsrc/a.c:3:9: error: no x\nmake: *** [Makefile:2: a.o] Error 1", None, "src/a.c", 3),
        ("exit code 1\nE   assert 1 == 2\nE    +  where 1 = f()\n1 failed", "assert 1 == 2", "", 0),
        ('exit code 1\n  File "/usr/lib/x.py", line 3, in y\nValueError: no', "ValueError: no", "", 0),
        ("exit code 1\napp/b.go:7: undefined: x\nok", "app/b.go:7: undefined: x", "app/b.go", 7),
    ],
)
def test_an_output_is_told_by_its_last_error_and_the_place_it_names(
    output: str, message: str | None, file: str, line: int
) -> None:
    (reason,) = why(*JUDGING, *rejected(ONE, failed(ONE, Finding("exit", output))))
    assert (reason.file, reason.line) == (file, line)
    first, _, rest = reason.message.partition("\n")
    assert first == (message or "src/a.c:3:9: error: no x")
    assert rest == output


def test_of_an_output_without_an_error_the_middle_is_left_out() -> None:
    output = "\n".join(["exit code 1", *(f"step {n}" for n in range(9))])
    (reason,) = why(*JUDGING, *rejected(ONE, failed(ONE, Finding("exit", output))))
    assert reason.message == "exit code 1\n...\nstep 7\nstep 8"


def test_a_message_without_an_output_stays_as_it_is() -> None:
    said = "test_x failed: ValueError: no\nE   assert 1"
    (reason,) = why(*JUDGING, *rejected(ONE, failed(ONE, Finding("test_failed", said))))
    assert reason.message == said


@pytest.mark.parametrize(
    ("message", "file", "first"),
    [
        ("tests.test_a::test_it[1] failed\nassert 1 == 2\nE   x", "tests/test_a.py", "test_it[1]: assert 1 == 2"),
        ("tests.test_a.TestX::test_it[a::b] failed\n\nE   boom", "tests/test_a.py", "test_it[a::b]: boom"),
        ("tests.test_a::test_it failed\nassert 1 == 2", "", "tests.test_a::test_it: assert 1 == 2"),
        ("m/p::TestA failed\nFailed\na_test.go:7: got 1", "a_test.go", "m/p::TestA: a_test.go:7: got 1"),
        ("tests.test_a::test_it failed\nValueError: no", "src/b.py", "tests.test_a::test_it: ValueError: no"),
        ("t::test_it failed (it failed before your change as well)\nno", "t.py",
         "test_it: no (it failed before your change as well)"),
    ],
)  # fmt: skip
def test_a_failed_test_is_told_by_its_own_name_and_why(message: str, file: str, first: str) -> None:
    (reason,) = why(*JUDGING, *rejected(ONE, failed(ONE, Finding("test_failed", message, file=file, line=9))))
    assert reason.message == f"{first}\n{message}"
    assert (reason.file, reason.line) == (file, 9)


def test_a_failed_test_that_says_nothing_stays_as_it_is() -> None:
    (reason,) = why(*JUDGING, *rejected(ONE, failed(ONE, Finding("test_failed", "t::test_it failed", file="t.py"))))
    assert reason.message == "t::test_it failed"
