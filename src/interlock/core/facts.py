"""Facts that follow from an effect alone: nothing is done for them, so that whoever drives the run makes them itself.

Rule: one effect is one fact, whichever machine makes it, and when.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from interlock.core.effects import (
    AcceptHandoff,
    AskApproval,
    CheckWhen,
    Decision,
    DeliverBranch,
    EvaluateGate,
    FinishRun,
    LoseAttempt,
    Operation,
    Pause,
    PrepareInput,
    RejectCandidate,
    SendBack,
    StartAttempt,
)
from interlock.core.events import (
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    EffectErrored,
    Event,
    Finding,
    InputPrepared,
    Paused,
    Refused,
    RunFinished,
    SentBack,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.judging import find_gate
from interlock.core.limits import effect_key
from interlock.core.pipeline import GateClass, Pipeline
from interlock.core.state import stage_of


def claim(pipeline: Pipeline, effect: StartAttempt, level: str) -> AttemptStarted:
    """What is recorded before the work of an attempt begins. `level` is that of the sandbox its program would have."""
    stage = pipeline.stage(effect.attempt.stage)
    by_agent = bool(effect.agent) and stage.command is None
    return AttemptStarted(
        attempt=effect.attempt,
        agent=effect.agent,
        model=pipeline.agent(effect.agent).model if by_agent else "",
        input_tree=effect.input_tree,
        by=effect.by,
        sandbox=level if stage.has_worker and not effect.by else "",
    )


def passed_on(effect: PrepareInput) -> InputPrepared | None:
    """The input that is one source as it is, for which no machine is needed; None where something is merged. That the
    source has this tree was looked at when it was accepted."""
    if not effect.tree:
        return None
    (commit,) = effect.sources
    return InputPrepared(effect.subject, commit, effect.tree, effect.sources)


def decided(pipeline: Pipeline, effect: Decision) -> Event:
    """The fact of a decision, which is recorded at once."""
    match effect:
        case AskApproval():
            _, gate = find_gate(pipeline, effect.gate)
            return ApprovalAsked(effect.subject, effect.gate, gate.question)
        case SendBack():
            return SentBack(effect.attempt, effect.target, effect.rule, effect.feedback, effect.resets)
        case Pause():
            return Paused(effect.stage, effect.reason, effect.detail)
        case FinishRun():
            return RunFinished(effect.status, effect.why)
        case _:
            assert_never(effect)


def failed(pipeline: Pipeline, effect: Operation, why: str, retry_at: float, *, permanent: bool) -> Event:
    """What is recorded of an operation that could not be performed at all, so that it is counted as one that met an
    infrastructure error by itself. `permanent`: trying again cannot help."""
    match effect:
        case StartAttempt():
            return AttemptErrored(effect.attempt, why, retry_at, permanent)
        case EvaluateGate():
            _, gate = find_gate(pipeline, effect.gate)
            return VerdictGiven(
                subject=effect.subject,
                gate=effect.gate,
                number=effect.number,
                status=VerdictStatus.ERRORED,
                findings=(Finding("infrastructure", why),),
                tree=effect.tree,
                retry_at=retry_at,
                permanent=permanent,
                hard=gate.gate_class is GateClass.HARD,
            )
        case LoseAttempt():
            return AttemptLost(effect.attempt, f"{effect.why}; left behind: {why}")
        case PrepareInput() | CheckWhen() | AcceptHandoff() | RejectCandidate() | DeliverBranch():
            undone = isinstance(effect, DeliverBranch) and effect.begun is None
            return EffectErrored(effect_key(effect), effect.number, why, retry_at, permanent, undone)
        case _:
            assert_never(effect)


def on_worker(event: Event, worker: str) -> Event:
    """The same, with the name of the other machine that tried, where the event tells one; empty: nobody knows."""
    return replace(event, worker=worker) if isinstance(event, AttemptErrored | VerdictGiven) else event


def tries_before(effect: Operation) -> int:
    """How often infrastructure failed it before, in a row."""
    if isinstance(effect, StartAttempt):
        return effect.errors
    return 0 if isinstance(effect, LoseAttempt) else effect.number - 1


def refused(event: Event, why: str) -> Refused:
    """What is kept of an event that came too late or fits nothing."""
    subject = getattr(event, "attempt", None) or getattr(event, "subject", None)
    return Refused(type(event).__name__, str(subject) if subject is not None else stage_of(event), why)
