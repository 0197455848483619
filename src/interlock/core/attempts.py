"""The next attempt at a stage: when it is due, who does it, what it is given, and what a rejection leads to."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.core.effects import Effect, Pause, SendBack, StartAttempt, WaitUntil
from interlock.core.events import Finding, PauseReason
from interlock.core.feedback import ESCALATE, failed
from interlock.core.ids import AttemptId
from interlock.core.joins import sides_of
from interlock.core.judging import failed_before, gates_of_candidate, qualified
from interlock.core.limits import attempts_left, limit_reached, remaining, waited_enough
from interlock.core.pipeline import Pipeline, Rule, Stage, WorkspaceMode
from interlock.core.state import Phase, RunState, StageState
from interlock.text.globs import matches_any


def next_attempt(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Effect]:
    """The attempt that is due; or what it waits for, or why a person is asked."""
    now = state.stages[stage.id]
    agent, stands_in = _able(pipeline, stage, now)
    if now.failure is not None and _let_down(pipeline, now) and not stands_in:
        yield Pause(stage.id, PauseReason.INFRASTRUCTURE, now.failure.why)
    elif now.retry_at > state.now and not stands_in:
        quota = now.failure is not None and now.failure.quota
        yield WaitUntil(now.retry_at, now.failure.why if now.failure else "", now.waited.since if quota else 0.0)
    elif _is_charged(stage, now) and (limit := limit_reached(pipeline, state, stage.id)):
        yield Pause(stage.id, PauseReason.LIMIT, limit)
    else:
        yield attempt_command(pipeline, state, stage, AttemptId(stage.id, now.epoch, now.number + 1), agent)


def attempt_command(pipeline: Pipeline, state: RunState, stage: Stage, attempt: AttemptId, agent: str) -> StartAttempt:
    """The same effect before its claim and after it, for as long as the attempt is at work."""
    now = state.stages[stage.id]
    if now.input is None:
        raise ValueError(f"{attempt} has no input")
    submitted = now.submission
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
        undecided=now.input.undecided,
        sides=sides_of(now.input),
        inherited=tuple(
            qualified(*pair) for pair in gates_of_candidate(pipeline, state, stage) if pair[0].id != stage.id
        ),
        broken=_broken(stage, now),
        errors=now.errors + now.waited.waits,
        session=now.session[1] if stage.resumes and now.session[0] == agent and now.rejections else "",
        undone=now.undone,
        remaining=remaining(pipeline, state, stage.id),
    )


def after_rejection(pipeline: Pipeline, state: RunState, stage: Stage) -> Iterator[Effect]:
    """Back to where a rule says, to a person, or on to the next attempt."""
    now = state.stages[stage.id]
    index, rule = _matching(stage, now)
    rejection = now.rejections[-1].event
    if ESCALATE in rejection.reasons:
        yield Pause(
            stage.id, PauseReason.ESCALATED, f"gate {', '.join(rejection.gates)} asks for a decision by a person"
        )
    elif rule.goto and state.loops.get((stage.id, index), 0) < rule.max:
        resets = taking_part(pipeline, state, rule.goto)
        yield SendBack(rejection.attempt, rule.goto, index, rejection.feedback, resets)
    elif rule.goto:
        yield Pause(stage.id, PauseReason.LOOP, f"sent back to {rule.goto} {rule.max} times already")
    elif rule.pause:
        yield Pause(
            stage.id, PauseReason.RULE, f"gate {', '.join(rejection.gates)} failed, and an `on_reject` rule says pause"
        )
    elif not stage.has_worker:
        yield Pause(stage.id, PauseReason.NO_RULE, "no `on_reject` rule applies")
    elif now.charged >= stage.attempts_max:
        yield Pause(stage.id, PauseReason.ATTEMPTS, f"{_used_up(now)}{_red_before(state, now)}")
    elif stuck := _no_progress(now):
        yield Pause(stage.id, PauseReason.NO_PROGRESS, f"{stuck}{_red_before(state, now)}")
    else:
        yield from next_attempt(pipeline, state, stage)


def _used_up(now: StageState) -> str:
    """How many were rejected, of those that count: a person may have given new ones since."""
    total = len(now.rejections)
    since = " since the last retry" if total > now.charged else ""
    said = "the only attempt" if now.charged == 1 else f"all {now.charged} attempts"
    return f"{said}{since} {'was' if now.charged == 1 else 'were'} rejected" + (f" ({total} in all)" if since else "")


def _red_before(state: RunState, now: StageState) -> str:
    """What a person should know of the gates that said no last: some did before there was any work."""
    red = failed_before(state, now, now.rejections[-1].event.gates)
    if not red:
        return ""
    return f" (gate {', '.join(red)} failed before any work as well)"


def within_limit(pipeline: Pipeline, state: RunState, wanted: list[Effect]) -> Iterator[Effect]:
    """`wanted` without the new attempts for which those at work leave no room: they wait for these to end."""
    free = attempts_left(pipeline, state) - _at_work(state)
    for effect in wanted:
        if isinstance(effect, StartAttempt) and effect.agent and not _claimed(state, effect):
            free -= 1
            if free < 0:
                continue
        yield effect


def taking_part(pipeline: Pipeline, state: RunState, stage_id: str) -> tuple[str, ...]:
    """The stage and all of the run that hangs on it."""
    return tuple(name for name in pipeline.downstream(stage_id) if name in state.stages)


def _able(pipeline: Pipeline, stage: Stage, now: StageState) -> tuple[str, bool]:
    """Who does the next attempt, and whether it is one that takes over at once from another that is down."""
    agents = tuple(in_a_row(pipeline, _agent(stage, now)))
    able = next((name for name in agents if name not in now.down), "")
    if not able:
        waited_for = (name for name in agents if name in now.limited)  # the others were given up
        return next(waited_for, agents[0] if agents else ""), False
    failed = now.attempt.agent if now.failure is not None and now.attempt is not None else able
    return able, failed in agents and able != failed


def in_a_row(pipeline: Pipeline, agent: str) -> Iterator[str]:
    """The agent, then those that stand in for it, each before its own."""
    waiting, seen = [agent], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name and name not in seen:
            seen.add(name)
            yield name
            waiting += pipeline.agent(name).fallback


def _let_down(pipeline: Pipeline, now: StageState) -> bool:
    if now.failure is not None and now.failure.quota:
        return waited_enough(pipeline, now.waited, now.failure.retry_at)
    return now.failure is not None and _was_given_up(now)


def _was_given_up(now: StageState) -> bool:
    """Whether the agent that failed last will not be tried again; one that waits for its quota will."""
    agent = now.attempt.agent if now.attempt is not None else ""
    return agent in now.down and agent not in now.limited


def _is_charged(stage: Stage, now: StageState) -> bool:
    """Whether limits stop it: what a person submits costs nothing."""
    return stage.has_worker and now.submission is None


def _agent(stage: Stage, now: StageState) -> str:
    """The stage's own agent, or the one that a rule gave it, which also holds after an attempt was lost."""
    return (_matching(stage, now)[1].agent if now.rejections else "") or stage.agent


def _matching(stage: Stage, now: StageState) -> tuple[int, Rule]:
    """The first rule that matches the newest rejection, or an empty one."""
    rejection = now.rejections[-1].event
    said_no = {gate.split("/", 1)[1] for gate in rejection.gates}
    for index, rule in enumerate(stage.on_reject):
        gate_fits = not rule.gate or rule.gate in said_no
        reason_fits = not rule.reason or rule.reason in rejection.reasons
        if gate_fits and reason_fits and _within(rule, rejection.files) and len(now.rejections) >= rule.after:
            return index, rule
    return -1, Rule()


def _within(rule: Rule, files: tuple[str, ...]) -> bool:
    """Whether all that failed the candidate lies in files that the rule names."""
    return not rule.within or (bool(files) and all(matches_any(rule.within, file) for file in files))


def _no_progress(now: StageState) -> str:
    """The same tree again, or the same findings three times. One that changed nothing has no tree of its own."""
    recent = now.rejections[-now.charged :]
    newest = recent[-1].event
    if not newest.empty and any(item.event.tree == newest.tree for item in recent[:-1]):
        return f"{newest.attempt} is the same tree as one that was rejected before"
    if sum(item.event.fingerprint == newest.fingerprint for item in recent) >= 3:
        return "the same findings for the third time"
    return ""


def _at_work(state: RunState) -> int:
    """Attempts of agents that are claimed and not yet charged."""
    return sum(
        stage.phase is Phase.WORKING and stage.attempt is not None and bool(stage.attempt.agent) for stage in state.live
    )


def _claimed(state: RunState, effect: StartAttempt) -> bool:
    return state.stages[effect.attempt.stage].phase is Phase.WORKING


def _broken(stage: Stage, now: StageState) -> tuple[Finding, ...]:
    own = {qualified(stage, gate) for gate in stage.gates}
    verdicts = [verdict for gate, verdict in now.input_verdicts.items() if gate not in own]
    return tuple(finding for verdict in failed(verdicts) for finding in verdict.findings if not finding.secret)
