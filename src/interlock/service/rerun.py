"""`verify --rerun`: the hard gates of every accepted tree, asked again in clean checkouts, without the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from interlock.core.effects import AcceptHandoff
from interlock.core.events import Finding as GateFinding
from interlock.core.events import HandoffAccepted, Recorded, VerdictGiven, VerdictStatus
from interlock.core.fold import apply, fold
from interlock.core.handoffs import accept_handoff
from interlock.core.judgements import judgement_of
from interlock.core.judging import find_gate
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState
from interlock.execution.context import Context
from interlock.execution.perform import gate_request
from interlock.ports import Cancel, InfrastructureError, Judgement, World
from interlock.service.verification import Finding, Verification

_CI = "ci"
_OUTSIDE = "it was given outside of this machine, and is not asked again"


@dataclass(frozen=True, slots=True)
class Again:
    """A recorded verdict, and what the gate says now. `why` is the first finding, or why it could not be asked."""

    attempt: str
    gate: str
    recorded: VerdictStatus
    now: VerdictStatus
    why: str = ""

    @property
    def differs(self) -> bool:
        return self.decided and self.now is not self.recorded

    @property
    def decided(self) -> bool:
        return self.now is not VerdictStatus.ERRORED


def rerun(world: World, context: Context, history: list[Recorded], cancel: Cancel) -> Iterator[Again]:
    """Every hard verdict of every accepted handoff, each as soon as it is there. Raises Cancelled."""
    state = RunState()
    for record in history:
        event = record.event
        if isinstance(event, HandoffAccepted):
            effect = accept_handoff(context.pipeline, state, event.attempt, event.by)
            if effect is not None:
                yield from _handoff(world, context, state, effect, cancel)
        state = apply(state, record)


def _handoff(world: World, context: Context, state: RunState, effect: AcceptHandoff, cancel: Cancel) -> Iterator[Again]:
    for verdict in effect.verdicts:
        if verdict.hard and not verdict.by:
            judgement = _asked(world, context, state, effect, verdict, cancel)
            why = judgement.findings[0].message if judgement.findings else ""
            yield Again(str(effect.attempt), verdict.gate, verdict.status, judgement.status, why)


def _asked(  # noqa: PLR0913 - what a judgement needs
    world: World, context: Context, state: RunState, effect: AcceptHandoff, verdict: VerdictGiven, cancel: Cancel
) -> Judgement:
    stage, pair = context.pipeline.stage(effect.attempt.stage), find_gate(context.pipeline, verdict.gate)
    if effect.candidate is None:
        return _undecided("the history does not say which candidate was accepted")
    if effect.candidate.refusal is not None and verdict.gate.endswith("/scope"):
        return Judgement(verdict.status, verdict.findings)  # it follows from the event
    wanted = judgement_of(state, stage, effect.candidate, pair)
    if wanted is None or not world.workspaces.has(effect.commit):
        return _undecided(f"the commit {effect.commit[:12]} is no longer in the store")
    if pair[1].kind == _CI:
        return _undecided(_OUTSIDE)
    hard = tuple(each for each in effect.verdicts if each.hard)
    wanted = replace(wanted, hard_verdicts=hard if wanted.hard_verdicts else ())
    try:
        request = gate_request(world, context, wanted)
        return world.gates.evaluate(replace(request, gate=replace(pair[1], cached=False)), cancel)
    except InfrastructureError as error:
        return _undecided(str(error))


def _undecided(why: str) -> Judgement:
    return Judgement(VerdictStatus.ERRORED, (GateFinding("infrastructure", why),))


def context_of(pipeline: Pipeline, history: list[Recorded], environ: Mapping[str, str], sandbox: str = "") -> Context:
    """What the gates of a run are asked with; `sandbox` is the level, if it is another one than the run was started
    with. Raises ValueError for an empty history."""
    began = fold(history[:1])
    if began.started is None:
        raise ValueError("the run did not begin")
    return Context(began.started.run, pipeline, began.started, began.started_at, environ, sandbox=sandbox)


def with_verdicts(found: Verification, again: Sequence[Again]) -> Verification:
    """Each handoff with what its gates said again: a verdict that differs is a problem."""
    return replace(found, handoffs=tuple(_with(one, again) for one in found.handoffs))


def _with(one: Finding, again: Sequence[Again]) -> Finding:
    mine = [each for each in again if each.attempt == one.attempt]
    problems = [
        f"gate {each.gate} {each.recorded} when it was accepted, and {each.now} now: {each.why or 'no reason given'}"
        for each in mine
        if each.differs
    ]
    unchecked = [f"gate {each.gate} could not be asked again: {each.why}" for each in mine if not each.decided]
    notes = (f"{len(mine)} hard verdicts again",) if mine and not problems and not unchecked else ()
    return replace(
        one,
        problems=(*one.problems, *problems),
        unchecked=(*one.unchecked, *unchecked),
        notes=(*one.notes, *notes),
    )
