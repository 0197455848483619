"""Judgements to be made: which gate on what, and what it is compared with."""

from __future__ import annotations

from dataclasses import replace

from interlock.core.effects import EvaluateGate
from interlock.core.events import CandidateProduced, VerdictGiven
from interlock.core.ids import AttemptId
from interlock.core.judging import compared, qualified, tolerated
from interlock.core.pipeline import Gate, Stage
from interlock.core.state import RunState


def judgement_of(
    state: RunState, stage: Stage, candidate: CandidateProduced, pair: tuple[Stage, Gate]
) -> EvaluateGate | None:
    """The judgement of a candidate by a gate, after those that there are; None where the stage has no input."""
    now, (owner, gate) = state.stages[stage.id], pair
    if now.input is None:
        return None
    own_input, judged = (now.input.commit, now.input.tree), (candidate.commit, candidate.tree)
    effect = evaluate(candidate.attempt, owner, gate, now.verdicts.get(qualified(owner, gate)), judged, own_input)
    effect = tolerated(compared(effect, state, stage, owner, gate), state, owner, gate)
    effect = replace(effect, conflicts=now.input.conflicts, undecided=now.input.undecided)
    if gate.options is not None and gate.options.reads_verdicts:
        effect = replace(effect, hard_verdicts=tuple(verdict for verdict in now.verdicts.values() if verdict.hard))
    return effect


def evaluate(  # noqa: PLR0913 - an effect has many parts, and this is where they meet
    subject: AttemptId,
    owner: Stage,
    gate: Gate,
    former: VerdictGiven | None,
    judged: tuple[str, str],
    own_input: tuple[str, str],
) -> EvaluateGate:
    return EvaluateGate(
        subject=subject,
        gate=qualified(owner, gate),
        number=former.number + 1 if former else 1,
        commit=judged[0],
        tree=judged[1],
        input_commit=own_input[0],
        input_tree=own_input[1],
        decided_on_input=not subject.is_base,
    )
