"""Facts that follow from an effect alone: nothing is done for them, so that whoever drives the run makes them itself.

Rule: one effect is one fact, whichever machine makes it, and when.
"""

from __future__ import annotations

from typing import assert_never

from interlock.core.effects import AskApproval, Decision, FinishRun, Pause, SendBack, StartAttempt
from interlock.core.events import ApprovalAsked, AttemptStarted, Event, Paused, Refused, RunFinished, SentBack
from interlock.core.judging import find_gate
from interlock.core.pipeline import Pipeline
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


def refused(event: Event, why: str) -> Refused:
    """What is kept of an event that came too late or fits nothing."""
    subject = getattr(event, "attempt", None) or getattr(event, "subject", None)
    return Refused(type(event).__name__, str(subject) if subject is not None else stage_of(event), why)
