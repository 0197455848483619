"""What may come of an effect: whoever performed it reports of that effect alone."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

import pytest

from interlock.core.admission import admit_report
from interlock.core.effects import (
    AcceptHandoff,
    CheckWhen,
    DeliverBranch,
    EvaluateGate,
    LoseAttempt,
    Operation,
    PrepareInput,
    RejectCandidate,
    StartAttempt,
)
from interlock.core.events import (
    Action,
    AnswerTaken,
    AttemptErrored,
    AttemptLost,
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
    RunFinished,
    RunStatus,
    StageSkipped,
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.ids import AttemptId, input_of

ONE, INPUT = AttemptId("code", 1, 1), input_of("code", 1)
OTHERS = (AttemptId("code", 1, 2), AttemptId("code", 2, 1), AttemptId("test", 1, 1))
JUDGE = EvaluateGate(ONE, "code/test", 2, "c1", "t1", "c0", "t0")
PREPARE = PrepareInput(INPUT, ("c0", "c1"), 1, ("a", "b"))
CHECK = CheckWhen(INPUT, "c0", 1, "its merge is broken")
ACCEPT = AcceptHandoff(ONE, "c1", "t1", "t0", (), "", "me", 1)
REJECT = RejectCandidate(ONE, "c1", "t1", "t0", (), 1)
DELIVER = DeliverBranch("c1", ("c1",), 1)

REPORTS: tuple[tuple[Operation, Event], ...] = (
    (StartAttempt(ONE, "coder", "c0", "t0"), CandidateProduced(ONE, "c1", "t1")),
    (StartAttempt(ONE, "coder", "c0", "t0"), AttemptErrored(ONE, "why", 1.0)),
    (LoseAttempt(ONE, "why"), AttemptLost(ONE, "why")),
    (JUDGE, VerdictGiven(ONE, "code/test", 2, VerdictStatus.PASSED, tree="t1")),
    (PREPARE, InputPrepared(INPUT, "c2", "t2", ("c0", "c1"), names=("a", "b"))),
    (PREPARE, EffectErrored("PrepareInput code/1.0", 1, "why", 1.0)),
    (CHECK, WhenHeld(INPUT)),
    (CHECK, StageSkipped(INPUT, "why")),
    (CHECK, Paused("code", PauseReason.CONFLICT, "why")),
    (CHECK, EffectErrored("CheckWhen code/1.0", 1, "why", 1.0)),
    (ACCEPT, HandoffAccepted(ONE, "c1", "t1", "record", by="me")),
    (ACCEPT, EffectErrored("AcceptHandoff code/1.1", 1, "why", 1.0)),
    (REJECT, CandidateRejected(ONE, "t1", "told", "print")),
    (REJECT, EffectErrored("RejectCandidate code/1.1", 1, "why", 1.0)),
    (DELIVER, DeliveryBegun("b", "c9", "c1")),
    (DELIVER, Delivered("b", "c9", "c1")),
    (DELIVER, EffectErrored("DeliverBranch", 1, "why", 1.0)),
)
OF_NO_EFFECT: tuple[Event, ...] = (
    AnswerTaken("a", Action.APPROVE, "me", "code", ONE, "code/look"),
    OwnerChanged(2, "me"),
    RunFinished(RunStatus.ACCEPTED),
    VerdictGiven(ONE, "code/look", 1, VerdictStatus.PASSED, by="me"),
)
TOLD = {  # what an effect says, and nobody else
    "attempt": OTHERS, "subject": OTHERS, "gate": ("code/look",), "number": (1, 3), "tree": ("t9",), "by": ("you",),
    "sources": (("c1", "c0"),), "names": (("b", "a"),), "stage": ("test",), "reason": (PauseReason.LIMIT,),
    "commit": ("c9x",), "override_by": ("you",), "effect": ("CheckWhen test/1.0",), "source": ("c0",),
}  # fmt: skip
FREE = {(CandidateProduced, "commit"), (CandidateProduced, "tree"), (InputPrepared, "commit"), (InputPrepared, "tree"),
        (DeliveryBegun, "commit"), (Delivered, "commit")}  # fmt: skip


@pytest.mark.parametrize(("effect", "event"), REPORTS, ids=lambda one: type(one).__name__)
def test_it_reports_of_its_effect_alone(effect: Operation, event: Event) -> None:
    assert admit_report(effect, event) == ""
    for each in fields(event):
        if (type(event), each.name) in FREE:
            continue
        for other in TOLD.get(each.name, ()):
            if other != getattr(event, each.name):
                told = admit_report(effect, replace(event, **{each.name: other}))
                assert told == f"{type(event).__name__} is no report of {type(effect).__name__}", (each.name, other)


@pytest.mark.parametrize(
    "effect", {type(effect): effect for effect, _ in REPORTS}.values(), ids=lambda one: type(one).__name__
)
def test_it_reports_no_other_kind(effect: Operation) -> None:
    kinds = {type(event) for other, event in REPORTS if type(other) is type(effect)}
    for _, event in REPORTS:
        if type(event) not in kinds:
            assert admit_report(effect, event)
    for event in OF_NO_EFFECT:
        assert admit_report(effect, event)


def test_every_operation_is_here() -> None:
    assert {type(effect) for effect, _ in REPORTS} == set(get_args(Operation))
