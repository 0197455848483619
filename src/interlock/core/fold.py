"""`admit`, `apply` and `fold`: how events become state.

Rule: `apply(state, record)` is total over what `admit` lets in and is never asked anything else.
The journal holds admitted events and `Refused` ones only, so a fold of it never fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

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
    Finding,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    PauseReason,
    Recorded,
    Refused,
    RunFinished,
    RunStarted,
    SentBack,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.ids import AttemptId
from interlock.core.state import TRANSITIONS, Phase, Rejection, RunState, StageState


def fold(records: Iterable[Recorded], state: RunState | None = None) -> RunState:
    """The state after `records`, beginning with `state` or with nothing."""
    folded = state or RunState()
    for record in records:
        folded = apply(folded, record)
    return folded


def admit(state: RunState, event: Event) -> str:
    """Why `event` does not fit the state, or empty where it does."""
    if isinstance(event, Refused | OwnerChanged | TimeReached):
        return ""
    if isinstance(event, RunStarted):
        return "the run has started" if state.started else ""
    if state.started is None:
        return "the run has not started"
    if state.finished is not None:
        return f"the run is {state.finished.status}"
    match event:
        case EffectErrored() | Delivered() | RunFinished():
            return ""
        case AnswerTaken():
            return _admit_answer(state, event)
        case Paused(stage=""):
            return "already paused" if state.pause else ""
        case VerdictGiven():
            return _admit_verdict(state, event)
        case SentBack():
            return _admit_sent_back(state, event)
        case _:
            return _admit_stage_event(state, event)


def apply(state: RunState, record: Recorded) -> RunState:
    """The state after one admitted event."""
    event = record.event
    spent = state.spent
    if state.at and any(stage.busy for stage in state.stages.values()):
        spent = replace(spent, wall_s=spent.wall_s + max(0.0, record.at - state.at))
    state = replace(state, seq=record.seq, at=record.at, spent=spent, now=max(state.now, record.at))
    if isinstance(event, _OF_RUN):
        return _apply_to_run(state, event)
    return _apply_to_stage(state, event)


def stage_of(event: Event) -> str:
    """The stage that an event is about; empty for events of the run."""
    match event:
        case AttemptStarted() | AttemptLost() | AttemptErrored() | CandidateProduced() | HandoffAccepted():
            return event.attempt.stage
        case CandidateRejected() | SentBack():
            return event.attempt.stage
        case InputPrepared() | StageSkipped() | WhenHeld() | VerdictGiven() | ApprovalAsked():
            return event.subject.stage
        case Paused() | AnswerTaken():
            return event.stage
        case _:
            return ""


_OF_RUN = (RunStarted, OwnerChanged, Refused, TimeReached, EffectErrored, Delivered, RunFinished)
_ASKED_BY_PERSON = (Phase.PAUSED, Phase.READY, Phase.REJECTED)


def _subject_of(event: Event) -> AttemptId | None:
    match event:
        case AttemptStarted() | AttemptLost() | AttemptErrored() | CandidateProduced() | HandoffAccepted():
            return event.attempt
        case CandidateRejected() | SentBack():
            return event.attempt
        case InputPrepared() | StageSkipped() | WhenHeld() | ApprovalAsked():
            return event.subject
        case _:
            return None


def _admit_stage_event(state: RunState, event: Event) -> str:
    stage = state.stages.get(stage_of(event))
    if stage is None:
        return "the stage takes no part in this run"
    subject = _subject_of(event)
    if subject is not None and subject.epoch != stage.epoch:
        return f"epoch {subject.epoch} is over, the stage is in epoch {stage.epoch}"
    if (stage.phase, type(event)) not in TRANSITIONS:
        return f"the stage is {stage.phase}"
    match event:
        case AttemptStarted():
            return "" if event.attempt.number == stage.number + 1 else "the attempt has another number"
        case AttemptLost() | AttemptErrored() | CandidateProduced():
            return _admit_of_newest(stage, event.attempt)
        case CandidateRejected():
            return "the stage is accepted by a person" if stage.answer else _admit_of_newest(stage, event.attempt)
        case ApprovalAsked():
            return _admit_of_newest(stage, event.subject)
        case HandoffAccepted():
            return _admit_accept(stage, event)
        case _:
            return ""


def _admit_of_newest(stage: StageState, attempt: AttemptId) -> str:
    if stage.attempt is None or stage.attempt.attempt != attempt:
        return "it is not the attempt at work"
    return ""


def _admit_accept(stage: StageState, event: HandoffAccepted) -> str:
    asked = stage.answer is not None and stage.answer.action is Action.ACCEPT
    if asked and stage.answer is not None and stage.answer.subject == event.attempt:
        return ""
    if stage.phase is not Phase.JUDGING:
        return f"the stage is {stage.phase}"
    return _admit_of_newest(stage, event.attempt)


def _admit_verdict(state: RunState, event: VerdictGiven) -> str:
    stage = state.stages.get(event.subject.stage)
    if stage is None:
        return "the stage takes no part in this run"
    if event.subject.is_base:
        return _admit_try(state.base_verdicts.get(event.gate), event)
    if event.subject.epoch != stage.epoch:
        return f"epoch {event.subject.epoch} is over, the stage is in epoch {stage.epoch}"
    if event.subject.is_input:
        return _admit_try(stage.input_verdicts.get(event.gate), event) if stage.input else "it has no input yet"
    if stage.phase is not Phase.JUDGING:
        return f"the stage is {stage.phase}"
    return _admit_of_newest(stage, event.subject) or _admit_try(stage.verdicts.get(event.gate), event)


def _admit_try(former: VerdictGiven | None, event: VerdictGiven) -> str:
    if former is not None and former.decided:
        return "the gate has decided"
    expected = former.number + 1 if former else 1
    return "" if event.number == expected else f"it is try {event.number}, due is {expected}"


def _admit_sent_back(state: RunState, event: SentBack) -> str:
    stage = state.stages.get(event.attempt.stage)
    if stage is None or event.target not in state.stages:
        return "the stage takes no part in this run"
    if event.attempt.epoch != stage.epoch:
        return f"epoch {event.attempt.epoch} is over, the stage is in epoch {stage.epoch}"
    if (stage.phase, SentBack) not in TRANSITIONS:
        return f"the stage is {stage.phase}"
    return ""


def _admit_answer(state: RunState, event: AnswerTaken) -> str:
    if event.action in (Action.CANCEL, Action.RAISE, Action.CONTINUE):
        return ""
    stage = state.stages.get(event.stage)
    if stage is None:
        return "the stage takes no part in this run"
    if event.subject is not None and event.subject.epoch != stage.epoch:
        return f"epoch {event.subject.epoch} is over, the stage is in epoch {stage.epoch}"
    if event.action in (Action.APPROVE, Action.REJECT):
        waiting = stage.phase is Phase.JUDGING and event.gate in stage.asked
        if event.subject is None or not waiting or _admit_of_newest(stage, event.subject):
            return "nothing of that attempt waits for this answer"
        return ""
    if stage.answer is not None:
        return "an answer is being carried out"
    if event.action is Action.ACCEPT:
        return _admit_acceptance(stage, event)
    if stage.phase in (Phase.WORKING, Phase.JUDGING) and not event.now:
        return f"the stage is {stage.phase}; --now ends that first"
    return ""


def _admit_acceptance(stage: StageState, event: AnswerTaken) -> str:
    """A candidate is needed, and `--override` unless every hard gate passed on it."""
    current = stage.candidate is not None and stage.candidate.attempt == event.subject
    rejected = next((item for item in stage.rejections if item.event.attempt == event.subject), None)
    if stage.settled:
        return f"the stage is {stage.phase}"
    if not current and rejected is None:
        return f"{event.subject} has no candidate"
    passed = not rejected.event.hard if rejected else bool(stage.asked)
    if not passed and not event.override:
        return "not every hard gate passed on it; --override accepts it all the same, and stays visible"
    return ""


# --- the run ------------------------------------------------------------------------------------


def _apply_to_run(state: RunState, event: Event) -> RunState:
    match event:
        case RunStarted():
            stages = {stage: StageState() for stage in event.stages}
            return replace(state, started=event, started_at=state.at, stages=stages)
        case OwnerChanged():
            return replace(state, fence=event.fence, stages={k: _orphan(v) for k, v in state.stages.items()})
        case TimeReached():
            return replace(state, now=max(state.now, event.at))
        case EffectErrored():
            return replace(state, errors={**state.errors, event.effect: event})
        case Delivered():
            return replace(state, delivered=event)
        case RunFinished():
            return replace(state, finished=event)
        case _:
            return state


def _orphan(stage: StageState) -> StageState:
    return replace(stage, orphaned=True) if stage.phase is Phase.WORKING else stage


# --- a stage ------------------------------------------------------------------------------------


def _apply_to_stage(state: RunState, event: Event) -> RunState:
    match event:
        case VerdictGiven() if event.subject.is_base:
            return replace(state, base_verdicts={**state.base_verdicts, event.gate: event})
        case SentBack():
            return _send_back(state, event)
        case AnswerTaken():
            return _take_answer(state, event)
        case Paused(stage=""):
            return replace(state, pause=event)
        case AttemptErrored():
            state = replace(state, spent=state.spent.plus(event.usage, 0))
        case CandidateProduced() if _by_agent(state, event):
            state = replace(state, spent=state.spent.plus(event.usage, 1))
        case _:
            pass
    name = stage_of(event)
    return replace(state, stages={**state.stages, name: _advance(state.stages[name], event)})


def _by_agent(state: RunState, event: CandidateProduced) -> bool:
    attempt = state.stages[event.attempt.stage].attempt
    return attempt is not None and bool(attempt.agent)


def _advance(stage: StageState, event: Event) -> StageState:
    phase = TRANSITIONS.get((stage.phase, type(event)), stage.phase)
    match event:
        case InputPrepared():
            return replace(stage, phase=phase, input=event)
        case WhenHeld():
            return replace(stage, when_held=True)
        case StageSkipped():
            output = (stage.input.commit, stage.input.tree) if stage.input else None
            return replace(stage, phase=phase, output=output)
        case AttemptStarted():
            return _begin(stage, event)
        case AttemptLost():
            answer = stage.answer
            if answer is not None and answer.action is Action.RETRY:
                answer = _submission(answer)
            return replace(stage, phase=phase, orphaned=False, answer=answer, asked=frozenset())
        case AttemptErrored():
            errors = stage.errors if event.quota else stage.errors + 1
            return replace(stage, phase=phase, errors=errors, failure=event, retry_at=event.retry_at)
        case CandidateProduced():
            return replace(stage, phase=phase, candidate=event, errors=0, failure=None, answer=None)
        case VerdictGiven():
            return _judge(stage, event)
        case ApprovalAsked():
            return replace(stage, asked=stage.asked | {event.gate})
        case CandidateRejected():
            return _reject(stage, event)
        case HandoffAccepted():
            output = (event.commit, event.tree)
            return replace(stage, phase=phase, accepted=event, output=output, pause=None, answer=None)
        case Paused():
            return replace(stage, phase=phase, pause=event, paused_from=stage.phase)
        case _:
            return stage


def _begin(stage: StageState, event: AttemptStarted) -> StageState:
    return replace(
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


def _submission(answer: AnswerTaken | None) -> AnswerTaken | None:
    """What stays of `retry` once the former attempt is out of the way: the person's own commit."""
    return replace(answer, now=False) if answer is not None and answer.commit else None


def _judge(stage: StageState, event: VerdictGiven) -> StageState:
    if event.subject.is_input:
        return replace(stage, input_verdicts={**stage.input_verdicts, event.gate: event})
    return replace(stage, verdicts={**stage.verdicts, event.gate: event}, asked=stage.asked - {event.gate})


def _reject(stage: StageState, event: CandidateRejected) -> StageState:
    commit = stage.candidate.commit if stage.candidate else ""
    rejection = Rejection(event, commit, tuple(stage.verdicts.values()))
    return replace(
        stage,
        phase=Phase.REJECTED,
        rejections=(*stage.rejections, rejection),
        charged=stage.charged + 1,
        feedback=(*stage.feedback, event.feedback) if event.feedback else stage.feedback,
        asked=frozenset(),
    )


def _send_back(state: RunState, event: SentBack) -> RunState:
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
    return replace(state, stages=stages, loops=loops)


# --- answers ------------------------------------------------------------------------------------


def _take_answer(state: RunState, event: AnswerTaken) -> RunState:
    match event.action:
        case Action.CANCEL:
            return replace(state, cancelled_by=event.by or "someone")
        case Action.RAISE:
            raised = dict(state.raised)
            for name, amount in event.limits:
                raised[name] = raised.get(name, 0.0) + amount
            return _lift(replace(state, raised=raised), (PauseReason.LIMIT,))
        case Action.CONTINUE:
            return _lift(state, (PauseReason.INFRASTRUCTURE, PauseReason.DELIVERY))
        case Action.APPROVE | Action.REJECT | Action.RETRY | Action.ACCEPT:
            stage = _answer_stage(state.stages[event.stage], event)
            return replace(state, stages={**state.stages, event.stage: stage})
        case _:
            assert_never(event.action)


def _lift(state: RunState, reasons: tuple[PauseReason, ...]) -> RunState:
    """End the pauses of these reasons; failures counted so far are forgotten."""
    stages = {name: _unpause(stage) if _paused_for(stage, reasons) else stage for name, stage in state.stages.items()}
    pause = None if state.pause and state.pause.reason in reasons else state.pause
    errors = {} if PauseReason.INFRASTRUCTURE in reasons else state.errors
    return replace(state, stages=stages, pause=pause, errors=errors)


def _paused_for(stage: StageState, reasons: tuple[PauseReason, ...]) -> bool:
    return stage.phase is Phase.PAUSED and stage.pause is not None and stage.pause.reason in reasons


def _unpause(stage: StageState) -> StageState:
    return replace(
        stage,
        phase=stage.paused_from,
        pause=None,
        errors=0,
        failure=None,
        retry_at=0.0,
        verdicts={gate: verdict for gate, verdict in stage.verdicts.items() if verdict.decided},
        input_verdicts={gate: verdict for gate, verdict in stage.input_verdicts.items() if verdict.decided},
    )


def _answer_stage(stage: StageState, event: AnswerTaken) -> StageState:
    match event.action:
        case Action.APPROVE | Action.REJECT:
            return _judge(stage, human_verdict(event))
        case Action.RETRY if stage.phase in _ASKED_BY_PERSON:
            return _retry(stage, event)
        case Action.RETRY if not stage.settled:
            feedback = (*stage.feedback, event.feedback) if event.feedback else stage.feedback
            return replace(stage, answer=event, feedback=feedback, charged=0)
        case _:
            return replace(stage, answer=event)


def human_verdict(event: AnswerTaken) -> VerdictGiven:
    approved = event.action is Action.APPROVE
    finding = Finding(rule="human", message=event.comment or "rejected without a comment")
    return VerdictGiven(
        subject=event.subject or AttemptId(event.stage, 0, 0),
        gate=event.gate,
        number=1,
        status=VerdictStatus.PASSED if approved else VerdictStatus.FAILED,
        findings=() if approved else (finding,),
        by=event.by,
        hard=False,
    )


def _retry(stage: StageState, event: AnswerTaken) -> StageState:
    feedback = (*stage.feedback, event.feedback) if event.feedback else stage.feedback
    phase = Phase.READY if stage.input is not None else Phase.WAITING
    return replace(_unpause(stage), phase=phase, charged=0, feedback=feedback, answer=event if event.commit else None)
