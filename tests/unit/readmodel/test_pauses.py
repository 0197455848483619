"""Which attempt the commands of a pause offer to accept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.core.histories import JUDGING, ONE, PASSED, PIPELINE, SECOND, TWO, after, verdict

from interlock.core.events import CandidateRejected, Event, Finding, Paused, PauseReason, VerdictStatus
from interlock.readmodel.run import WaitView, locate

FAILED = VerdictStatus.FAILED
NO_PROGRESS = Paused("code", PauseReason.NO_PROGRESS, "the same findings")
MACHINE = Paused("code", PauseReason.INFRASTRUCTURE, "gate review: it did not answer")
PROTECTED = (Finding(rule="protected", message="no", file="tests/test_a.py"),)
SAID_NO = (
    *JUDGING,
    verdict("test"),
    replace(verdict("review", FAILED), hard=False),
    CandidateRejected(ONE, "t1", "told", "print", hard=False, gates=("code/review",)),
)
SECOND_OF = (*SAID_NO, *SECOND[-2:], verdict("scope", PASSED, TWO))
TEST_FAILED = (
    *SECOND_OF,
    replace(verdict("test", FAILED, TWO), findings=PROTECTED),
    CandidateRejected(TWO, "t2", "told", "other", gates=("code/test",)),
)
NOT_REVIEWED = (
    *SECOND,
    verdict("scope", PASSED, TWO),
    verdict("test", PASSED, TWO),
    replace(verdict("review", VerdictStatus.ERRORED, TWO), hard=False),
)


def only_wait(*events: Event) -> WaitView:
    (wait,) = locate(PIPELINE, after(*events)).waits
    return wait


@pytest.mark.parametrize(
    ("events", "offered"),
    [
        ((*TEST_FAILED, NO_PROGRESS), "code/1.1"),  # the newest on which every hard gate passed
        ((*NOT_REVIEWED, MACHINE), "code/1.2"),  # not code/1.1, which failed a hard gate
        ((*SAID_NO, NO_PROGRESS), "code/1.1"),
        ((*SECOND, verdict("test", FAILED, TWO), CandidateRejected(TWO, "t2", "", "x"), NO_PROGRESS),
         "code/1.2 --override"),
        ((*SECOND, MACHINE), "code/1.1 --override"),
        ((*JUDGING, MACHINE), ""),
    ],
)  # fmt: skip
def test_a_pause_offers_the_newest_attempt_on_which_every_hard_gate_passed(
    events: tuple[Event, ...], offered: str
) -> None:
    accepts = [line.removeprefix("interlock accept r ") for line in only_wait(*events).commands if "accept" in line]
    assert accepts == ([offered] if offered else [])


def test_what_is_said_of_protected_files_is_about_the_attempt_that_is_offered() -> None:
    assert "tests/test_a.py" not in only_wait(*TEST_FAILED, NO_PROGRESS).hint
    protected = replace(verdict("test", FAILED), findings=PROTECTED)
    rejected = CandidateRejected(ONE, "t1", "", "", gates=("code/test",))
    assert "tests/test_a.py" in only_wait(*JUDGING, protected, rejected, NO_PROGRESS).hint


def test_a_pause_over_new_tests_names_adds() -> None:
    message = "was added but it is protected: delete it; only a stage with `adds: [tests/**]` may add it"
    added = replace(PROTECTED[0], message=message)
    said = "protected from this stage: {}. If the change is right, accept it with --override. If such changes are"
    said += " usual, {}"
    adds, authors = "write `adds: [tests/**]` in the stage", "add the file to `authors` of a stage"

    def hint(*findings: Finding) -> str:
        failed = replace(verdict("test", FAILED), findings=findings)
        rejected = CandidateRejected(ONE, "t1", "told", "print", gates=("code/test",))
        return only_wait(*JUDGING, failed, rejected, NO_PROGRESS).hint

    assert hint(added) == said.format("tests/test_a.py", adds)
    assert hint(*PROTECTED) == said.format("tests/test_a.py", authors)
    both = (added, replace(PROTECTED[0], file="conftest.py"))
    assert hint(*both) == said.format("tests/test_a.py, conftest.py", f"{adds}, or {authors}")


def test_work_that_passed_a_limit_was_not_taken_and_cannot_be_accepted() -> None:
    limit = Finding(rule="limit", message="sh was ended: memory: used more than 300 MB")
    ended = replace(verdict("scope", FAILED), findings=(limit,))
    rejected = CandidateRejected(ONE, "t1", "told", "print", gates=("code/scope",))
    wait = only_wait(*JUDGING[:-1], ended, rejected, NO_PROGRESS)
    assert not [line for line in wait.commands if "accept" in line]
    assert wait.hint.startswith("Nothing of its work was taken. If the limit is too low, raise it under `sandbox`.")
    full = replace(ended, findings=(replace(limit, message="sh was ended: disk: filled the disk"),))
    assert "make room on it" in only_wait(*JUDGING[:-1], full, rejected, NO_PROGRESS).hint
    of_gate = replace(verdict("test", FAILED), findings=(limit,))
    assert "accept" in " ".join(only_wait(*JUDGING, of_gate, rejected, NO_PROGRESS).commands)
