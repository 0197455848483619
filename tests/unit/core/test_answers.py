"""What a person's answer does: whether it fits, and what is wanted of the run after it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.core.histories import (
    ACCEPTED,
    ASKED,
    DELIVERED,
    DELIVERING,
    GATES,
    JUDGING,
    ONE,
    PASSED,
    PAUSED,
    PIPELINE,
    READY,
    REJECTED,
    SECOND,
    TWO,
    UNSURE,
    WAITING,
    WORKING,
    after,
    verdict,
)

from interlock.core.admission import admit
from interlock.core.answers import must_wait
from interlock.core.effects import (
    AcceptHandoff,
    Effect,
    EvaluateGate,
    LoseAttempt,
    Pause,
    RejectCandidate,
    SendBack,
    StartAttempt,
)
from interlock.core.events import (
    Action,
    AnswerTaken,
    CandidateRejected,
    EffectErrored,
    Event,
    Paused,
    PauseReason,
    Recorded,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.fold import fold
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Gate, Stage
from interlock.core.plan import plan
from interlock.gates.kinds.review import Review


def answer(action: Action, subject: AttemptId | None = None, **more: object) -> AnswerTaken:
    of_run = action in (Action.CANCEL, Action.CONTINUE, Action.RAISE)
    said = AnswerTaken("a1", action, "ann", stage="" if of_run else "code", subject=subject)
    return replace(said, **more)  # type: ignore[arg-type]


ACCEPT, RETRY, APPROVE, RAISE = Action.ACCEPT, Action.RETRY, Action.APPROVE, Action.RAISE
GATE_FAILED = (
    "not every hard gate passed, or it is not judged yet: wait for its gates, or use --override, which accepts it"
    " anyway and which every later view shows"
)
NOT_ASKED = "nothing in that attempt waits for this answer"
REVIEW = Stage(
    "code", agent="coder", gates=(*GATES[:2], Gate("review", "review", options=Review(("critic",))), GATES[2])
)
REVIEWED = replace(PIPELINE, stages=(REVIEW,), _by_id={})
HARD_PASSED = (*JUDGING, verdict("test"))
UNSAID = replace(verdict("review", VerdictStatus.ERRORED), hard=False)
SAID_NO = (*HARD_PASSED, replace(UNSAID, status=VerdictStatus.FAILED), CandidateRejected(ONE, "t1", "", "", hard=False))
LIMIT = Paused("code", PauseReason.LIMIT, "cost_usd: used")
LIMITS = "attempts, tokens, cost_usd, wall, code.attempts, code.tokens, code.cost_usd"
ADMITTED = [
    (ASKED, answer(APPROVE, ONE, gate="code/look"), ""),
    (ASKED, answer(Action.REJECT, ONE, gate="code/look"), ""),
    (ASKED, answer(APPROVE, TWO, gate="code/look"), NOT_ASKED),
    (ASKED, answer(APPROVE, ONE, gate="code/other"), NOT_ASKED),
    (ASKED, answer(APPROVE, AttemptId("code", 2, 1), gate="code/look"), "epoch 2 is over, the stage is in epoch 1"),
    (JUDGING, answer(APPROVE, ONE, gate="code/look"), NOT_ASKED),
    (ASKED, answer(ACCEPT, ONE), ""),
    (JUDGING, answer(ACCEPT, ONE), GATE_FAILED),
    (JUDGING, answer(ACCEPT, ONE, override=True), ""),
    (REJECTED, answer(ACCEPT, ONE), GATE_FAILED),
    ((*HARD_PASSED, UNSAID), answer(ACCEPT, ONE), ""),  # the review could not decide
    ((*HARD_PASSED, UNSAID, Paused("code", PauseReason.INFRASTRUCTURE, "why")), answer(ACCEPT, ONE), ""),
    ((*HARD_PASSED, LIMIT), answer(ACCEPT, ONE), ""),  # which stops only a review
    ((*READY, LIMIT), answer(ACCEPT, ONE), "code/1.1 has no candidate"),
    (HARD_PASSED, answer(ACCEPT, ONE), GATE_FAILED),  # another hard gate may be next
    ((*JUDGING, verdict("test", VerdictStatus.ERRORED), UNSAID), answer(ACCEPT, ONE), GATE_FAILED),
    (SAID_NO, answer(ACCEPT, ONE), ""),
    (SECOND, answer(ACCEPT, ONE, override=True), ""),
    (SECOND, answer(ACCEPT, TWO, override=True), ""),
    (WORKING, answer(ACCEPT, ONE, override=True), "code/1.1 has no candidate"),
    (READY, answer(ACCEPT, override=True), "it has no candidate"),
    (WAITING, answer(ACCEPT, ONE, override=True), "code/1.1 has no candidate"),
    (PAUSED, answer(RETRY), ""),
    (WAITING, answer(RETRY), ""),
    (PAUSED, answer(RETRY, TWO), "code/1.2 is not the newest attempt, which is code/1.1"),
    (WORKING, answer(RETRY), "the stage is working; --now ends it first"),
    (JUDGING, answer(RETRY, ONE), "the stage is judging; --now ends it first"),
    (WORKING, answer(RETRY, ONE, now=True), ""),
    (ACCEPTED, answer(ACCEPT, ONE), "the stage is accepted"),
    (ACCEPTED, answer(RETRY), ""),
    (ACCEPTED, answer(RETRY, stage="ghost"), "the stage is not part of this run"),
    (DELIVERING, answer(RETRY), "branch b is being delivered"),
    (DELIVERED, answer(RETRY), "branch b is delivered"),
    (DELIVERING, answer(Action.CANCEL), "branch b is being delivered"),
    (UNSURE, answer(Action.CANCEL), ""),
    (DELIVERED, answer(Action.CANCEL), "branch b is delivered"),
    (JUDGING, answer(Action.CANCEL), ""),
    (JUDGING, answer(Action.CONTINUE), ""),
    (DELIVERED, answer(Action.CONTINUE), ""),
    (ACCEPTED, answer(Action.CONTINUE, branch="mine"), ""),
    (ACCEPTED, answer(Action.CONTINUE, branch="a..b"), "'a..b' is not a valid branch name"),
    (DELIVERING, answer(Action.CONTINUE, branch="mine"), "branch b is being delivered"),
    (UNSURE, answer(Action.CONTINUE, branch="mine"), "branch b may already exist"),
    (DELIVERED, answer(Action.CONTINUE, branch="mine"), "branch b is delivered"),
    (PAUSED, answer(RAISE, limits=(("attempts", 1.0), ("code.tokens", 5.0))), ""),
    (PAUSED, answer(RAISE, limits=(("wall", 0.0),)), "raise a limit by a positive number"),
    (PAUSED, answer(RAISE, limits=(("wall", float("inf")),)), "raise a limit by a positive number"),
    (PAUSED, answer(RAISE, limits=(("wall", 1.0), ("tokens", -1.0))), "raise a limit by a positive number"),
    (PAUSED, answer(RAISE), f"there is no limit named: expected one of {LIMITS}"),
    (PAUSED, answer(RAISE, limits=(("code.wall", 1.0), ("x", 1.0))),
     f"there is no limit code.wall, x: expected one of {LIMITS}"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "said", "why"), ADMITTED)
def test_whether_an_answer_fits(events: tuple[Event, ...], said: AnswerTaken, why: str) -> None:
    assert admit(after(*events), said) == why


def test_only_a_cancellation_waits_and_only_while_the_branch_is_made() -> None:
    states = [after(*events) for events in (ACCEPTED, DELIVERING, UNSURE, DELIVERED)]
    assert [must_wait(state, Action.CANCEL) for state in states] == [False, True, False, False]
    assert not any(must_wait(state, action) for state in states for action in Action if action is not Action.CANCEL)


def accepting(attempt: AttemptId, events: tuple[Event, ...], override: str) -> AcceptHandoff:
    commit = f"c{attempt.number}"
    verdicts = tuple(each for each in events if isinstance(each, VerdictGiven) and each.subject == attempt)
    return AcceptHandoff(attempt, commit, commit.replace("c", "t"), "t0", verdicts, override, "ann", 1)


def bare(effect: Effect) -> Effect:
    """Without what only the record of the handoff needs: test_handoffs.py has that."""
    alone = {"started": None, "candidate": None, "prepared": None, "inputs": ()}
    return replace(effect, **alone) if isinstance(effect, AcceptHandoff) else effect


WANTED = [
    (ASKED, answer(ACCEPT, ONE, override=True), accepting(ONE, ASKED, "")),  # no hard gate is overridden
    (JUDGING, answer(ACCEPT, ONE, override=True), accepting(ONE, JUDGING, "ann")),
    (ASKED, answer(ACCEPT, ONE), accepting(ONE, ASKED, "")),
    (REJECTED, answer(ACCEPT, ONE, override=True), accepting(ONE, REJECTED, "ann")),
    (PAUSED, answer(ACCEPT, ONE, override=True), accepting(ONE, PAUSED, "ann")),
    (SECOND, answer(ACCEPT, ONE, override=True), accepting(ONE, SECOND, "ann")),
    (SECOND, answer(ACCEPT, TWO, override=True), accepting(TWO, SECOND, "ann")),
    (SECOND[:-1], answer(ACCEPT, ONE, override=True), LoseAttempt(TWO, "ended by ann")),
    (WORKING, answer(RETRY, ONE, now=True), LoseAttempt(ONE, "ended by ann")),
    (JUDGING, answer(RETRY, ONE, now=True), LoseAttempt(ONE, "ended by ann")),
    (ACCEPTED, answer(RETRY, feedback="told"), SendBack(ONE, "code", -1, "told", ("code",))),
]


@pytest.mark.parametrize(("events", "said", "wanted"), WANTED)
def test_what_an_answer_wants_done(events: tuple[Event, ...], said: AnswerTaken, wanted: Effect) -> None:
    assert tuple(map(bare, plan(PIPELINE, after(*events, said)))) == (wanted,)


@pytest.mark.parametrize("events", [(*HARD_PASSED, UNSAID), SAID_NO, (*HARD_PASSED, LIMIT)])
def test_who_overrules_a_review_is_in_the_acceptance_without_override_too(events: tuple[Event, ...]) -> None:
    (accept,) = plan(REVIEWED, after(*events, answer(ACCEPT, ONE)))
    assert bare(accept) == accepting(ONE, events, "ann")


def test_what_could_not_be_recorded_is_tried_again_and_a_pause_is_said_once() -> None:
    told = (*PAUSED, answer(ACCEPT, ONE, override=True))
    errors = [EffectErrored("AcceptHandoff code/1.1", number, "disk full", 0.0) for number in (1, 2, 3)]
    (again,) = plan(PIPELINE, after(*told, *errors[:2]))
    assert bare(again) == replace(accepting(ONE, PAUSED, "ann"), number=3)
    (pause,) = plan(PIPELINE, after(*told, *errors))
    assert pause == Pause("code", PauseReason.INFRASTRUCTURE, "disk full")
    paused = Paused("code", PauseReason.INFRASTRUCTURE, "disk full")
    assert plan(PIPELINE, after(*told, *errors, paused)) == ()


def test_a_retry_gives_new_attempts_and_passes_on_what_was_said() -> None:
    (start,) = plan(PIPELINE, after(*PAUSED, answer(RETRY, feedback="do it so")))
    assert isinstance(start, StartAttempt)
    assert (start.attempt, start.agent, start.feedback, start.by) == (TWO, "coder", ("told", "do it so"), "")
    (own,) = plan(PIPELINE, after(*PAUSED, answer(RETRY, commit="mine")))
    assert isinstance(own, StartAttempt)
    assert (own.attempt, own.agent, own.source, own.by) == (TWO, "", "mine", "ann")


def test_an_approval_counts_as_the_verdict_of_its_gate() -> None:
    yes, no = (after(*ASKED, answer(action, ONE, gate="code/look")) for action in (APPROVE, Action.REJECT))
    (accept,) = plan(PIPELINE, yes)
    assert isinstance(accept, AcceptHandoff)
    assert [(each.gate, each.status, each.by) for each in accept.verdicts[2:]] == [("code/look", PASSED, "ann")]
    (said,) = no.stages["code"].verdicts["code/look"].findings
    assert (said.rule, said.message) == ("human", "rejected without a comment")
    assert isinstance(plan(PIPELINE, no)[0], RejectCandidate)


def test_a_resumed_run_asks_again_what_could_not_decide_and_keeps_what_was_decided() -> None:
    errored = replace(verdict("test", VerdictStatus.ERRORED), permanent=True)
    paused = (*JUDGING, errored, Paused("code", PauseReason.INFRASTRUCTURE, "no such program"))
    assert plan(PIPELINE, after(*paused)) == ()
    (asked,) = plan(PIPELINE, after(*paused, answer(Action.CONTINUE)))
    assert isinstance(asked, EvaluateGate)
    assert (asked.gate, asked.number) == ("code/test", 1)
    assert plan(PIPELINE, after(*paused, answer(RAISE, limits=(("wall", 1.0),)))) == ()


def test_raised_limits_add_up() -> None:
    first = answer(RAISE, limits=(("tokens", 10.0), ("wall", 2.0)))
    second = answer(RAISE, limits=(("tokens", 5.0),))
    assert fold([Recorded(9, 9.0, second)], after(*JUDGING, first)).raised == {"tokens": 15.0, "wall": 2.0}
