"""What a handoff hangs on: the planner fills it in from the history alone."""

from __future__ import annotations

from dataclasses import replace

from interlock.core.effects import AcceptHandoff
from interlock.core.events import (
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Event,
    HandoffAccepted,
    InputPrepared,
    Recorded,
    RunStarted,
    StageSkipped,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.fold import fold
from interlock.core.handoffs import accept_handoff
from interlock.core.ids import AttemptId, input_of
from interlock.core.pipeline import AgentSpec, Pipeline, Stage, When
from interlock.core.plan import plan
from interlock.core.state import RunState
from interlock.core.wire import decode_effect, encode_effect

PIPELINE = Pipeline(
    "mend",
    (
        Stage("plan", agent="coder"),
        Stage("left", needs=("plan",), agent="coder"),
        Stage("right", needs=("plan",), agent="coder", when=When("plan/size", "", '"large"')),
        Stage("both", needs=("left", "right"), agent="coder"),
    ),
    agents=(AgentSpec("coder", "command"),),
)
STARTED = RunStarted("r1", "mend", "d", "Mend it.", "c0", "t0", ("plan", "left", "right", "both"))


def made(stage: str, source: str, number: int = 1) -> tuple[Event, ...]:
    attempt = AttemptId(stage, 1, number)
    begun = () if number > 1 else (InputPrepared(input_of(stage, 1), source, f"t-{source}", (source,)),)
    return (
        *begun,
        AttemptStarted(attempt, "coder", "a model", f"t-{source}"),
        CandidateProduced(attempt, f"{stage}{number}", f"t-{stage}{number}"),
    )


def accepted(stage: str, source: str) -> tuple[Event, ...]:
    attempt = AttemptId(stage, 1, 1)
    return (*made(stage, source), HandoffAccepted(attempt, f"{stage}1", f"t-{stage}1", f"record of {stage}"))


def after(*events: Event) -> RunState:
    return fold([Recorded(seq, float(seq), event) for seq, event in enumerate((STARTED, *events), 1)])


def wanted(*events: Event) -> AcceptHandoff:
    found = [effect for effect in plan(PIPELINE, after(*events)) if isinstance(effect, AcceptHandoff)]
    assert len(found) == 1
    return found[0]


def test_an_acceptance_has_the_events_of_its_attempt_and_none_before_the_base() -> None:
    effect = wanted(*(events := made("plan", "c0")))
    assert (effect.prepared, effect.started, effect.candidate, effect.inputs) == (*events, ())
    assert decode_effect(encode_effect(effect)) == effect


def test_its_inputs_are_the_accepted_handoffs_and_a_skipped_stage_passes_on_its_own() -> None:
    plan_, left = accepted("plan", "c0"), accepted("left", "plan1")
    skipped = (
        InputPrepared(input_of("right", 1), "plan1", "t-plan1", ("plan1",)),
        StageSkipped(input_of("right", 1), ""),
    )
    effect = wanted(*plan_, *left, *skipped, *made("both", "merged"))
    assert [each.record for each in effect.inputs] == ["record of left", "record of plan"]
    assert [each.record for each in wanted(*plan_, *made("left", "plan1")).inputs] == ["record of plan"]


def test_a_rejected_candidate_that_a_person_accepts_is_told_by_its_own_events() -> None:
    first, second = made("plan", "c0"), made("plan", "c0", 2)
    verdict = VerdictGiven(AttemptId("plan", 1, 1), "plan/scope", 1, VerdictStatus.FAILED)
    rejected = CandidateRejected(AttemptId("plan", 1, 1), "t-plan1", "told", "f")
    state = after(*first, verdict, rejected, *second)
    effect = accept_handoff(PIPELINE, state, AttemptId("plan", 1, 1), "ann")
    assert effect is not None
    assert (effect.started, effect.candidate, effect.verdicts) == (first[1], first[2], (verdict,))
    newest = accept_handoff(PIPELINE, state, AttemptId("plan", 1, 2), "ann")
    assert newest == replace(effect, attempt=AttemptId("plan", 1, 2), commit="plan2", tree="t-plan2", verdicts=(),
                             started=second[0], candidate=second[1])  # fmt: skip


def test_nothing_is_accepted_where_there_is_no_candidate() -> None:
    assert accept_handoff(PIPELINE, after(), AttemptId("plan", 1, 1), "ann") is None
