"""One attempt that is claimed: work, candidate. Judgement comes later and from elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from interlock.core.effects import StartAttempt
from interlock.core.events import (
    SESSION,
    AttemptErrored,
    CandidateProduced,
    Event,
    Evidence,
    Finding,
    HandoffAccepted,
    Recorded,
)
from interlock.core.feedback import LIMIT
from interlock.core.ids import AttemptId
from interlock.core.pipeline import ARTIFACTS, AgentSpec, Stage
from interlock.execution.brief import compose
from interlock.execution.context import Context, require_level
from interlock.execution.documents import worker_environment
from interlock.execution.grown import only_grew
from interlock.execution.records import candidate_message
from interlock.execution.rehearsal import encode_rehearsal
from interlock.ports import (
    RESUME,
    Brief,
    Cache,
    Cancel,
    Cancelled,
    Candidate,
    Checkout,
    Ended,
    Fenced,
    InfrastructureError,
    Outcome,
    Stamp,
    UnfitTree,
    World,
    as_failure,
    as_infrastructure,
    secrets_of,
)
from interlock.process import masked_finding, masked_text

_RESUME_THERE = f"start that worker again, {RESUME}"  # it reads its environment once
_TAKEN_MAX = 4  # tries to take a candidate, over some 20 seconds
_INFRASTRUCTURE = (Ended.RATE_LIMITED, Ended.OUT_OF_BUDGET, Ended.UNAVAILABLE)


def make_attempt(world: World, context: Context, effect: StartAttempt, claim: Recorded, cancel: Cancel) -> Event:
    """Have the work done, and make the candidate, dated by the claim. Raises Fenced, Cancelled."""
    who = effect.by or effect.agent or "script"
    stamp = Stamp(candidate_message(context, effect.attempt, who), int(claim.at))
    event = _tried(world, context, effect, stamp, cancel)
    event = replace(event, notes=(*event.notes, *world.workspaces.removal_notes()), worker=world.worker)
    if world.worker and isinstance(event, CandidateProduced) and _had_a_program(context, effect, event):
        event = replace(event, sandbox=context.level)
    return _discreet(event, _secrets(world, context))


def _had_a_program(context: Context, effect: StartAttempt, event: CandidateProduced) -> bool:
    return context.pipeline.stage(effect.attempt.stage).has_worker and not (effect.by or event.cached)


def hint(cache: Cache, event: Event) -> None:
    """What may be remembered once a fact is recorded, and may be lost: what a script made, if its handoff was accepted,
    and not by a person. Before that, a person's answer may still come first."""
    if not isinstance(event, HandoffAccepted) or event.override_by or event.by:
        return
    with suppress(InfrastructureError), as_infrastructure():
        if key := cache.recall("script-key", event.commit):
            cache.remember("script", key, event.commit)


def _tried(
    world: World, context: Context, effect: StartAttempt, stamp: Stamp, cancel: Cancel
) -> CandidateProduced | AttemptErrored:
    try:
        with as_failure():
            try:
                return _work(world, context, effect, stamp, cancel)
            except UnfitTree as unfit:
                return _errored(world, context, effect, Outcome(Ended.CRASHED, f"its work cannot be used: {unfit}"))
    except InfrastructureError as error:
        return _errored(world, context, effect, Outcome(Ended.UNAVAILABLE, str(error), permanent=error.permanent))


def _work(
    world: World, context: Context, effect: StartAttempt, stamp: Stamp, cancel: Cancel
) -> CandidateProduced | AttemptErrored:
    stage = context.pipeline.stage(effect.attempt.stage)
    if not world.holds_fence():
        raise Fenced(f"run {context.run} is controlled by another process")
    if effect.by:
        return _adopted(world, context, effect, effect.source, stamp)
    if not stage.has_worker:
        return CandidateProduced(effect.attempt, effect.input_commit, effect.input_tree)
    key = _script_key(context, stage, effect) if stage.command is not None else ""
    known = _known(world, key)
    if known and world.workspaces.has(known):
        return _adopted(world, context, effect, known, stamp, cached=True)
    require_level(world, context)
    checkout = _open(world, context, effect, stage, stamp)
    try:
        return _worked(world, context, effect, checkout, stamp, cancel, key)
    finally:
        world.workspaces.wipe(checkout)


def _worked(  # noqa: PLR0913 - the attempt's parts meet here once
    world: World, context: Context, effect: StartAttempt, checkout: Checkout, stamp: Stamp, cancel: Cancel, key: str
) -> CandidateProduced | AttemptErrored:
    spec = _spec(context, effect)
    brief = _brief(world, context, effect, spec, checkout)
    outcome = world.agents[spec.use].work(spec, brief, checkout, cancel)
    if cancel.is_set() or outcome.ended is Ended.CANCELLED:
        raise Cancelled(f"{effect.attempt} is no longer wanted")
    if not world.holds_fence():
        raise Fenced(f"run {context.run} is controlled by another process")
    if outcome.ended in _INFRASTRUCTURE or (key and outcome.ended is not Ended.COMPLETED):
        return _errored(world, context, effect, outcome, f" on {world.worker}" if world.worker else "")
    if outcome.ended is Ended.OVER_LIMIT:  # what it left may be more than anybody can take
        return _refused_work(world, effect, outcome, (Finding(LIMIT, outcome.message),))
    try:
        candidate = _snapshot(world, context, effect, checkout, stamp, cancel)
    except UnfitTree as unfit:
        return _refused_work(world, effect, outcome, unfit.findings)
    except InfrastructureError as error:  # the work is lost, and was paid for all the same
        lost = replace(outcome, ended=Ended.UNAVAILABLE, message=str(error), permanent=error.permanent, retry_at=0.0)
        return _errored(world, context, effect, lost)
    unchanged = candidate.tree == effect.input_tree
    if unchanged and outcome.ended in (Ended.CRASHED, Ended.TIMED_OUT):
        return _errored(world, context, effect, outcome)
    if key:
        with suppress(InfrastructureError), as_infrastructure():
            world.cache.remember("script-key", candidate.commit, key)  # it is known once it is accepted
    return _produced(world, effect.attempt, candidate, outcome)


def _refused_work(
    world: World, effect: StartAttempt, outcome: Outcome, findings: tuple[Finding, ...]
) -> CandidateProduced:
    """The candidate is the input, and is rejected for what was not taken."""
    untouched = Candidate(effect.input_commit, effect.input_tree)
    return replace(_produced(world, effect.attempt, untouched, outcome), unfit=findings)


def _snapshot(  # noqa: PLR0913
    world: World, context: Context, effect: StartAttempt, checkout: Checkout, stamp: Stamp, cancel: Cancel
) -> Candidate:
    """The candidate; tried again where infrastructure is in the way, for what an agent has done is not done again for
    nothing."""
    for tries in range(_TAKEN_MAX):
        try:
            with as_infrastructure():
                return world.workspaces.snapshot(
                    checkout, effect.input_commit, context.checkout_spec, stamp, context.ref(effect.attempt)
                )
        except InfrastructureError as error:
            if error.permanent or tries + 1 == _TAKEN_MAX or cancel.wait(context.retry_at(0.0, tries)):
                raise
    raise AssertionError("unreachable")


def _open(world: World, context: Context, effect: StartAttempt, stage: Stage, stamp: Stamp) -> Checkout:
    overlay = ""
    if effect.source:
        put_back = (*_not_its_own(stage), *map(_exactly, _not_to_change(world, context, effect, stage)))
        overlay = world.workspaces.restore(effect.source, effect.input_commit, put_back, stamp)
    spec = replace(context.checkout_spec, sides=effect.sides)
    return world.workspaces.open(context.run, effect.attempt, effect.input_commit, spec, overlay=overlay)


def _not_to_change(world: World, context: Context, effect: StartAttempt, stage: Stage) -> Iterator[str]:
    """Tests that were there, in a stage that only adds some: they come back, but for those that grew."""
    if not stage.scope.adds:
        return
    commits = (effect.input_commit, effect.source)
    kept = {
        change.path
        for change in world.workspaces.changes(*commits)
        if only_grew(world.workspaces, commits, change, context.pipeline, (stage,))
    }
    yield from (path for path in world.workspaces.files(effect.input_commit, stage.scope.adds) if path not in kept)


def _not_its_own(stage: Stage) -> tuple[str, ...]:
    """Globs that a continued workspace gets back as they were; the last one that matches a path decides."""
    scope = stage.scope
    writes = () if scope.writes is None else ("**", *(f"!{glob}" for glob in scope.writes))
    own = (*scope.authors, *scope.adds, f"{ARTIFACTS}/{stage.id}/**")
    protect = [glob for glob in scope.protect if not (writes and glob.startswith("!"))]  # nothing else is taken back
    return (*writes, *protect, *(f"!{glob}" for glob in own))


def _exactly(path: str) -> str:
    """A glob for one path; what is special in globs is any character."""
    return "/" + "".join("?" if char in "*?[]\\" else char for char in path)


def _adopted(  # noqa: PLR0913
    world: World, context: Context, effect: StartAttempt, commit: str, stamp: Stamp, *, cached: bool = False
) -> CandidateProduced:
    adopted = world.workspaces.adopt(commit, effect.input_commit, stamp, context.ref(effect.attempt))
    return CandidateProduced(effect.attempt, adopted.commit, adopted.tree, cached=cached)


def _produced(world: World, attempt: AttemptId, candidate: Candidate, outcome: Outcome) -> CandidateProduced:
    evidence, notes = _evidence(world, outcome)
    return CandidateProduced(
        attempt=attempt,
        commit=candidate.commit,
        tree=candidate.tree,
        claim=outcome.message[:2000],
        outcome=outcome.ended,
        usage=outcome.usage,
        left_out=len(candidate.left_out),
        evidence=evidence,
        notes=(*outcome.notes, *notes),
    )


def _errored(world: World, context: Context, effect: StartAttempt, outcome: Outcome, where: str = "") -> AttemptErrored:
    quota = outcome.ended is Ended.RATE_LIMITED
    retry_at = context.retry_at(world.clock.now(), effect.errors, outcome.retry_at, quota=quota)
    ended = f"{outcome.ended.replace('_', ' ')}{where}"
    message = outcome.message.replace(RESUME, _RESUME_THERE) if where else outcome.message
    evidence, notes = _evidence(world, outcome)
    return AttemptErrored(
        attempt=effect.attempt,
        why=f"{ended}: {message[:2000]}" if message else ended,
        retry_at=retry_at,
        permanent=outcome.permanent,
        quota=quota,
        worked=quota and outcome.worked,
        usage=outcome.usage,
        evidence=evidence,
        notes=(*outcome.notes, *notes),
    )


def _evidence(world: World, outcome: Outcome) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    """What is kept of it, or a note: the work that is done counts without its log."""
    try:
        with as_failure():
            return _kept(world, outcome), ()
    except InfrastructureError as error:
        return (), (str(error),)


def _kept(world: World, outcome: Outcome) -> tuple[Evidence, ...]:
    files = (("log", outcome.log), ("transcript", outcome.transcript), (SESSION, outcome.kept_session))
    brief = world.blobs.put(outcome.sent_brief.encode("utf-8", "surrogateescape")) if outcome.sent_brief else ""
    sent = (Evidence("brief", brief, len(outcome.sent_brief.encode("utf-8", "surrogateescape"))),) if brief else ()
    kept = ((name, world.blobs.put_file(path)) for name, path in files if path is not None and path.is_file())
    return (*sent, *(Evidence(name, digest, size) for name, (digest, size) in kept))


def _spec(context: Context, effect: StartAttempt) -> AgentSpec:
    """The agent, or the stage's own script as one."""
    stage = context.pipeline.stage(effect.attempt.stage)
    if stage.command is not None:
        return AgentSpec(stage.id, "command", stage.command, hosts=stage.hosts)
    if not effect.agent:
        return AgentSpec(stage.id, "")
    return context.pipeline.agent(effect.agent)


def _brief(world: World, context: Context, effect: StartAttempt, spec: AgentSpec, checkout: Checkout) -> Brief:
    stage, session = context.pipeline.stage(effect.attempt.stage), _session(world, effect)
    return Brief(
        run=context.run,
        attempt=effect.attempt,
        text="" if stage.command is not None else compose(world, context, effect, checkout),
        task=context.started.task,
        model=spec.model,
        env=worker_environment(context, stage, spec, checkout),
        timeout_s=stage.timeout_s,
        idle_timeout_s=stage.idle_timeout_s,
        dir=stage.dir,
        remaining=effect.remaining,
        scope=stage.scope,
        session=session,
        resumed=compose(world, context, effect, checkout, resumed=True) if session else "",
        secrets=_secrets(world, context),
        hosts=spec.hosts,
        rehearsal=encode_rehearsal(context, stage, effect) if stage.agent else "",
    )


def _session(world: World, effect: StartAttempt) -> bytes:
    """Its content; empty where it is gone: then the agent begins a new one."""
    with suppress(InfrastructureError):
        return world.blobs.get(effect.session) if effect.session else b""
    return b""


def _secrets(world: World, context: Context) -> tuple[str, ...]:
    return tuple(value for _, value in secrets_of(context.pipeline, context.environ, world.agents))


def _discreet(event: CandidateProduced | AttemptErrored, secrets: tuple[str, ...]) -> Event:
    """Names of files are in what is said of it, and a secret may be in a name."""
    if isinstance(event, AttemptErrored):
        return replace(event, why=masked_text(event.why, secrets))
    return replace(event, unfit=tuple(masked_finding(finding, secrets) for finding in event.unfit))


def _known(world: World, key: str) -> str:
    """The commit that a script made of the same; empty if there is none, or it cannot be told."""
    with suppress(InfrastructureError), as_infrastructure():
        return (key and world.cache.recall("script", key)) or ""
    return ""


def _script_key(context: Context, stage: Stage, effect: StartAttempt) -> str:
    """A script is deterministic: its definition, its input and what it sees of the environment decide."""
    seen = {name: context.environ.get(name, "") for name in (*stage.env, *stage.secrets)}
    said = [stage.digest, effect.input_tree, context.started.task, context.started.inputs, seen]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()
