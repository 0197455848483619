"""The planner: what a run wants done next. The only scheduler, a pure function.

`plan` returns every effect that is wanted *now*, those in flight included: an attempt at work goes
on being wanted until it reports. So an engine starts what is wanted and not in flight, and cancels
what is in flight and not wanted; there is nothing else to decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from interlock.core.answers import carry_out
from interlock.core.attempts import (
    after_rejection,
    attempt_command,
    next_attempt,
    within_limit,
)
from interlock.core.effects import (
    AcceptHandoff,
    AskApproval,
    CheckWhen,
    DeliverBranch,
    Effect,
    EvaluateGate,
    FinishRun,
    LoseAttempt,
    Pause,
    PrepareInput,
    RejectCandidate,
    SendBack,
    StartAttempt,
    WaitUntil,
)
from interlock.core.events import PauseReason, RunStatus, VerdictStatus
from interlock.core.feedback import failed
from interlock.core.handoffs import accept_handoff
from interlock.core.ids import base_of, input_of
from interlock.core.joins import conflict_text, merged_from
from interlock.core.judgements import evaluate, judgement_of
from interlock.core.judging import (
    compared,
    failed_before,
    find_gate,
    gates_of_candidate,
    gates_of_input,
    inherited_gates,
    qualified,
)
from interlock.core.limits import (
    TRIES_MAX,
    bounded,
    first_message,
    limit_reached,
    undecided,
    undecided_review,
    unjudged_base,
)
from interlock.core.pipeline import Gate, GateClass, GateKind, Pipeline, Stage
from interlock.core.state import Phase, RunState, StageState


def plan(pipeline: Pipeline, state: RunState) -> tuple[Effect, ...]:
    """Every effect wanted now, in the order in which they should start."""
    if state.started is None or state.finished is not None:
        return ()
    if state.cancelled_by:
        return tuple(_cancel(state))
    if state.pause is not None and state.pause.reason is PauseReason.INFRASTRUCTURE:
        return ()  # the base could not be judged
    base = tuple(_judge_base(pipeline, state))
    if any(isinstance(effect, FinishRun) for effect in base):
        return base
    wanted: list[Effect] = list(base)
    for name in state.stages.live:
        wanted.extend(_plan_stage(pipeline, state, pipeline.stage(name), base_judged=not base))
    if state.settled:
        wanted.extend(_finish(pipeline, state))
    return tuple(within_limit(pipeline, state, _less_resets(wanted)))


def _less_resets(wanted: list[Effect]) -> list[Effect]:
    """Where something is sent back, nothing else of what is reset by it is begun, and nothing is delivered."""
    resets = {name for effect in wanted if isinstance(effect, SendBack) for name in effect.resets}
    if not resets:
        return wanted
    return [effect for effect in wanted if isinstance(effect, SendBack) or not _hangs_on(effect, resets)]


def _hangs_on(effect: Effect, resets: set[str]) -> bool:
    match effect:
        case StartAttempt() | LoseAttempt() | AcceptHandoff() | RejectCandidate() | SendBack():
            return effect.attempt.stage in resets
        case PrepareInput() | CheckWhen() | EvaluateGate() | AskApproval():
            return effect.subject.stage in resets and not effect.subject.is_base
        case Pause():
            return effect.stage in resets
        case DeliverBranch() | FinishRun():
            return True
        case WaitUntil():
            return False
        case _:
            assert_never(effect)


# --- the run ------------------------------------------------------------------------------------


def _cancel(state: RunState) -> Iterator[Effect]:
    working = [stage for stage in state.live if stage.phase is Phase.WORKING]
    for stage in working:
        if stage.attempt is not None:
            yield LoseAttempt(stage.attempt.attempt, state.cancelled)
    if not working:
        yield FinishRun(RunStatus.CANCELLED, f"{state.cancelled}{state.unknown}")


def _judge_base(pipeline: Pipeline, state: RunState) -> Iterator[Effect]:
    """The gates on the base, before an agent is paid. Empty once they have all said something."""
    started = state.started
    if started is None:
        return
    gates = pipeline.base_gates(started.stages)
    if len(state.base_verdicts) == len(gates) and not any(_is_due(pipeline, state, name) for name in state.base_open):
        return  # all of them have decided, as at every event but the first ones
    red = ""
    for stage, gate in gates:
        verdict = state.base_verdicts.get(qualified(stage, gate))
        if verdict is None or (not verdict.decided and verdict.number < TRIES_MAX and not verdict.permanent):
            if verdict is not None and (wait := undecided(stage.id, gate.id, verdict, state.now)):
                yield wait
                continue
            base = (started.base_commit, started.base_tree)
            yield evaluate(base_of(stage.id), stage, gate, verdict, base, base)
        elif not verdict.decided:
            if not red:
                yield unjudged_base(verdict)
            return
        elif verdict.status is VerdictStatus.FAILED and gate.base_green and not red:
            red = f"gate {verdict.gate} must be green on the base: {first_message(verdict)}"
            yield FinishRun(RunStatus.STOPPED, red)


def _is_due(pipeline: Pipeline, state: RunState, name: str) -> bool:
    """Whether the verdict on the base, one that did not pass, leads to something."""
    return not state.base_verdicts[name].decided or find_gate(pipeline, name)[1].base_green


def _finish(pipeline: Pipeline, state: RunState) -> Iterator[Effect]:
    started = state.started
    if started is None or state.pause is not None:
        return
    if started.until or state.delivered is not None:
        yield FinishRun(RunStatus.ACCEPTED, f"up to {started.until}" if started.until else "")
    elif state.output is not None:
        series = series_of(pipeline, state)
        effect = DeliverBranch(state.output[0], series, 1, state.branch, state.delivering)
        yield from bounded(state, effect, "", PauseReason.DELIVERY)


def series_of(pipeline: Pipeline, state: RunState) -> tuple[str, ...]:
    """The accepted commits that are delivered one by one; none if they are delivered as one."""
    if not pipeline.deliver.series:
        return ()
    accepted = (state.stages[stage.id].accepted for stage in pipeline.ordered() if stage.id in state.stages)
    return tuple(dict.fromkeys(handoff.commit for handoff in accepted if handoff is not None))


# --- a stage ------------------------------------------------------------------------------------


def _plan_stage(pipeline: Pipeline, state: RunState, stage: Stage, *, base_judged: bool) -> Iterator[Effect]:
    now = state.stages[stage.id]
    if now.answer is not None:
        answered = tuple(carry_out(pipeline, state, stage, now))
        if answered:
            yield from answered
            return
    match now.phase:
        case Phase.WAITING:
            yield from _prepare(pipeline, state, stage, now)
        case Phase.READY:
            yield from _start(pipeline, state, stage, base_judged=base_judged)
        case Phase.WORKING:
            yield from _go_on(pipeline, state, stage)
        case Phase.JUDGING:
            yield from _judge(pipeline, state, stage)
        case Phase.REJECTED:
            yield from after_rejection(pipeline, state, stage)
        case Phase.PAUSED | Phase.ACCEPTED | Phase.SKIPPED:
            return
        case _:
            assert_never(now.phase)


def _prepare(pipeline: Pipeline, state: RunState, stage: Stage, now: StageState) -> Iterator[Effect]:
    if state.started is None or _waits_for_a_need(pipeline, state, stage):
        return
    names = merged_from(state, stage)
    subject = input_of(stage.id, now.epoch)
    if len(names) > 1:
        effect = PrepareInput(subject, tuple(names), 1, tuple(names.values()))
    else:
        handed_over = next((state.stages[name].output for name in names.values()), None)
        commit, tree = handed_over or (state.started.base_commit, state.started.base_tree)
        effect = PrepareInput(subject, (commit,), 1, tree=tree)
    yield from bounded(state, effect, stage.id, PauseReason.INFRASTRUCTURE)


def _waits_for_a_need(pipeline: Pipeline, state: RunState, stage: Stage) -> bool:
    """Settled stages are not looked at one by one while others are live."""
    needs, live = pipeline.needs(stage.id), state.stages.live
    some = live if len(live) < len(needs) else stage.needs
    if any(name in needs and not state.stages[name].settled for name in some):
        return True
    return not all(state.stages[need].output for need in stage.needs)


def _start(pipeline: Pipeline, state: RunState, stage: Stage, *, base_judged: bool) -> Iterator[Effect]:
    """Judge a merge, see whether the stage is to run, make an attempt."""
    now = state.stages[stage.id]
    if now.input is None:
        return
    held = stage.when is None or now.when_held
    if held and now.input.conflicts and not stage.has_worker:
        yield Pause(stage.id, PauseReason.CONFLICT, conflict_text(now.input))
        return
    waiting = tuple(_judge_input(pipeline, state, stage))
    yield from waiting
    if any(isinstance(effect, Pause) or _is_merge_gate(stage, effect) for effect in waiting):
        return
    if not held:
        effect = CheckWhen(now.input.subject, now.input.commit, 1, _broken_merge(pipeline, state, stage))
        yield from bounded(state, effect, stage.id, PauseReason.INFRASTRUCTURE)
    elif base_judged:
        yield from next_attempt(pipeline, state, stage)


def _broken_merge(pipeline: Pipeline, state: RunState, stage: Stage) -> str:
    """Why the input may not be passed on as it is; empty where it may."""
    now = state.stages[stage.id]
    if now.input is None:
        return ""
    if now.input.conflicts:
        return conflict_text(now.input)
    names = [qualified(*pair) for pair in inherited_gates(pipeline, state, stage)]
    said_no = [verdict.gate for verdict in failed(now.input_verdicts.values()) if verdict.gate in names]
    return f"the merged input fails {', '.join(said_no)}" if said_no else ""


def _go_on(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Effect]:
    now = state.stages[stage.id]
    if now.attempt is None:
        return
    if now.orphaned:
        yield LoseAttempt(now.attempt.attempt, "the Interlock process that ran it has ended")
        return
    yield attempt_command(pipeline, state, stage, now.attempt.attempt, now.attempt.agent)
    yield from (effect for effect in _judge_input(pipeline, state, stage) if not isinstance(effect, Pause))


# --- judgement ----------------------------------------------------------------------------------


def _judge_input(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Effect]:
    """Gates on the accepted input: what a merge must pass, and the reports that candidates are compared with. The
    first that cannot decide pauses the stage."""
    now, pauses = state.stages[stage.id], False
    if now.input is None:
        return
    own_input = (now.input.commit, now.input.tree)
    for owner, gate in gates_of_input(pipeline, state, stage):
        verdict = now.input_verdicts.get(qualified(owner, gate))
        if verdict is not None and verdict.decided:
            continue
        due = undecided(stage.id, gate.id, verdict, state.now) if verdict is not None else None
        if due is not None:
            if not (pauses and isinstance(due, Pause)):
                yield due
            pauses = pauses or isinstance(due, Pause)
            continue
        effect = evaluate(now.input.subject, owner, gate, verdict, own_input, own_input)
        yield compared(effect, state, stage, owner, gate) if owner.id != stage.id else effect


def _judge(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Effect]:
    """Scope, then hard gates in written order, then soft, then human; a class with a no ends it there."""
    now = state.stages[stage.id]
    waiting = tuple(_judge_input(pipeline, state, stage))
    if any(isinstance(effect, Pause) for effect in waiting):
        yield from waiting
        return
    for gate_class in (GateClass.HARD, GateClass.SOFT, GateClass.HUMAN):
        for owner, gate in gates_of_candidate(pipeline, state, stage):
            if gate.gate_class is not gate_class:
                continue
            verdict = now.verdicts.get(qualified(owner, gate))
            if verdict is None or not verdict.decided:
                yield from waiting
                yield from _ask(pipeline, state, stage, (owner, gate))
                return
            if verdict.status is VerdictStatus.FAILED and gate.kind == GateKind.SCOPE:
                break
        if failed(now.verdicts.values()):
            yield from _reject(state, now)
            return
    yield from _accept(pipeline, state, stage)


def _ask(pipeline: Pipeline, state: RunState, stage: Stage, pair: tuple[Stage, Gate]) -> Iterator[Effect]:
    now, (owner, gate) = state.stages[stage.id], pair
    candidate, verdict = now.candidate, now.verdicts.get(qualified(owner, gate))
    if candidate is None or now.input is None:
        return
    if gate.gate_class is GateClass.HUMAN:
        if qualified(owner, gate) not in now.asked:
            yield AskApproval(candidate.attempt, qualified(owner, gate))
        return
    due = undecided_review(pipeline, now, verdict, state.now) if verdict is not None else None
    if due is not None:
        yield due
        return
    if not _baseline_decided(pipeline, state, stage, (owner, gate)):
        return  # the report on the input is on its way
    effect = judgement_of(state, stage, candidate, (owner, gate))
    if effect is not None:
        yield effect if gate.gate_class is GateClass.HARD else _review(pipeline, state, now, effect)


def _review(pipeline: Pipeline, state: RunState, now: StageState, effect: EvaluateGate) -> Effect:
    """A review is paid, and so within the limits; it is told what the hard gates noted, and what it said before."""
    if limit := limit_reached(pipeline, state, effect.subject.stage, reviewing=True):
        return Pause(effect.subject.stage, PauseReason.LIMIT, limit)
    hard = tuple(verdict for verdict in now.verdicts.values() if verdict.hard)
    earlier = now.rejections[-1].verdicts if now.rejections else ()
    former = next((verdict for verdict in earlier if verdict.gate == effect.gate), None)
    return replace(effect, hard_verdicts=hard, former=former)


def _baseline_decided(pipeline: Pipeline, state: RunState, stage: Stage, pair: tuple[Stage, Gate]) -> bool:
    owner, gate = pair
    if not gate.needs_baseline or owner.id != stage.id or pair not in gates_of_input(pipeline, state, stage):
        return True
    verdict = state.stages[stage.id].input_verdicts.get(qualified(owner, gate))
    return verdict is not None and verdict.decided


def _accept(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Effect]:
    now = state.stages[stage.id]
    if now.candidate is None:
        return
    by = now.attempt.by if now.attempt else ""
    accept = accept_handoff(pipeline, state, now.candidate.attempt, by)
    if accept is not None:
        yield from bounded(state, accept, stage.id, PauseReason.INFRASTRUCTURE)


def _reject(state: RunState, now: StageState) -> Iterator[Effect]:
    candidate = now.candidate
    if candidate is None or now.input is None:
        return
    verdicts = tuple(now.verdicts.values())
    red = failed_before(state, now, now.verdicts)
    reject = RejectCandidate(candidate.attempt, candidate.commit, candidate.tree, now.input.tree, verdicts, 1, red)
    yield from bounded(state, reject, candidate.attempt.stage, PauseReason.INFRASTRUCTURE)


def _is_merge_gate(stage: Stage, effect: Effect) -> bool:
    return not (isinstance(effect, EvaluateGate) and effect.gate.startswith(f"{stage.id}/"))
