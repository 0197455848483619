"""Which events fit a run at which point of its history, and what is said of those that do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.core.histories import (
    ACCEPTED,
    ASKED,
    DELIVERED,
    DELIVERING,
    FAILED,
    JUDGING,
    ONE,
    PASSED,
    PAUSED,
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

from interlock.core.admission import admit, admit_errand
from interlock.core.effects import DeliverBranch, EvaluateGate
from interlock.core.events import (
    Action,
    AnswerTaken,
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Delivered,
    DeliveryBegun,
    EffectErrored,
    Event,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    PauseReason,
    Refused,
    RunFinished,
    RunStarted,
    RunStatus,
    SentBack,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.state import RunState

LATER, GHOST = AttemptId("code", 2, 1), AttemptId("ghost", 1, 1)
BEGUN, BRANCH = DeliveryBegun("b", "c9", "c1"), Delivered("b", "c9", "c1")
RETRY = AnswerTaken("a1", Action.RETRY, "ann", stage="code")
NOW = replace(RETRY, now=True)
ACCEPT = AnswerTaken("a1", Action.ACCEPT, "ann", stage="code", subject=ONE)
OVERRIDE = replace(ACCEPT, override=True)
MINE = replace(RETRY, commit="mine")
FINISHED = (*DELIVERED, RunFinished(RunStatus.ACCEPTED))
DONE, DUE = "the gate has decided", "it is try 3, expected 2"
STALE = "epoch 2 is over, the stage is in epoch 1"
NO_STAGE = "the stage is not part of this run"
NOT_NEWEST = "it is not the running attempt"
ERRORED = VerdictGiven(ONE, "code/test", 1, VerdictStatus.ERRORED)
ROWS: list[tuple[tuple[Event, ...], Event, str]] = [
    ((), WAITING[0], ""),
    ((), EffectErrored("x", 1, "why", 0.0), "the run has not started"),
    ((), OwnerChanged(1, "me"), ""),
    (WAITING, RunStarted("r", "p", "d", "task", "c0", "t0", ("code",)), "the run has started"),
    (FINISHED, Refused("x", "", "late"), ""),
    (FINISHED, TimeReached(9.0), ""),
    (FINISHED, RETRY, "the run is accepted"),
    # effects of the run
    (WAITING, EffectErrored("x", 1, "why", 0.0), ""),
    (WAITING, EffectErrored("x", 2, "why", 0.0), "it is try 2, expected 1"),
    ((*WAITING, EffectErrored("x", 1, "why", 0.0)), EffectErrored("x", 2, "why", 0.0), ""),
    ((*WAITING, EffectErrored("x", 1, "why", 0.0)), EffectErrored("x", 1, "why", 0.0), "it is try 1, expected 2"),
    (UNSURE, Paused("", PauseReason.DELIVERY, "again"), "already paused"),
    (WAITING, Paused("", PauseReason.INFRASTRUCTURE, "disk"), ""),
    # the delivery and the end
    (ACCEPTED, BEGUN, ""),
    (ASKED, BEGUN, "it is not what the run accepted"),
    (ACCEPTED, replace(BEGUN, source="c0"), "it is not what the run accepted"),
    (DELIVERED, BEGUN, "the branch is delivered"),
    (UNSURE, BEGUN, "the run is paused"),
    ((*ACCEPTED, RETRY), BEGUN, "a person answered first"),
    ((*ACCEPTED, AnswerTaken("a1", Action.CANCEL, "ann")), BEGUN, "ann cancelled the run"),
    ((*ACCEPTED, AnswerTaken("a1", Action.CONTINUE, "ann", branch="mine")), BEGUN, "a person said branch mine"),
    ((*ACCEPTED, AnswerTaken("a1", Action.CONTINUE, "ann", branch="b")), BEGUN, ""),
    (DELIVERING, BRANCH, ""),
    (DELIVERING, replace(BRANCH, source="c0"), "it is not what the run accepted"),
    (DELIVERING, replace(BRANCH, commit="c8"), "another branch was begun"),
    (DELIVERING, replace(BRANCH, branch="main"), "another branch was begun"),
    (ACCEPTED, BRANCH, "its delivery had not begun"),
    (DELIVERED, BRANCH, "the branch is delivered"),
    (DELIVERED, RunFinished(RunStatus.ACCEPTED), ""),
    (ACCEPTED, RunFinished(RunStatus.ACCEPTED), "not all stages are accepted, or the branch is not delivered"),
    ((replace(WAITING[0], until="code"), *ACCEPTED[1:]), RunFinished(RunStatus.ACCEPTED), ""),  # type: ignore[type-var]
    ((replace(WAITING[0], until="code"), *ASKED[1:]), RunFinished(RunStatus.ACCEPTED),  # type: ignore[type-var]
     "not all stages are accepted, or the branch is not delivered"),
    (ASKED, RunFinished(RunStatus.STOPPED), ""),
    (ASKED, RunFinished(RunStatus.CANCELLED), "no person cancelled the run"),
    ((*ASKED, AnswerTaken("a1", Action.CANCEL, "ann")), RunFinished(RunStatus.CANCELLED), ""),
    # a stage and its attempts
    (WAITING, InputPrepared(input_of("code", 1), "c0", "t0", ("c0",)), ""),
    (READY, InputPrepared(input_of("code", 1), "c0", "t0", ("c0",)), "the stage is ready"),
    (WAITING, InputPrepared(input_of("code", 2), "c0", "t0", ("c0",)), STALE),
    (WAITING, InputPrepared(input_of("ghost", 1), "c0", "t0", ("c0",)), NO_STAGE),
    (READY, WhenHeld(input_of("code", 1)), ""),
    (READY, StageSkipped(input_of("code", 1), "why"), ""),
    (WORKING, StageSkipped(input_of("code", 1), "why"), "the stage is working"),
    (READY, AttemptStarted(ONE, "coder", "", "t0"), ""),
    (READY, AttemptStarted(TWO, "coder", "", "t0"), "the attempt has another number"),
    (READY, AttemptStarted(ONE, "", "", "t0", by="ann"), "another person submitted the candidate"),
    ((*PAUSED, MINE), AttemptStarted(TWO, "", "", "t0", by="ann"), ""),
    ((*PAUSED, MINE), AttemptStarted(TWO, "", "", "t0", by="bob"), "another person submitted the candidate"),
    ((*PAUSED, MINE), AttemptStarted(TWO, "coder", "", "t0"), "another person submitted the candidate"),
    ((*REJECTED, OVERRIDE), AttemptStarted(TWO, "coder", "", "t0"), "a person answered first"),
    (WORKING, CandidateProduced(ONE, "c1", "t1"), ""),
    (WORKING, CandidateProduced(TWO, "c1", "t1"), NOT_NEWEST),
    (WORKING, AttemptErrored(TWO, "why", 0.0), NOT_NEWEST),
    (WORKING, AttemptLost(TWO, "why"), NOT_NEWEST),
    ((*WORKING, OwnerChanged(2, "me")), CandidateProduced(ONE, "c1", "t1"), "its process has ended"),
    ((*WORKING, OwnerChanged(2, "me")), AttemptErrored(ONE, "why", 0.0), "its process has ended"),
    ((*WORKING, OwnerChanged(2, "me")), AttemptLost(ONE, "why"), ""),
    (JUDGING, CandidateProduced(ONE, "c1", "t1"), "the stage is judging"),
    # verdicts
    (JUDGING, verdict("test"), ""),
    (JUDGING, verdict("scope"), DONE),
    (JUDGING, replace(verdict("test"), number=2), "it is try 2, expected 1"),
    ((*JUDGING, ERRORED), replace(verdict("test"), number=2), ""),
    ((*JUDGING, ERRORED), replace(verdict("test"), number=3), DUE),
    (WORKING, verdict("test"), "the stage is working"),
    (SECOND, verdict("test"), NOT_NEWEST),
    (SECOND, verdict("test", attempt=LATER), STALE),
    (SECOND, verdict("test", attempt=GHOST), NO_STAGE),
    (WAITING, VerdictGiven(base_of("code"), "code/test", 1, PASSED), DONE),
    (WAITING, VerdictGiven(base_of("code"), "code/other", 1, PASSED), ""),
    (WAITING, VerdictGiven(input_of("code", 1), "code/test", 1, PASSED), "the stage has no input yet"),
    (WORKING, VerdictGiven(input_of("code", 1), "code/test", 1, PASSED), ""),
    (WORKING, VerdictGiven(input_of("code", 2), "code/test", 1, PASSED), STALE),
    # a person's gate, and the decision
    (JUDGING, ApprovalAsked(ONE, "code/look", "Good?"), ""),
    (JUDGING, ApprovalAsked(TWO, "code/look", "Good?"), NOT_NEWEST),
    (JUDGING, ApprovalAsked(ONE, "code/scope", "Good?"), "this question was asked before"),
    (ASKED, ApprovalAsked(ONE, "code/look", "Good?"), "this question was asked before"),
    ((*JUDGING, verdict("test", FAILED)), CandidateRejected(ONE, "t1", "", ""), ""),
    ((*JUDGING, verdict("test", FAILED)), CandidateRejected(TWO, "t1", "", ""), NOT_NEWEST),
    ((*JUDGING, OVERRIDE), CandidateRejected(ONE, "t1", "", ""), "a person answered first"),
    (ASKED, HandoffAccepted(ONE, "c1", "t1", "record"), ""),
    (ASKED, HandoffAccepted(TWO, "c1", "t1", "record"), NOT_NEWEST),
    (ASKED, HandoffAccepted(ONE, "c1", "t1", "record", "ann"), "no person overrode a gate"),
    (REJECTED, HandoffAccepted(ONE, "c1", "t1", "record"), "the stage is rejected"),
    ((*REJECTED, OVERRIDE), HandoffAccepted(ONE, "c1", "t1", "record", "ann"), ""),
    ((*REJECTED, OVERRIDE), HandoffAccepted(ONE, "c1", "t1", "record", "bob"), "no person overrode a gate"),
    ((*REJECTED, OVERRIDE), HandoffAccepted(TWO, "c1", "t1", "record"), "a person gave another answer"),
    ((*ASKED, ACCEPT), HandoffAccepted(ONE, "c1", "t1", "record"), ""),
    ((*ASKED, ACCEPT), HandoffAccepted(ONE, "c1", "t1", "record", "ann"), ""),  # over a soft gate
    ((*ASKED, ACCEPT), HandoffAccepted(ONE, "c1", "t1", "record", "bob"), "no person overrode a gate"),
    ((*ASKED, NOW), HandoffAccepted(ONE, "c1", "t1", "record"), "a person gave another answer"),
    # back to an earlier stage
    (REJECTED, SentBack(ONE, "code", 0, "", ("code",)), ""),
    (SECOND, SentBack(ONE, "code", 0, "", ("code",)), "the stage is judging"),
    (REJECTED, SentBack(TWO, "code", 0, "", ("code",)), "the stage is rejected"),
    (REJECTED, SentBack(LATER, "code", 0, "", ("code",)), STALE),
    (REJECTED, SentBack(ONE, "ghost", 0, "", ("code",)), NO_STAGE),
    (REJECTED, SentBack(ONE, "code", 0, "", ("code", "ghost")), NO_STAGE),
    (REJECTED, SentBack(GHOST, "code", 0, "", ("code",)), NO_STAGE),
    (ACCEPTED, SentBack(ONE, "code", -1, "", ("code",)), "the stage is accepted and no person asked for it"),
    ((*ACCEPTED, RETRY), SentBack(ONE, "code", -1, "", ("code",)), ""),
    ((*REJECTED, RETRY), SentBack(ONE, "code", -1, "", ("code",)), "the stage is ready and no person asked for it"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "event", "why"), ROWS)
def test_whether_an_event_fits(events: tuple[Event, ...], event: Event, why: str) -> None:
    assert admit(after(*events) if events else RunState(), event) == why


CI = EvaluateGate(ONE, "code/ci", 1, "c1", "t1", "c0", "t0")
DELIVER = DeliverBranch("c1", (), 1)
AGAIN = replace(DELIVER, begun=DeliveryBegun("b", "c9", "c1"))


@pytest.mark.parametrize(
    ("history", "effect", "why"),
    [
        (JUDGING, CI, ""),
        (JUDGING, replace(CI, commit="c9"), "code/1.1 has another candidate"),
        (JUDGING, replace(CI, tree="t9"), "code/1.1 has another candidate"),
        (JUDGING, replace(CI, subject=TWO), "code/1.2 has another candidate"),
        (JUDGING, replace(CI, subject=GHOST), "has another candidate"),
        (JUDGING, replace(CI, subject=LATER), "has another candidate"),
        (JUDGING, replace(CI, subject=input_of("code", 1), commit="c0", tree="t0"), ""),
        (JUDGING, replace(CI, subject=base_of("code"), commit="c0", tree="t0"), ""),
        (JUDGING, replace(CI, subject=base_of("code")), "has another candidate"),
        (WAITING, replace(CI, subject=input_of("code", 1), commit="c0", tree="t0"), "has another candidate"),
        (SECOND, CI, "code/1.1 has another candidate"),
        (ACCEPTED, DELIVER, ""),
        (ACCEPTED, replace(DELIVER, series=("c1",)), ""),
        (ACCEPTED, replace(DELIVER, series=("c9", "c1")), "not all of the series is accepted"),
        (ACCEPTED, replace(DELIVER, commit="c9"), "it is not what the run accepted"),
        (ACCEPTED, replace(DELIVER, branch="main"), "no person gave the branch this name"),
        (ACCEPTED, AGAIN, "branch b is begun"),
        (ASKED, DELIVER, "it is not what the run accepted"),
        ((*ACCEPTED, AnswerTaken("a", Action.CANCEL, "me")), DELIVER, "me cancelled the run"),
        (DELIVERING, DELIVER, "branch b is begun"),
        (DELIVERING, AGAIN, ""),
        (DELIVERING, replace(AGAIN, begun=DeliveryBegun("b", "c8", "c1")), "another branch was begun"),
        (DELIVERING, replace(AGAIN, begun=DeliveryBegun("main", "c9", "c1")), "another branch was begun"),
        (DELIVERED, AGAIN, "branch b is begun"),
        (DELIVERED, DELIVER, "the branch is delivered"),
    ],
)
def test_a_repository_does_what_the_history_leads_to(
    history: tuple[Event, ...], effect: EvaluateGate | DeliverBranch, why: str
) -> None:
    said = admit_errand(after(*history), effect)
    assert (why in said, bool(why)) == (True, bool(said)), said
