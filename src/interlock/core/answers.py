"""What a human's answer does to a run: whether it fits, how it changes the state, and what it wants done.

Rule: an answer that names an attempt is about that attempt and no other; the newest answer to a stage is the
one that is carried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from interlock.core.attempts import taking_part
from interlock.core.effects import Effect, LoseAttempt, Pause, SendBack
from interlock.core.events import Action, AnswerTaken, Finding, PauseReason, VerdictGiven, VerdictStatus
from interlock.core.handoffs import accept_handoff
from interlock.core.ids import AttemptId, input_of
from interlock.core.judging import unpassed_gates
from interlock.core.limits import bounded, limit_names
from interlock.core.pipeline import Pipeline, Stage
from interlock.core.state import Phase, QuotaWait, Rejection, RunState, StageState, fits, moved
from interlock.core.values import changed
from interlock.text.names import is_branch

_WHY_MAX = 300  # characters

_NOT_PASSED = (
    "not every hard gate passed, or it is not judged yet: wait for its gates, or use --override, which accepts it"
    " anyway and which every later view shows"
)


def admit_answer(state: RunState, event: AnswerTaken) -> str:
    """Why the answer does not fit the state, or empty where it does."""
    match event.action:
        case Action.CANCEL:
            return _admit_cancel(state)
        case Action.CONTINUE:
            return _admit_branch(state, event.branch) if event.branch else ""
        case Action.RAISE:
            return _admit_raise(state, event)
        case Action.APPROVE | Action.REJECT | Action.ACCEPT | Action.RETRY:
            if too_late := _delivered(state):
                return too_late
            stage = state.stages.get(event.stage)
            return _admit_to_stage(stage, event) if stage else "the stage is not part of this run"
        case _:
            assert_never(event.action)


def must_wait(state: RunState, action: Action) -> bool:
    """Whether an answer stays in the inbox: while the branch is being made, nobody knows yet which came first."""
    return action is Action.CANCEL and state.delivering is not None and state.pause is None


def take_answer(state: RunState, event: AnswerTaken) -> RunState:
    """The state after an admitted answer."""
    match event.action:
        case Action.CANCEL:
            return changed(state, cancelled_by=event.by or "someone", cancelled_why=event.comment.strip()[:_WHY_MAX])
        case Action.RAISE:
            return _lift(changed(state, raised=_raised(state.raised, event)), event, (PauseReason.LIMIT,))
        case Action.CONTINUE:
            lifted = _lift(state, event, (PauseReason.INFRASTRUCTURE, PauseReason.DELIVERY))
            branch = event.branch or state.branch
            base = _decided(state.base_verdicts)
            base_open = state.base_open & base.keys()
            return changed(lifted, errors={}, base_verdicts=base, base_open=base_open, branch=branch)
        case Action.APPROVE | Action.REJECT | Action.ACCEPT | Action.RETRY:
            former = state.stages[event.stage]
            stage = moved(former, event, _answered(former, event))
            errors = {name: error for name, error in state.errors.items() if f" {event.stage}/" not in name}
            return changed(state, errors=errors, stages=state.stages.having(event.stage, stage))
        case _:
            assert_never(event.action)


def human_verdict(event: AnswerTaken) -> VerdictGiven:
    """`approve` and `reject` as the verdict of the human gate that they answer."""
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


def passed_hard_gates(stage: StageState, attempt: AttemptId | None) -> bool:
    """Whether every hard gate passed on a candidate of the stage in this epoch. Its events tell: soft and human gates
    are asked only after that."""
    if (rejected := _rejection(stage, attempt)) is not None:
        return not rejected.event.hard
    verdicts = stage.verdicts.values()
    if stage.candidate is None or stage.candidate.attempt != attempt or any(_is_hard_no(item) for item in verdicts):
        return False
    return bool(stage.asked) or _waits_to_review(stage) or any(not item.hard for item in verdicts)


def carry_out(pipeline: Pipeline, state: RunState, stage: Stage, now: StageState) -> Iterator[Effect]:
    """What a person asked for, where it is not the usual course of things."""
    answer = now.answer
    if answer is None:
        return
    busy = now.phase is Phase.WORKING or (now.phase is Phase.JUDGING and answer.action is Action.RETRY)
    if busy and (answer.now or answer.action is Action.ACCEPT) and now.attempt is not None:
        yield LoseAttempt(now.attempt.attempt, f"ended by {answer.by}")
    elif answer.action is Action.ACCEPT:
        yield from _accept_as_told(pipeline, state, stage, now)
    elif now.settled:
        attempt = now.attempt.attempt if now.attempt else input_of(stage.id, now.epoch)
        yield SendBack(attempt, stage.id, -1, answer.feedback, taking_part(pipeline, state, stage.id))


# --- whether it fits ----------------------------------------------------------------------------


def _admit_cancel(state: RunState) -> str:
    """A person may end a run that paused because nobody could tell whether the branch is there."""
    return "" if state.pause is not None and state.delivered is None else _delivered(state)


def _admit_branch(state: RunState, branch: str) -> str:
    """One run delivers one branch: not another one where one may be there."""
    if state.pause is not None and state.delivering is not None:
        return f"branch {state.delivering.branch} may already exist"
    return _delivered(state) or ("" if is_branch(branch) else f"{branch!r} is not a valid branch name")


def _delivered(state: RunState) -> str:
    if state.delivered is not None:
        return f"branch {state.delivered.branch} is delivered"
    return f"branch {state.delivering.branch} is being delivered" if state.delivering is not None else ""


def _admit_raise(state: RunState, event: AnswerTaken) -> str:
    known = limit_names(state.stages)
    unknown = [name for name, _ in event.limits if name not in known]
    if unknown or not event.limits:
        return f"there is no limit {', '.join(unknown) or 'named'}: expected one of {', '.join(known)}"
    fits = all(0 < amount < float("inf") for _, amount in event.limits)
    return "" if fits else "raise a limit by a positive number"


def _admit_to_stage(stage: StageState, event: AnswerTaken) -> str:
    if event.subject is not None and event.subject.epoch != stage.epoch:
        return f"epoch {event.subject.epoch} is over, the stage is in epoch {stage.epoch}"
    newest = stage.attempt.attempt if stage.attempt is not None else None
    if event.action is Action.ACCEPT:
        return _admit_acceptance(stage, event)
    if event.action is Action.RETRY:
        return _admit_retry(stage, event, newest)
    waiting = fits(stage, event) and event.gate in stage.asked and event.subject == newest
    return "" if waiting else "nothing in that attempt waits for this answer"


def _admit_retry(stage: StageState, event: AnswerTaken, newest: AttemptId | None) -> str:
    if event.subject is not None and event.subject != newest:
        return f"{event.subject} is not the newest attempt, which is {newest}"
    if stage.phase in (Phase.WORKING, Phase.JUDGING) and not event.now:
        return f"the stage is {stage.phase}; --now ends it first"
    return ""


def _admit_acceptance(stage: StageState, event: AnswerTaken) -> str:
    """A candidate is needed, and `--override` unless every hard gate passed on it."""
    current = stage.candidate is not None and stage.candidate.attempt == event.subject
    rejected = _rejection(stage, event.subject) is not None
    if stage.settled:
        return f"the stage is {stage.phase}"
    if not fits(stage, event) or not (current or rejected):
        return f"{event.subject or 'it'} has no candidate"
    if not event.override and not passed_hard_gates(stage, event.subject):
        return _NOT_PASSED
    return ""


def _rejection(stage: StageState, attempt: AttemptId | None) -> Rejection | None:
    return next((item for item in stage.rejections if item.event.attempt == attempt), None)


def _is_hard_no(verdict: VerdictGiven) -> bool:
    return verdict.hard and verdict.status is not VerdictStatus.PASSED


def _waits_to_review(stage: StageState) -> bool:
    """While a candidate is judged, a limit stops only a review."""
    return stage.paused_from is Phase.JUDGING and _paused_for(stage, (PauseReason.LIMIT,))


# --- what it changes ----------------------------------------------------------------------------


def _raised(former: Mapping[str, float], event: AnswerTaken) -> Mapping[str, float]:
    raised = dict(former)
    for name, amount in event.limits:
        raised[name] = raised.get(name, 0.0) + amount
    return raised


def _lift(state: RunState, event: AnswerTaken, reasons: tuple[PauseReason, ...]) -> RunState:
    """End the pauses of these reasons; the failures of those stages are forgotten."""
    stages = state.stages
    for name in stages.live:
        stage = stages[name]
        if _paused_for(stage, reasons):
            stages = stages.having(name, moved(stage, event, _unpaused(stage)))
    pause = None if state.pause and state.pause.reason in reasons else state.pause
    return changed(state, stages=stages, pause=pause)


def _paused_for(stage: StageState, reasons: tuple[PauseReason, ...]) -> bool:
    return stage.phase is Phase.PAUSED and stage.pause is not None and stage.pause.reason in reasons


def _unpaused(stage: StageState) -> StageState:
    return changed(
        stage,
        pause=None,
        errors=0,
        waited=QuotaWait(),
        gates_waited={},
        failure=None,
        down=(),
        limited=(),
        failures={},
        retry_at=0.0,
        verdicts=_decided(stage.verdicts),
        input_verdicts=_decided(stage.input_verdicts),
    )


def _decided(verdicts: Mapping[str, VerdictGiven]) -> Mapping[str, VerdictGiven]:
    return {gate: verdict for gate, verdict in verdicts.items() if verdict.decided}


def _answered(stage: StageState, event: AnswerTaken) -> StageState:
    if event.action is Action.RETRY:
        return _retry(stage, event)
    if event.action is Action.ACCEPT:
        return changed(stage, answer=event)
    return stage.judged(human_verdict(event))


def _retry(stage: StageState, event: AnswerTaken) -> StageState:
    """At once where nothing is in the way; else the planner sees to it that it is out of the way first."""
    if stage.settled:
        return changed(stage, answer=event)
    feedback = (*stage.feedback, event.feedback) if event.feedback else stage.feedback
    if stage.phase in (Phase.WORKING, Phase.JUDGING):
        return changed(stage, answer=event, feedback=feedback, charged=0)
    answer = replace(event, now=False) if event.commit else None
    return changed(_unpaused(stage), charged=0, feedback=feedback, answer=answer)


# --- what it wants done --------------------------------------------------------------------------


def _accept_as_told(pipeline: Pipeline, state: RunState, stage: Stage, now: StageState) -> Iterator[Effect]:
    answer, subject = now.answer, now.answer.subject if now.answer else None
    if answer is None or subject is None:
        return
    accept = accept_handoff(pipeline, state, subject, answer.by)
    if accept is None:
        return
    if unpassed_gates(pipeline, state, stage, accept.verdicts):
        accept = replace(accept, override_by=answer.by)
    paused = now.pause is not None and now.pause.reason is PauseReason.INFRASTRUCTURE
    for effect in bounded(state, accept, stage.id, PauseReason.INFRASTRUCTURE):
        if not (paused and isinstance(effect, Pause)):  # it is said already
            yield effect
