"""What is counted beside money: attempts and reviews, and no time that nobody saw."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.events import Usage, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Gate, Pipeline, Stage
from interlock.core.stages import Stages
from interlock.core.state import RunState, StageState
from interlock.gates.kinds.review import Review
from interlock.readmodel.costs import costs
from interlock.readmodel.history import AttemptPhase, AttemptView, Past, VerdictView
from interlock.service.formats import done

ONE = AttemptId("code", 1, 1)


def test_reviewers_make_reviews_and_no_attempts() -> None:
    review = Gate("review", "review", options=Review(("critic",)))
    pipeline = Pipeline("p", (Stage("code", agent="a", gates=(review,)),))
    given = VerdictGiven(ONE, "code/review", 1, VerdictStatus.PASSED, hard=False, usage=Usage(tokens_in=5))
    verdicts = tuple(VerdictView(2.0, one) for one in (given, given, replace(given, cached=True)))
    made = AttemptView(ONE, AttemptPhase.ACCEPTED, "a", "", "", "t", 1.0, commit="c", verdicts=verdicts)
    past = Past(attempts={"code": {ONE: made}})
    shares = costs(pipeline, RunState(stages=Stages([("code", StageState())])), past).by_agent
    assert [(share.of, share.spent.attempts, share.reviews) for share in shares] == [("critic", 0, 2), ("a", 1, 0)]


@pytest.mark.parametrize(
    ("attempts", "reviews", "words"),
    [(0, 3, "3 reviews"), (1, 0, "1 attempt"), (0, 0, "0 attempts"), (2, 1, "2 attempts, 1 review")],
)
def test_the_words(attempts: int, reviews: int, words: str) -> None:
    assert done(attempts, reviews) == words


def test_nobody_saw_how_long_a_lost_attempt_worked() -> None:
    ended = AttemptView(ONE, AttemptPhase.ERRORED, "a", "", "", "t", 1.0, ended_at=5.0)
    assert ended.worked_s == 4.0
    assert replace(ended, phase=AttemptPhase.LOST).worked_s is None
    assert replace(ended, phase=AttemptPhase.WORKING, ended_at=0.0).worked_s is None
