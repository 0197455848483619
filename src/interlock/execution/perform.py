"""Performing an operation: first the world is changed, then the fact is recorded.

`perform` is a generator of events. The engine journals each one and sends back its record, or None
where the event came too late; then the operation ends there. Nothing here looks at the run's state, and nothing
that is recorded hangs on what comes after a fact, so the same code runs on a thread, in a simulation and on another
machine.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import assert_never

from interlock.core.effects import (
    AcceptHandoff,
    CheckWhen,
    DeliverBranch,
    EvaluateGate,
    LoseAttempt,
    Operation,
    PrepareInput,
    RejectCandidate,
    StartAttempt,
)
from interlock.core.events import (
    AttemptLost,
    CandidateRejected,
    Delivered,
    DeliveryBegun,
    EffectErrored,
    Event,
    Finding,
    HandoffAccepted,
    InputPrepared,
    Paused,
    PauseReason,
    Recorded,
    StageSkipped,
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.feedback import failed, files, fingerprint, reasons
from interlock.core.judging import find_gate
from interlock.core.limits import Numbered, effect_key
from interlock.core.pipeline import GateClass
from interlock.execution.attempt import make_attempt
from interlock.execution.context import Context, require_level
from interlock.execution.documents import artifact_path, gate_values, pointed_at
from interlock.execution.findings import fitted, whole
from interlock.execution.records import delivery_branch, delivery_message, feedback_document, handoff_record
from interlock.ports import (
    Cancel,
    DeliveryRefused,
    Fenced,
    GateRequest,
    InfrastructureError,
    Judgement,
    Stamp,
    World,
    as_failure,
    secrets_of,
)
from interlock.process import MaskedBlobs
from interlock.text.cleaning import cut

Facts = Generator[Event, Recorded | None, None]
_VALUE_MAX = 300  # characters of a value that a condition looks at


def perform(world: World, context: Context, effect: Operation, cancel: Cancel, claim: Recorded | None = None) -> Facts:
    """Carry `effect` out; an attempt has its `claim`, the record of its AttemptStarted. Raises Fenced and Cancelled;
    every other expected error becomes a fact, which the planner counts."""
    secrets = secrets_of(context.pipeline, context.environ, world.agents)
    world = replace(world, blobs=MaskedBlobs(world.blobs, (value for _, value in secrets))) if secrets else world
    match effect:
        case StartAttempt():
            assert claim is not None, f"nobody has claimed {effect.attempt}"
            yield make_attempt(world, context, effect, claim, cancel)
        case EvaluateGate():
            yield from _evaluate_gate(world, context, effect, cancel)
        case LoseAttempt():
            yield from _lose_attempt(world, context, effect)
        case DeliverBranch():
            yield from _deliver(world, context, effect)
        case PrepareInput() | CheckWhen() | AcceptHandoff() | RejectCandidate():
            yield from _counted(world, context, effect)
        case _:
            assert_never(effect)


_Counted = PrepareInput | CheckWhen | AcceptHandoff | RejectCandidate


def _counted(world: World, context: Context, effect: _Counted) -> Facts:
    """Effects whose failures are counted by the planner, which then waits or asks a person."""
    try:
        with _owned(world, context):
            event = _event_of(world, context, effect)
    except InfrastructureError as error:
        event = _errored(world, context, effect, error)
    yield event


@contextmanager
def _owned(world: World, context: Context) -> Iterator[None]:
    """Around what is done for the owner of the run. Raises Fenced, Cancelled and InfrastructureError alone."""
    with as_failure():
        if not world.holds_fence():
            raise Fenced(f"run {context.run} is controlled by another process")
        yield


def _errored(world: World, context: Context, effect: Numbered, error: InfrastructureError) -> EffectErrored:
    retry_at = context.retry_at(world.clock.now(), effect.number - 1)
    return EffectErrored(effect_key(effect), effect.number, str(error), retry_at, error.permanent, error.undone)


def _event_of(world: World, context: Context, effect: _Counted) -> Event:
    match effect:
        case PrepareInput():
            return _prepare_input(world, context, effect)
        case CheckWhen():
            return _check_when(world, context, effect)
        case AcceptHandoff():
            return _accept(world, context, effect)
        case RejectCandidate():
            return _reject(world, context, effect)
        case _:
            assert_never(effect)


# --- inputs -------------------------------------------------------------------------------------


def _prepare_input(world: World, context: Context, effect: PrepareInput) -> InputPrepared:
    stamp = Stamp(f"interlock: input of {effect.subject}", int(context.started_at))
    merged = world.workspaces.merge(effect.sources, stamp, context.ref(effect.subject), effect.names)
    found = (merged.conflicts, effect.names, merged.undecided)
    return InputPrepared(effect.subject, merged.commit, merged.tree, effect.sources, *found)


def _check_when(world: World, context: Context, effect: CheckWhen) -> Event:
    when = context.pipeline.stage(effect.subject.stage).when
    if when is None:
        return WhenHeld(effect.subject)
    path = artifact_path(context.pipeline, when.artifact)
    content = world.workspaces.read(effect.commit, path, max_bytes=10_000_000)
    try:
        value = pointed_at(json.loads(content or b"null"), when.at)
        shown = json.dumps(value)
    except (ValueError, RecursionError) as error:
        raise InfrastructureError(f"when: {when.artifact} is not JSON: {error}", permanent=True) from error
    if value == json.loads(when.equals):
        return WhenHeld(effect.subject)
    if effect.broken:
        stage = effect.subject.stage
        return Paused(stage, PauseReason.CONFLICT, f"{effect.broken}, and {stage} would be skipped: nobody fixes it")
    return StageSkipped(effect.subject, f"{when.artifact}{when.at} is {cut(shown, _VALUE_MAX)}, not {when.equals}")


# --- judgement ----------------------------------------------------------------------------------


def _evaluate_gate(world: World, context: Context, effect: EvaluateGate, cancel: Cancel) -> Facts:
    _, gate = find_gate(context.pipeline, effect.gate)
    try:
        with _owned(world, context):
            if gate.command is not None or gate.gate_class is GateClass.SOFT:
                require_level(world, context)
            judgement = world.gates.evaluate(gate_request(world, context, effect), cancel)
            findings, all_of_them = fitted(world.blobs, judgement.findings)
    except InfrastructureError as error:
        findings, all_of_them = (_trouble(error),), ()
        judgement = Judgement(VerdictStatus.ERRORED, findings, permanent=error.permanent)
    errored = judgement.status is VerdictStatus.ERRORED
    yield VerdictGiven(
        subject=effect.subject,
        gate=effect.gate,
        number=effect.number,
        status=judgement.status,
        findings=findings,
        evidence=(*judgement.evidence, *all_of_them),
        tree=effect.tree,
        digest=judgement.digest,
        cached=judgement.cached,
        flaky=judgement.flaky,
        retry_at=_retry_at(world, context, effect, judgement) if errored else 0.0,
        permanent=judgement.permanent,
        sandbox=context.level,
        hard=gate.gate_class is GateClass.HARD,
        usage=judgement.usage,
        notes=world.workspaces.removal_notes(),
        quota=errored and judgement.quota,
        tests=judgement.tests,
        worker=world.worker,
        tools=judgement.tools,
    )


def _retry_at(world: World, context: Context, effect: EvaluateGate, judgement: Judgement) -> float:
    return context.retry_at(world.clock.now(), effect.number - 1, judgement.retry_at, quota=judgement.quota)


def gate_request(world: World, context: Context, effect: EvaluateGate) -> GateRequest:
    stage, gate = find_gate(context.pipeline, effect.gate)
    return GateRequest(
        run=context.run,
        subject=effect.subject,
        stage=stage,
        gate=gate,
        pipeline=context.pipeline,
        commit=effect.commit,
        tree=effect.tree,
        input_commit=effect.input_commit,
        input_tree=effect.input_tree,
        base_commit=context.started.base_commit,
        values=gate_values(context, stage),
        baseline=world.blobs.get(effect.baseline) if effect.baseline else None,
        on_base=world.blobs.get(effect.on_base) if effect.on_base else None,
        decided_on_input=effect.decided_on_input,
        conflicts=effect.conflicts,
        undecided=effect.undecided,
        sandbox=context.level,
        number=effect.number,
        hard_verdicts=effect.hard_verdicts,
        former=effect.former,
        alone=world.alone,
        contents=context.started.contents,
        before=effect.before,
        on_base_tools=effect.on_base_tools,
        base_tree=context.started.base_tree,
    )


def _trouble(error: InfrastructureError) -> Finding:
    return Finding(rule=error.rule, message=str(error))


def _accept(world: World, context: Context, effect: AcceptHandoff) -> HandoffAccepted:
    """What was judged is a tree, and what goes on is a commit: whoever made the candidate said that they fit."""
    if world.workspaces.changes(effect.commit, effect.tree):
        raise InfrastructureError(
            f"the candidate of {effect.attempt} cannot be accepted: the commit {effect.commit} has not the tree"
            f" {effect.tree} that was judged; look at the worker that made it, then reject the candidate",
            permanent=True,
        )
    if world.records is None:
        record = world.blobs.put(handoff_record(context, effect))
    else:
        delivers = world.records.delivered_tree(effect.commit, context.started.base_commit)
        record = world.records.keep(context.run, handoff_record(context, effect, delivers))
    return HandoffAccepted(effect.attempt, effect.commit, effect.tree, record, effect.override_by, effect.by)


def _reject(world: World, context: Context, effect: RejectCandidate) -> CandidateRejected:
    effect = replace(effect, verdicts=tuple(whole(world.blobs, verdict) for verdict in effect.verdicts))
    said_no = failed(effect.verdicts)
    patch = world.blobs.put(world.workspaces.patch(effect.input_tree, effect.tree))
    return CandidateRejected(
        attempt=effect.attempt,
        tree=effect.tree,
        feedback=world.blobs.put(feedback_document(world, context, effect, patch)),
        fingerprint=fingerprint(effect.verdicts),
        empty=effect.tree == effect.input_tree,
        hard=any(verdict.hard for verdict in said_no),
        gates=tuple(verdict.gate for verdict in said_no),
        reasons=reasons(effect.verdicts),
        files=files(effect.verdicts),
    )


def _lose_attempt(world: World, context: Context, effect: LoseAttempt) -> Facts:
    try:
        with _owned(world, context):
            world.workspaces.discard(context.run, effect.attempt)
        stays = world.workspaces.removal_notes()
    except InfrastructureError as error:  # its place is its own: it is in nobody's way, and gc finds it
        stays = (str(error),)
    yield AttemptLost(effect.attempt, "; ".join([effect.why, *(f"left behind: {why}" for why in stays)]))


# --- delivery -----------------------------------------------------------------------------------


def _deliver(world: World, context: Context, effect: DeliverBranch) -> Facts:
    """Nothing shows until the journal says that it may. Then the branch is made while nobody can take the run."""
    try:
        with _owned(world, context):
            begun = _sent(world, context, effect)
    except InfrastructureError as error:
        yield _errored(world, context, effect, error)
        return
    record = yield begun
    if record is not None:
        yield _created(world, context, effect, begun)


def _created(world: World, context: Context, effect: DeliverBranch, begun: DeliveryBegun) -> Delivered | EffectErrored:
    try:
        with as_failure(), world.alone():
            try:
                world.workspaces.create_branch(begun.branch, begun.commit)
            except DeliveryRefused as refused:  # made earlier, it may have been moved or renamed since
                refused.undone = refused.undone and effect.begun is None
                raise
    except InfrastructureError as error:
        return _errored(world, context, effect, error)
    return Delivered(begun.branch, begun.commit, effect.commit)


def _sent(world: World, context: Context, effect: DeliverBranch) -> DeliveryBegun:
    deliver = context.pipeline.deliver
    branch = effect.branch or delivery_branch(world.render, context.pipeline, context.started)
    if effect.begun is not None:
        if effect.begun.branch != branch:  # who controls the run on another machine may say anything
            raise InfrastructureError(f"branch {effect.begun.branch} is not that of the run, {branch}", permanent=True)
        return replace(effect.begun, source=effect.commit)
    stamp = Stamp(delivery_message(context), int(context.started_at), deliver.author)
    base = context.started.base_commit
    commit = world.workspaces.send(effect.commit, base, branch, stamp, effect.series, sign=deliver.sign)
    return DeliveryBegun(branch, commit, effect.commit)
