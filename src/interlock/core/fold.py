"""`apply` and `fold`: how events become state.

Rule: `apply(state, record)` is total over what `admit` lets in and is never asked anything else.
The journal holds admitted events and `Refused` ones only, so a fold of it never fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from interlock.core.answers import take_answer
from interlock.core.changed import changed
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
    EffectErrored,
    Event,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    Recorded,
    Refused,
    RunFinished,
    RunStarted,
    SentBack,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    WhenHeld,
)
from interlock.core.state import TRANSITIONS, Phase, Rejection, RunState, StageState, stage_of


def fold(records: Iterable[Recorded], state: RunState | None = None) -> RunState:
    """The state after `records`, beginning with `state` or with nothing."""
    folded = state or RunState()
    for record in records:
        folded = apply(folded, record)
    return folded


def apply(state: RunState, record: Recorded) -> RunState:
    """The state after one admitted event."""
    event = record.event
    spent = state.spent
    if not isinstance(event, OwnerChanged) and any(stage.busy for stage in state.stages.values()):
        spent = changed(spent, wall_s=spent.wall_s + max(0.0, record.at - state.at))  # not while nobody owned it
    state = changed(state, seq=record.seq, at=record.at, spent=spent, now=max(state.now, record.at))
    if isinstance(event, _OF_RUN):
        return _apply_to_run(state, event)
    return _apply_to_stage(state, event)


_OF_RUN = (RunStarted, OwnerChanged, Refused, TimeReached, EffectErrored, Delivered, RunFinished)


# --- the run ------------------------------------------------------------------------------------


def _apply_to_run(state: RunState, event: Event) -> RunState:
    match event:
        case RunStarted():
            stages = {stage: StageState() for stage in event.stages}
            return changed(state, started=event, started_at=state.at, stages=stages)
        case OwnerChanged():
            return changed(state, fence=event.fence, stages={k: _orphan(v) for k, v in state.stages.items()})
        case TimeReached():
            return changed(state, now=max(state.now, event.at))
        case EffectErrored():
            return changed(state, errors={**state.errors, event.effect: event})
        case Delivered():
            return changed(state, delivered=event)
        case RunFinished():
            return changed(state, finished=event)
        case _:
            return state


def _orphan(stage: StageState) -> StageState:
    return changed(stage, orphaned=True) if stage.phase is Phase.WORKING else stage


# --- a stage ------------------------------------------------------------------------------------


def _apply_to_stage(state: RunState, event: Event) -> RunState:
    match event:
        case VerdictGiven() if event.subject.is_base:
            return changed(state, base_verdicts={**state.base_verdicts, event.gate: event})
        case SentBack():
            return _send_back(state, event)
        case AnswerTaken():
            return take_answer(state, event)
        case Paused(stage=""):
            return changed(state, pause=event)
        case AttemptErrored():
            state = changed(state, spent=state.spent.plus(event.usage, 0))
        case CandidateProduced() if _by_agent(state, event):
            state = changed(state, spent=state.spent.plus(event.usage, 1))
        case _:
            pass
    name = stage_of(event)
    return changed(state, stages={**state.stages, name: _advance(state.stages[name], event)})


def _by_agent(state: RunState, event: CandidateProduced) -> bool:
    attempt = state.stages[event.attempt.stage].attempt
    return attempt is not None and bool(attempt.agent)


def _advance(stage: StageState, event: Event) -> StageState:
    phase = TRANSITIONS.get((stage.phase, type(event)), stage.phase)
    match event:
        case InputPrepared():
            return changed(stage, phase=phase, input=event)
        case WhenHeld():
            return changed(stage, when_held=True)
        case StageSkipped():
            output = (stage.input.commit, stage.input.tree) if stage.input else None
            return changed(stage, phase=phase, output=output)
        case AttemptStarted():
            return _begin(stage, event)
        case AttemptLost():
            return changed(stage, phase=phase, orphaned=False, answer=_after_end(stage), asked=frozenset())
        case AttemptErrored():
            return _let_down(stage, event)
        case CandidateProduced():
            return _produce(stage, event)
        case VerdictGiven() if event.subject.is_input:
            return changed(stage, input_verdicts={**stage.input_verdicts, event.gate: event})
        case VerdictGiven():
            return stage.judged(event)
        case ApprovalAsked():
            return changed(stage, asked=stage.asked | {event.gate})
        case CandidateRejected():
            return _reject(stage, event)
        case HandoffAccepted():
            return _accept(stage, event)
        case Paused():
            came_from = stage.paused_from if stage.phase is Phase.PAUSED else stage.phase
            return changed(stage, phase=phase, pause=event, paused_from=came_from)
        case _:
            return stage


def _begin(stage: StageState, event: AttemptStarted) -> StageState:
    return changed(
        stage,
        phase=Phase.WORKING,
        attempt=event,
        number=event.attempt.number,
        candidate=None,
        verdicts={},
        asked=frozenset(),
        orphaned=False,
        retry_at=0.0,
    )


def _let_down(stage: StageState, event: AttemptErrored) -> StageState:
    return changed(
        stage,
        phase=Phase.READY,
        errors=stage.errors + (not event.quota),
        quota_waits=stage.quota_waits + event.quota,
        failure=event,
        retry_at=event.retry_at,
        answer=_after_end(stage),
    )


def _produce(stage: StageState, event: CandidateProduced) -> StageState:
    """An answer stays to be carried out, unless this candidate is what it asked for."""
    submitted = stage.attempt is not None and bool(stage.attempt.by)
    return changed(
        stage,
        phase=Phase.JUDGING,
        candidate=event,
        errors=0,
        quota_waits=0,
        failure=None,
        answer=None if submitted else stage.answer,
    )


def _reject(stage: StageState, event: CandidateRejected) -> StageState:
    commit = stage.candidate.commit if stage.candidate else ""
    rejection = Rejection(event, commit, tuple(stage.verdicts.values()))
    return changed(
        stage,
        phase=Phase.REJECTED,
        rejections=(*stage.rejections, rejection),
        charged=stage.charged + 1,
        feedback=(*stage.feedback, event.feedback) if event.feedback else stage.feedback,
        asked=frozenset(),
    )


def _accept(stage: StageState, event: HandoffAccepted) -> StageState:
    """A person may accept an earlier candidate: then its verdicts are those of the stage."""
    earlier = next((item for item in stage.rejections if item.event.attempt == event.attempt), None)
    verdicts = {verdict.gate: verdict for verdict in earlier.verdicts} if earlier else stage.verdicts
    return changed(
        stage,
        phase=Phase.ACCEPTED,
        accepted=event,
        output=(event.commit, event.tree),
        verdicts=verdicts,
        asked=frozenset(),
        pause=None,
        answer=None,
    )


def _after_end(stage: StageState) -> AnswerTaken | None:
    """What is left to carry out once the attempt is out of the way: of a retry, a person's own commit."""
    retry = stage.answer is not None and stage.answer.action is Action.RETRY
    return _submission(stage.answer) if retry else stage.answer


def _submission(answer: AnswerTaken | None) -> AnswerTaken | None:
    if answer is None or answer.action is not Action.RETRY or not answer.commit:
        return None
    return replace(answer, now=False)


def _send_back(state: RunState, event: SentBack) -> RunState:
    """New epochs for all that is reset; what kept the former result from being delivered is forgotten."""
    stages = dict(state.stages)
    for name in event.resets:
        former = stages[name]
        feedback = (event.feedback,) if name == event.target and event.feedback else ()
        answer = _submission(former.answer) if name == event.target else None
        stages[name] = StageState(epoch=former.epoch + 1, feedback=feedback, answer=answer)
    loops = dict(state.loops)
    if event.rule >= 0:
        key = (event.attempt.stage, event.rule)
        loops[key] = loops.get(key, 0) + 1
    errors = {name: error for name, error in state.errors.items() if " " in name}
    return changed(state, stages=stages, loops=loops, errors=errors, pause=None)
