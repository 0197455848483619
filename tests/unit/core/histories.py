"""A run with one stage as its history grows: what tests of answers and of admission begin with."""

from __future__ import annotations

from interlock.core.admission import admit
from interlock.core.events import (
    ApprovalAsked,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Delivered,
    DeliveryBegun,
    Event,
    HandoffAccepted,
    InputPrepared,
    Paused,
    PauseReason,
    Recorded,
    RunStarted,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.fold import apply
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.pipeline import AgentSpec, Gate, GateKind, Pipeline, Stage
from interlock.core.state import RunState

GATES = (Gate("scope", GateKind.SCOPE), Gate("test", GateKind.RUN), Gate("look", GateKind.APPROVE))
PIPELINE = Pipeline("p", (Stage("code", agent="coder", gates=GATES),), (AgentSpec("coder", "command"),))
ONE, TWO = AttemptId("code", 1, 1), AttemptId("code", 1, 2)
PASSED, FAILED = VerdictStatus.PASSED, VerdictStatus.FAILED


def verdict(gate: str, status: VerdictStatus = PASSED, attempt: AttemptId = ONE) -> VerdictGiven:
    return VerdictGiven(attempt, f"code/{gate}", 1, status)


WAITING: tuple[Event, ...] = (
    RunStarted("r", "p", "d", "task", "c0", "t0", ("code",)),
    VerdictGiven(base_of("code"), "code/test", 1, PASSED),
)
READY = (*WAITING, InputPrepared(input_of("code", 1), "c0", "t0", ("c0",)))
WORKING = (*READY, AttemptStarted(ONE, "coder", "", "t0"))
JUDGING = (*WORKING, CandidateProduced(ONE, "c1", "t1"), verdict("scope"))
ASKED = (*JUDGING, verdict("test"), ApprovalAsked(ONE, "code/look", "Good?"))
REJECTED = (*JUDGING, verdict("test", FAILED), CandidateRejected(ONE, "t1", "told", "print", gates=("code/test",)))
SECOND = (*REJECTED, AttemptStarted(TWO, "coder", "", "t0"), CandidateProduced(TWO, "c2", "t2"))
PAUSED = (*REJECTED, Paused("code", PauseReason.NO_PROGRESS, "why"))
ACCEPTED = (*ASKED, HandoffAccepted(ONE, "c1", "t1", "record"))
DELIVERING = (*ACCEPTED, DeliveryBegun("b", "c9", "c1"))
UNSURE = (*DELIVERING, Paused("", PauseReason.DELIVERY, "is it there?"))
DELIVERED = (*DELIVERING, Delivered("b", "c9", "c1"))


def after(*events: Event) -> RunState:
    state = RunState()
    for seq, event in enumerate(events, 1):
        assert admit(state, event) == "", event
        state = apply(state, Recorded(seq, float(seq), event))
    return state
