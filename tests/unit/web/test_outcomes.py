"""What the page says became of an answer."""

from __future__ import annotations

import pytest
from tests.unit.core.histories import ACCEPTED, ASKED, ONE, PAUSED, PIPELINE
from tests.unit.readmodel.test_history import seen

from interlock.core.events import (
    Action,
    AnswerTaken,
    AttemptStarted,
    CandidateRejected,
    Event,
    HandoffAccepted,
    Refused,
    RunFinished,
    RunStatus,
    SentBack,
)
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.readmodel.run import RunView, describe
from interlock.web.outcomes import did, earlier, outcomes, person, rejected_before

YES = AnswerTaken("a1", Action.APPROVE, "ann (Ann Lee <ann@example.org>) (web)", "code", ONE, "code/look", "good")
NO = AnswerTaken("a2", Action.REJECT, "bob", "code", ONE, "code/look", "not so")
REJECTED = CandidateRejected(ONE, "t1", "told", "print", hard=False, gates=("code/look",))


def view(*events: Event, owner: str = "") -> RunView:
    return describe(PIPELINE, seen(*events), owner)


def results(*events: Event) -> list[tuple[str, str]]:
    return [(one.result, one.tone) for one in outcomes(view(*events), ())]


def test_an_approval_is_accepted_as_a_commit_once_it_is() -> None:
    assert results(*ASKED, YES) == [("recorded: the run continues", "good")]
    assert results(*ASKED, YES, HandoffAccepted(ONE, "c1", "t1", "record")) == [("accepted as c1", "good")]


def test_the_second_answer_is_told_who_was_first_and_how_long_before() -> None:
    late = Refused("answer", "a2", "nothing of that attempt waits for this answer", NO)
    found = results(*ASKED, YES, HandoffAccepted(ONE, "c1", "t1", "record"), late)
    assert found[1] == ("refused: Ann Lee (web) approved it 2 s before", "bad")


def test_a_refusal_of_another_kind_says_why() -> None:
    stale = AnswerTaken("a3", Action.RETRY, "bob", "code", AttemptId("code", 1, 9))
    assert results(*PAUSED, Refused("answer", "a3", "epoch 1 is over", stale)) == [("refused: epoch 1 is over", "bad")]


@pytest.mark.parametrize(
    ("events", "result"),
    [
        ((*ASKED, NO), "recorded: the run continues"),
        ((*ASKED, NO, REJECTED), "rejected"),
        ((*ASKED, NO, REJECTED, SentBack(ONE, "code", 0, "", ("code",))), "rejected, sent back to code"),
        ((*PAUSED, AnswerTaken("a3", Action.RETRY, "bob", "code")), "recorded: the run continues"),
        (
            (
                *PAUSED,
                AnswerTaken("a3", Action.RETRY, "bob", "code"),
                AttemptStarted(AttemptId("code", 1, 2), "coder", "", "t0"),
            ),
            "retried as code/1.2",
        ),
        ((*PAUSED, AnswerTaken("a3", Action.CANCEL, "bob")), "recorded: the run ends"),
        (
            (*PAUSED, AnswerTaken("a3", Action.CANCEL, "bob"), RunFinished(RunStatus.CANCELLED)),
            "the run is cancelled",
        ),
    ],
)
def test_what_an_answer_led_to(events: tuple[Event, ...], result: str) -> None:
    assert results(*events) == [(result, "good")]


def test_an_answer_in_the_inbox_waits_for_the_run() -> None:
    given = Answer("a9", "r", Action.RAISE, "bob", 50.0, comment="more", limits=(("tokens", 5000.0),))
    (driven,) = outcomes(view(*PAUSED, owner="process 1"), [given])
    assert (driven.said, driven.comment, driven.result) == (
        "raised a limit: tokens by 5000", "more", "waiting for the run to read it",
    )  # fmt: skip
    (alone,) = outcomes(view(*PAUSED), [given])
    assert alone.result == "waiting for the run to read it; if nothing happens: interlock resume r"
    (late,) = outcomes(view(*ACCEPTED, RunFinished(RunStatus.ACCEPTED)), [given])
    assert late.result == "not read: the run was over"


def test_an_answer_that_was_read_is_told_once() -> None:
    twin = Answer("a1", "r", Action.APPROVE, "ann", 50.0, "code", "code/1.1", "code/look")
    assert len(list(outcomes(view(*ASKED, YES), [twin]))) == 1


def test_persons_and_deeds_in_words() -> None:
    assert person("ann (Ann Lee <ann@example.org>) (web)") == "Ann Lee (web)"
    assert person("ann (Ann Lee <ann@example.org>)") == "Ann Lee"
    assert person("uid 1000") == "uid 1000"
    assert (did(Action.APPROVE), did(Action.CANCEL)) == ("approved it", "cancelled the run")
    assert (earlier(0.4), earlier(3)) == ("just before", "3 s before")


def test_the_second_question_knows_the_newest_rejection_of_its_gate() -> None:
    run = view(*ASKED, NO, REJECTED)
    found = rejected_before(run, "code/1.2", "code/look")
    assert found is not None
    assert (str(found.answer.subject), found.answer.comment) == ("code/1.1", "not so")
    assert rejected_before(run, "code/1.1", "code/look") is None
    assert rejected_before(run, "code/1.2", "code/other") is None
    assert rejected_before(view(*ASKED, YES), "code/1.2", "code/look") is None
