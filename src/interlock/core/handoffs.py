"""What a handoff hangs on, from the history alone: for the effect that accepts it and the check of its record."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.core.effects import AcceptHandoff
from interlock.core.events import HandoffAccepted
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState


def accept_handoff(pipeline: Pipeline, state: RunState, attempt: AttemptId, by: str) -> AcceptHandoff | None:
    """The acceptance of the newest candidate of a stage, or of one that was rejected in this epoch; None where the
    attempt is neither."""
    now, rejection = state.stages[attempt.stage], state.rejection(attempt)
    if rejection is not None:
        commit, tree = rejection.commit, rejection.event.tree
        verdicts, started, candidate = rejection.verdicts, rejection.started, rejection.candidate
    elif now.candidate is not None:
        commit, tree = now.candidate.commit, now.candidate.tree
        verdicts, started, candidate = tuple(now.verdicts.values()), now.attempt, now.candidate
    else:
        return None
    if now.input is None:
        return None
    inputs = tuple(_inputs(pipeline, state, attempt.stage))
    return AcceptHandoff(
        attempt, commit, tree, now.input.tree, verdicts, "", by, 1, started, candidate, now.input, inputs
    )  # fmt: skip


def _inputs(pipeline: Pipeline, state: RunState, stage_id: str) -> Iterator[HandoffAccepted]:
    """The accepted handoffs that the input of a stage was made from, each once; a skipped stage passes on its own."""
    seen, waiting = set[str](), list(pipeline.stage(stage_id).needs)
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        accepted = state.stages[name].accepted
        if accepted is not None:
            yield accepted
        else:
            waiting = [*pipeline.stage(name).needs, *waiting]
