"""The planner: what a run wants done next. The only scheduler, a pure function.

`plan` returns every effect that is wanted *now*, those in flight included: an attempt at work goes
on being wanted until it reports. So an engine starts what is wanted and not in flight, and cancels
what is in flight and not wanted; there is nothing else to decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from interlock.core.commands import (
    AcceptHandoff,
    AskApproval,
    CheckWhen,
    Command,
    DeliverBranch,
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
from interlock.core.events import (
    Action,
    Finding,
    PauseReason,
    RunStatus,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.feedback import failed
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.judging import (
    base_gates,
    baseline_of,
    gates_of_candidate,
    gates_of_input,
    qualified,
)
from interlock.core.pipeline import Gate, GateClass, GateKind, Pipeline, Rule, Stage, WorkspaceMode
from interlock.core.state import Phase, RunState, StageState

Numbered = PrepareInput | CheckWhen | AcceptHandoff | RejectCandidate | DeliverBranch

TRIES_MAX = 3  # of one effect that infrastructure lets down, before a person is asked


def plan(pipeline: Pipeline, state: RunState) -> tuple[Command, ...]:
    """Every effect wanted now, in the order in which they should start."""
    if state.started is None or state.finished is not None:
        return ()
    if state.cancelled_by:
        return tuple(_cancel(state))
    base = tuple(_judge_base(pipeline, state))
    if any(isinstance(command, FinishRun) for command in base):
        return base
    taking_part = [stage for stage in pipeline.ordered() if stage.id in state.stages]
    wanted: list[Command] = list(base)
    for stage in taking_part:
        wanted.extend(_plan_stage(pipeline, state, stage, base_judged=not base))
    if all(stage.settled for stage in state.stages.values()):
        wanted.extend(_finish(pipeline, state))
    return tuple(wanted)


def effect_key(command: Command) -> str:
    """The name under which failures of a command are counted: its kind and its target."""
    match command:
        case PrepareInput() | CheckWhen():
            return f"{type(command).__name__} {command.subject}"
        case AcceptHandoff() | RejectCandidate():
            return f"{type(command).__name__} {command.attempt}"
        case _:
            return type(command).__name__


# --- the run ------------------------------------------------------------------------------------


def _cancel(state: RunState) -> Iterator[Command]:
    working = [stage for stage in state.stages.values() if stage.phase is Phase.WORKING]
    for stage in working:
        if stage.attempt is not None:
            yield LoseAttempt(stage.attempt.attempt, f"cancelled by {state.cancelled_by}")
    if not working:
        yield FinishRun(RunStatus.CANCELLED, f"cancelled by {state.cancelled_by}")


def _judge_base(pipeline: Pipeline, state: RunState) -> Iterator[Command]:
    """The gates on the base, before an agent is paid. Empty once they have all said something."""
    started = state.started
    if started is None:
        return
    for stage, gate in base_gates(pipeline, state):
        verdict = state.base_verdicts.get(qualified(stage, gate))
        if verdict is None or (not verdict.decided and verdict.number < TRIES_MAX and not verdict.permanent):
            if verdict is not None and verdict.retry_at > state.now:
                yield WaitUntil(verdict.retry_at)
                continue
            base = (started.base_commit, started.base_tree)
            yield _evaluate(base_of(stage.id), stage, gate, verdict, base, base)
        elif not verdict.decided:
            why = f"gate {verdict.gate} cannot run on the base: {_first_message(verdict)}"
            yield FinishRun(RunStatus.STOPPED, why)
        elif verdict.status is VerdictStatus.FAILED and gate.base_green:
            yield FinishRun(
                RunStatus.STOPPED, f"gate {verdict.gate} must be green on the base: {_first_message(verdict)}"
            )


def _finish(pipeline: Pipeline, state: RunState) -> Iterator[Command]:
    started = state.started
    if started is None or state.pause is not None:
        return
    if started.until or state.delivered is not None:
        yield FinishRun(RunStatus.ACCEPTED, f"up to {started.until}" if started.until else "")
        return
    last = next(stage.id for stage in reversed(pipeline.ordered()) if stage.id in state.stages)
    output = state.stages[last].output
    if output is not None:
        command = DeliverBranch(output[0], _series(pipeline, state), 1)
        yield from _bounded(state, command, "", PauseReason.DELIVERY)


def _series(pipeline: Pipeline, state: RunState) -> tuple[str, ...]:
    if not pipeline.deliver.series:
        return ()
    accepted = (state.stages[stage.id].accepted for stage in pipeline.ordered() if stage.id in state.stages)
    return tuple(dict.fromkeys(handoff.commit for handoff in accepted if handoff is not None))


def _bounded(state: RunState, command: Numbered, stage: str, reason: PauseReason) -> Iterator[Command]:
    """`command` with its try number; a wait or a pause where it has failed before."""
    error = state.errors.get(effect_key(command))
    if error is None:
        yield command
    elif error.permanent or error.number >= TRIES_MAX:
        yield Pause(stage, reason, error.why)
    elif error.retry_at > state.now:
        yield WaitUntil(error.retry_at)
    else:
        yield replace(command, number=error.number + 1)


# --- a stage ------------------------------------------------------------------------------------


def _plan_stage(pipeline: Pipeline, state: RunState, stage: Stage, *, base_judged: bool) -> Iterator[Command]:
    now = state.stages[stage.id]
    if now.answer is not None:
        answered = tuple(_carry_out(pipeline, state, stage, now))
        if answered:
            yield from answered
            return
    match now.phase:
        case Phase.WAITING:
            yield from _prepare(state, stage, now)
        case Phase.READY:
            yield from _start(pipeline, state, stage, base_judged=base_judged)
        case Phase.WORKING:
            yield from _go_on(pipeline, state, stage)
        case Phase.JUDGING:
            yield from _judge(pipeline, state, stage)
        case Phase.REJECTED:
            yield from _after_rejection(pipeline, state, stage)
        case Phase.PAUSED | Phase.ACCEPTED | Phase.SKIPPED:
            return


def _carry_out(pipeline: Pipeline, state: RunState, stage: Stage, now: StageState) -> Iterator[Command]:
    """What a person asked for, where it is not the usual course of things."""
    answer = now.answer
    if answer is None:
        return
    busy = now.phase is Phase.WORKING or (now.phase is Phase.JUDGING and answer.action is Action.RETRY)
    if busy and (answer.now or answer.action is Action.ACCEPT) and now.attempt is not None:
        yield LoseAttempt(now.attempt.attempt, f"ended by {answer.by}")
    elif answer.action is Action.ACCEPT:
        yield from _accept_as_told(state, now)
    elif now.settled:
        attempt = now.attempt.attempt if now.attempt else input_of(stage.id, now.epoch)
        yield SendBack(attempt, stage.id, -1, answer.feedback, _taking_part(pipeline, state, stage.id))


def _accept_as_told(state: RunState, now: StageState) -> Iterator[Command]:
    answer, subject = now.answer, now.answer.subject if now.answer else None
    if answer is None or subject is None or now.input is None:
        return
    rejection = state.rejection(subject)
    if rejection is not None:
        commit, tree, verdicts = rejection.commit, rejection.event.tree, rejection.verdicts
    elif now.candidate is not None:
        commit, tree, verdicts = now.candidate.commit, now.candidate.tree, tuple(now.verdicts.values())
    else:
        return
    override = answer.by if answer.override else ""
    accept = AcceptHandoff(subject, commit, tree, now.input.tree, verdicts, override, answer.by, 1)
    yield from _bounded(state, accept, stage=subject.stage, reason=PauseReason.INFRASTRUCTURE)


def _prepare(state: RunState, stage: Stage, now: StageState) -> Iterator[Command]:
    needs = [state.stages[need] for need in stage.needs]
    if state.started is None or not all(need.settled and need.output for need in needs):
        return
    outputs = [need.output[0] for need in needs if need.output]
    sources = tuple(dict.fromkeys(outputs)) or (state.started.base_commit,)
    command = PrepareInput(input_of(stage.id, now.epoch), sources, 1)
    yield from _bounded(state, command, stage.id, PauseReason.INFRASTRUCTURE)


def _start(pipeline: Pipeline, state: RunState, stage: Stage, *, base_judged: bool) -> Iterator[Command]:
    now = state.stages[stage.id]
    if now.input is None:
        return
    if stage.when is not None and not now.when_held:
        command = CheckWhen(now.input.subject, now.input.commit, 1)
        yield from _bounded(state, command, stage.id, PauseReason.INFRASTRUCTURE)
        return
    if now.input.conflicts and not stage.has_worker:
        yield Pause(stage.id, PauseReason.CONFLICT, f"conflict in {', '.join(now.input.conflicts[:10])}")
        return
    waiting = tuple(_judge_input(pipeline, state, stage))
    yield from waiting
    if any(isinstance(command, Pause) for command in waiting):
        return
    if base_judged and not any(_is_merge_gate(stage, command) for command in waiting):
        yield from _next_attempt(pipeline, state, stage, agent=stage.agent)


def _next_attempt(pipeline: Pipeline, state: RunState, stage: Stage, agent: str) -> Iterator[Command]:
    now = state.stages[stage.id]
    if now.retry_at > state.now:
        yield WaitUntil(now.retry_at)
    elif now.failure is not None and (now.failure.permanent or now.errors >= TRIES_MAX):
        yield Pause(stage.id, PauseReason.INFRASTRUCTURE, now.failure.why)
    elif stage.has_worker and (limit := _limit_reached(pipeline, state)):
        yield Pause(stage.id, PauseReason.LIMIT, limit)
    else:
        attempt = AttemptId(stage.id, now.epoch, now.number + 1)
        yield _attempt_command(state, stage, attempt, _escalated(stage, now, agent))


def _attempt_command(state: RunState, stage: Stage, attempt: AttemptId, agent: str) -> StartAttempt:
    now = state.stages[stage.id]
    if now.input is None:
        raise ValueError(f"{attempt} has no input")
    submitted = now.answer if now.answer is not None and now.answer.commit else None
    source = submitted.commit if submitted else ""
    if not source and stage.workspace is WorkspaceMode.CONTINUE and now.rejections:
        source = now.rejections[-1].commit
    return StartAttempt(
        attempt=attempt,
        agent=agent if stage.has_worker and submitted is None else "",
        input_commit=now.input.commit,
        input_tree=now.input.tree,
        feedback=now.feedback,
        source=source,
        by=submitted.by if submitted else "",
        conflicts=now.input.conflicts,
        broken=_broken(state, stage),
        errors=now.errors,
    )


def _go_on(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Command]:
    now = state.stages[stage.id]
    if now.attempt is None:
        return
    if now.orphaned:
        yield LoseAttempt(now.attempt.attempt, "its owner is gone")
        return
    yield _attempt_command(state, stage, now.attempt.attempt, now.attempt.agent)
    yield from (command for command in _judge_input(pipeline, state, stage) if not isinstance(command, Pause))


# --- judgement ----------------------------------------------------------------------------------


def _judge_input(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Command]:
    """Gates on the accepted input: what a merge must pass, and the reports that candidates are compared with."""
    now = state.stages[stage.id]
    if now.input is None:
        return
    own_input = (now.input.commit, now.input.tree)
    for owner, gate in gates_of_input(pipeline, state, stage):
        verdict = now.input_verdicts.get(qualified(owner, gate))
        if verdict is not None and verdict.decided:
            continue
        due = _due(state, stage, gate, verdict)
        if due is not None:
            yield due
            continue
        baseline = baseline_of(state, stage, owner, gate) if owner.id != stage.id else ""
        yield _evaluate(now.input.subject, owner, gate, verdict, own_input, own_input, baseline)


def _due(state: RunState, stage: Stage, gate: Gate, verdict: VerdictGiven | None) -> Command | None:
    """A wait or a pause where the gate could not decide before; None where it is to be asked now."""
    if verdict is None:
        return None
    if verdict.permanent or verdict.number >= TRIES_MAX:
        return Pause(stage.id, PauseReason.INFRASTRUCTURE, f"gate {gate.id}: {_first_message(verdict)}")
    return WaitUntil(verdict.retry_at) if verdict.retry_at > state.now else None


def _judge(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Command]:
    """Scope, then hard gates in written order, then soft, then human; a class with a no ends it there."""
    now = state.stages[stage.id]
    waiting = tuple(_judge_input(pipeline, state, stage))
    if any(isinstance(command, Pause) for command in waiting):
        yield from waiting
        return
    for gate_class in (GateClass.HARD, GateClass.SOFT, GateClass.HUMAN):
        for owner, gate in gates_of_candidate(pipeline, state, stage):
            if gate.gate_class is not gate_class:
                continue
            verdict = now.verdicts.get(qualified(owner, gate))
            if verdict is None or not verdict.decided:
                yield from waiting
                yield from _ask(state, stage, owner, gate)
                return
            if verdict.status is VerdictStatus.FAILED and gate.kind is GateKind.SCOPE:
                break
        if failed(now.verdicts.values()):
            yield from _reject(state, now)
            return
    yield from _accept(state, now)


def _ask(state: RunState, stage: Stage, owner: Stage, gate: Gate) -> Iterator[Command]:
    now = state.stages[stage.id]
    candidate, verdict = now.candidate, now.verdicts.get(qualified(owner, gate))
    if candidate is None or now.input is None:
        return
    if gate.gate_class is GateClass.HUMAN:
        if qualified(owner, gate) not in now.asked:
            yield AskApproval(candidate.attempt, qualified(owner, gate))
        return
    due = _due(state, stage, gate, verdict)
    if due is not None:
        yield due
        return
    if gate.needs_baseline and not _baseline_decided(state, stage, owner, gate):
        return  # the report on the input is on its way
    own_input = (now.input.commit, now.input.tree)
    baseline = baseline_of(state, stage, owner, gate)
    yield _evaluate(
        candidate.attempt, owner, gate, verdict, (candidate.commit, candidate.tree), own_input, baseline,
        now.input.conflicts,
    )  # fmt: skip


def _baseline_decided(state: RunState, stage: Stage, owner: Stage, gate: Gate) -> bool:
    now = state.stages[stage.id]
    if owner.id != stage.id or now.input is None or state.started is None or not stage.has_worker:
        return True
    if now.input.tree == state.started.base_tree:
        return True
    verdict = now.input_verdicts.get(qualified(owner, gate))
    return verdict is not None and verdict.decided


def _evaluate(  # noqa: PLR0913 - a command has many parts, and this is where they meet
    subject: AttemptId,
    owner: Stage,
    gate: Gate,
    former: VerdictGiven | None,
    judged: tuple[str, str],
    own_input: tuple[str, str],
    baseline: str = "",
    conflicts: tuple[str, ...] = (),
) -> EvaluateGate:
    return EvaluateGate(
        subject=subject,
        gate=qualified(owner, gate),
        number=former.number + 1 if former else 1,
        commit=judged[0],
        tree=judged[1],
        input_commit=own_input[0],
        input_tree=own_input[1],
        baseline=baseline,
        decided_on_input=not subject.is_base,
        conflicts=conflicts,
    )


def _accept(state: RunState, now: StageState) -> Iterator[Command]:
    candidate = now.candidate
    if candidate is None or now.input is None:
        return
    verdicts = tuple(now.verdicts.values())
    by = now.attempt.by if now.attempt else ""
    accept = AcceptHandoff(candidate.attempt, candidate.commit, candidate.tree, now.input.tree, verdicts, "", by, 1)
    yield from _bounded(state, accept, candidate.attempt.stage, PauseReason.INFRASTRUCTURE)


def _reject(state: RunState, now: StageState) -> Iterator[Command]:
    candidate = now.candidate
    if candidate is None or now.input is None:
        return
    verdicts = tuple(now.verdicts.values())
    reject = RejectCandidate(candidate.attempt, candidate.commit, candidate.tree, now.input.tree, verdicts, 1)
    yield from _bounded(state, reject, candidate.attempt.stage, PauseReason.INFRASTRUCTURE)


# --- after a rejection --------------------------------------------------------------------------


def _after_rejection(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Command]:
    now = state.stages[stage.id]
    index, rule = _matching(stage, now)
    rejection = now.rejections[-1].event
    if rule.goto and state.loops.get((stage.id, index), 0) < rule.max:
        resets = _taking_part(pipeline, state, rule.goto)
        yield SendBack(rejection.attempt, rule.goto, index, rejection.feedback, resets)
    elif rule.goto:
        yield Pause(stage.id, PauseReason.LOOP, f"sent back to {rule.goto} {rule.max} times already")
    elif rule.pause:
        yield Pause(stage.id, PauseReason.RULE, f"gate {', '.join(rejection.gates)} said no and on_reject says pause")
    elif not stage.has_worker:
        yield Pause(stage.id, PauseReason.NO_RULE, "no on_reject rule leads anywhere from here")
    elif now.charged >= stage.attempts_max:
        yield Pause(stage.id, PauseReason.ATTEMPTS, f"all {now.charged} attempts were rejected")
    elif stuck := _no_progress(now):
        yield Pause(stage.id, PauseReason.NO_PROGRESS, stuck)
    else:
        yield from _next_attempt(pipeline, state, stage, rule.agent or stage.agent)


def _matching(stage: Stage, now: StageState) -> tuple[int, Rule]:
    """The first rule that matches the newest rejection, or an empty one."""
    rejection = now.rejections[-1].event
    said_no = {gate.split("/", 1)[1] for gate in rejection.gates}
    for index, rule in enumerate(stage.on_reject):
        gate_fits = not rule.gate or rule.gate in said_no
        reason_fits = not rule.reason or rule.reason in rejection.reasons
        if gate_fits and reason_fits and len(now.rejections) >= rule.after:
            return index, rule
    return -1, Rule()


def _escalated(stage: Stage, now: StageState, agent: str) -> str:
    """The agent that a rule gave the stage, which also holds after an attempt was lost."""
    if not now.rejections:
        return agent
    return _matching(stage, now)[1].agent or agent


def _no_progress(now: StageState) -> str:
    """The same tree again, or the same findings three times. One that changed nothing has no tree of its own."""
    recent = now.rejections[-now.charged :]
    newest = recent[-1].event
    if not newest.empty and any(item.event.tree == newest.tree for item in recent[:-1]):
        return f"{newest.attempt} is the same tree as one that was rejected before"
    if sum(item.event.fingerprint == newest.fingerprint for item in recent) >= 3:
        return "the same findings for the third time"
    return ""


# --- limits -------------------------------------------------------------------------------------


def _limit_reached(pipeline: Pipeline, state: RunState) -> str:
    spent, limits = state.spent, pipeline.limits
    at_work = sum(stage.phase is Phase.WORKING for stage in state.stages.values())
    amounts: tuple[tuple[str, float, float], ...] = (
        ("attempts", spent.attempts + at_work, limits.attempts),
        ("tokens", spent.tokens, limits.tokens),
        ("cost_usd", spent.cost_usd, limits.cost_usd),
        ("wall", spent.wall_s, limits.wall_s),
    )
    for name, used, bound in amounts:
        raised = bound + state.raised.get(name, 0.0)
        if bound and used >= raised:
            return f"{name}: {used:g} of {raised:g} used"
    return ""


def _broken(state: RunState, stage: Stage) -> tuple[Finding, ...]:
    now = state.stages[stage.id]
    own = {qualified(stage, gate) for gate in stage.gates}
    verdicts = [verdict for gate, verdict in now.input_verdicts.items() if gate not in own]
    return tuple(finding for verdict in failed(verdicts) for finding in verdict.findings if not finding.secret)


def _taking_part(pipeline: Pipeline, state: RunState, stage_id: str) -> tuple[str, ...]:
    return tuple(name for name in pipeline.downstream(stage_id) if name in state.stages)


def _is_merge_gate(stage: Stage, command: Command) -> bool:
    return not (isinstance(command, EvaluateGate) and command.gate.startswith(f"{stage.id}/"))


def _first_message(verdict: VerdictGiven) -> str:
    return verdict.findings[0].message if verdict.findings else verdict.status
