"""Performing a command: effects first, the fact last.

`perform` is a generator of events. The engine journals each one and sends back its record, or None
where the event came too late; then the effect ends there. Nothing here looks at the run's state, so
the same code runs on a thread, in a simulation and on another machine.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from typing import assert_never

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
    ApprovalAsked,
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
    RunFinished,
    SentBack,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.feedback import failed, files, fingerprint, reasons
from interlock.core.judging import find_gate
from interlock.core.pipeline import GateClass
from interlock.core.tries import Numbered, effect_key
from interlock.execution.attempt import start_attempt
from interlock.execution.context import Context
from interlock.execution.documents import artifact_path, gate_values, pointed_at
from interlock.execution.records import delivery_branch, delivery_message, feedback_document, handoff_record
from interlock.ports import (
    Cancel,
    Case,
    DeliveryRefused,
    Fenced,
    InfrastructureError,
    Judgement,
    Stamp,
    World,
    as_infrastructure,
    secrets_of,
)
from interlock.process import MaskedBlobs

Effects = Generator[Event, Recorded | None, None]


def perform(world: World, context: Context, command: Command, cancel: Cancel) -> Effects:
    """Carry `command` out. Raises Fenced and Cancelled; infrastructure becomes an event."""
    if not world.holds_fence():
        raise Fenced(f"run {context.run} has another owner")
    secrets = secrets_of(context.pipeline, context.environ, world.agents)
    world = replace(world, blobs=MaskedBlobs(world.blobs, (value for _, value in secrets))) if secrets else world
    match command:
        case StartAttempt():
            yield from start_attempt(world, context, command, cancel)
        case EvaluateGate():
            yield from _evaluate_gate(world, context, command, cancel)
        case LoseAttempt():
            yield from _lose_attempt(world, context, command)
        case AskApproval():
            _, gate = find_gate(context.pipeline, command.gate)
            yield ApprovalAsked(command.subject, command.gate, gate.question)
        case SendBack():
            yield SentBack(command.attempt, command.target, command.rule, command.feedback, command.resets)
        case Pause():
            yield Paused(command.stage, command.reason, command.detail)
        case WaitUntil():
            yield TimeReached(command.at)
        case FinishRun():
            yield RunFinished(command.status, command.why)
        case DeliverBranch():
            yield from _deliver(world, context, command)
        case PrepareInput() | CheckWhen() | AcceptHandoff() | RejectCandidate():
            yield from _counted(world, context, command)
        case _:
            assert_never(command)


_Counted = PrepareInput | CheckWhen | AcceptHandoff | RejectCandidate


def _counted(world: World, context: Context, command: _Counted) -> Effects:
    """Effects whose failures are counted by the planner, which then waits or asks a person."""
    try:
        with as_infrastructure():
            event = _event_of(world, context, command)
    except (InfrastructureError, DeliveryRefused) as error:
        event = _errored(world, context, command, error)
    record = yield event
    if record is not None and isinstance(command, AcceptHandoff):
        with as_infrastructure():
            _keep_script(world, command)


def _errored(
    world: World, context: Context, command: Numbered, error: InfrastructureError | DeliveryRefused
) -> EffectErrored:
    if isinstance(error, DeliveryRefused):  # a person must decide
        permanent, undone = True, error.undone
    else:
        permanent, undone = error.permanent, error.undone
    retry_at = context.retry_at(world.clock.now(), command.number - 1)
    return EffectErrored(effect_key(command), command.number, str(error), retry_at, permanent, undone)


def _event_of(world: World, context: Context, command: _Counted) -> Event:
    match command:
        case PrepareInput():
            return _prepare_input(world, context, command)
        case CheckWhen():
            return _check_when(world, context, command)
        case AcceptHandoff():
            return _accept(world, context, command)
        case RejectCandidate():
            return _reject(world, context, command)
        case _:
            assert_never(command)


# --- inputs -------------------------------------------------------------------------------------


def _prepare_input(world: World, context: Context, command: PrepareInput) -> InputPrepared:
    stamp = Stamp(f"interlock: input of {command.subject}", int(context.started_at))
    merged = world.workspaces.merge(command.sources, stamp, context.ref(command.subject), command.names)
    found = (merged.conflicts, command.names, merged.undecided)
    return InputPrepared(command.subject, merged.commit, merged.tree, command.sources, *found)


def _check_when(world: World, context: Context, command: CheckWhen) -> Event:
    when = context.pipeline.stage(command.subject.stage).when
    if when is None:
        return WhenHeld(command.subject)
    path = artifact_path(context.pipeline, when.artifact)
    content = world.workspaces.read(command.commit, path, max_bytes=10_000_000)
    try:
        value = pointed_at(json.loads(content or b"null"), when.at)
    except ValueError as error:
        raise InfrastructureError(f"when: {when.artifact} is not JSON: {error}", permanent=True) from error
    if value == json.loads(when.equals):
        return WhenHeld(command.subject)
    if command.broken:
        stage = command.subject.stage
        return Paused(stage, PauseReason.CONFLICT, f"{command.broken}, and {stage} would be skipped: nobody mends it")
    return StageSkipped(command.subject, f"{when.artifact}{when.at} is {json.dumps(value)}, not {when.equals}")


# --- judgement ----------------------------------------------------------------------------------


def _evaluate_gate(world: World, context: Context, command: EvaluateGate, cancel: Cancel) -> Effects:
    try:
        with as_infrastructure():
            judgement = world.gates.evaluate(_case(world, context, command), cancel)
    except InfrastructureError as error:
        judgement = Judgement(VerdictStatus.ERRORED, (_trouble(error),), permanent=error.permanent)
    _, gate = find_gate(context.pipeline, command.gate)
    errored = judgement.status is VerdictStatus.ERRORED
    yield VerdictGiven(
        subject=command.subject,
        gate=command.gate,
        number=command.number,
        status=judgement.status,
        findings=judgement.findings,
        evidence=judgement.evidence,
        tree=command.tree,
        digest=judgement.digest,
        cached=judgement.cached,
        flaky=judgement.flaky,
        retry_at=_retry_at(world, context, command, judgement) if errored else 0.0,
        permanent=judgement.permanent,
        sandbox=context.started.sandbox,
        hard=gate.gate_class is GateClass.HARD,
        usage=judgement.usage,
        notes=world.workspaces.leavings(),
        quota=errored and judgement.quota,
    )


def _retry_at(world: World, context: Context, command: EvaluateGate, judgement: Judgement) -> float:
    return context.retry_at(world.clock.now(), command.number - 1, judgement.retry_at, quota=judgement.quota)


def _case(world: World, context: Context, command: EvaluateGate) -> Case:
    stage, gate = find_gate(context.pipeline, command.gate)
    return Case(
        run=context.run,
        subject=command.subject,
        stage=stage,
        gate=gate,
        pipeline=context.pipeline,
        commit=command.commit,
        tree=command.tree,
        input_commit=command.input_commit,
        input_tree=command.input_tree,
        base_commit=context.started.base_commit,
        values=gate_values(context, stage),
        baseline=world.blobs.get(command.baseline) if command.baseline else None,
        on_base=world.blobs.get(command.on_base) if command.on_base else None,
        decided_on_input=command.decided_on_input,
        conflicts=command.conflicts,
        undecided=command.undecided,
        sandbox=context.started.sandbox,
        number=command.number,
        said=command.said,
        former=command.former,
        alone=world.alone,
    )


def _trouble(error: InfrastructureError) -> Finding:
    return Finding(rule=error.rule, message=str(error))


def _accept(world: World, context: Context, command: AcceptHandoff) -> HandoffAccepted:
    record = world.blobs.put(handoff_record(context, command))
    return HandoffAccepted(command.attempt, command.commit, command.tree, record, command.override_by, command.by)


def _keep_script(world: World, command: AcceptHandoff) -> None:
    """What a script made is known from now on; what was rejected, or accepted by a person, is made anew."""
    key = world.journal.recall("script-key", command.commit)
    if key and not command.override_by and not command.by:
        world.journal.remember("script", key, command.commit)


def _reject(world: World, context: Context, command: RejectCandidate) -> CandidateRejected:
    said_no = failed(command.verdicts)
    patch = world.blobs.put(world.workspaces.patch(command.input_tree, command.tree))
    return CandidateRejected(
        attempt=command.attempt,
        tree=command.tree,
        feedback=world.blobs.put(feedback_document(world, context, command, patch)),
        fingerprint=fingerprint(command.verdicts),
        empty=command.tree == command.input_tree,
        hard=any(verdict.hard for verdict in said_no),
        gates=tuple(verdict.gate for verdict in said_no),
        reasons=reasons(command.verdicts),
        files=files(command.verdicts),
    )


def _lose_attempt(world: World, context: Context, command: LoseAttempt) -> Effects:
    try:
        with as_infrastructure():
            world.workspaces.discard(context.run, command.attempt)
        stays = world.workspaces.leavings()
    except InfrastructureError as error:  # its place is its own: it is in nobody's way, and gc finds it
        stays = (str(error),)
    yield AttemptLost(command.attempt, "; ".join([command.why, *(f"left behind: {why}" for why in stays)]))


# --- delivery -----------------------------------------------------------------------------------


def _deliver(world: World, context: Context, command: DeliverBranch) -> Effects:
    """Nothing shows until the journal says that it may. Then the branch is made while nobody can take the run."""
    event: Event
    begun = command.begun
    try:
        branch, commit = (begun.branch, begun.commit) if begun else _sent(world, context, command)
        record = yield DeliveryBegun(branch, commit, command.commit)
        if record is None:
            return
        with world.alone():
            world.workspaces.create_branch(branch, commit)
        event = Delivered(branch, commit, command.commit)
    except (InfrastructureError, DeliveryRefused) as error:
        if begun and isinstance(error, DeliveryRefused):  # made earlier, it may have been moved or renamed since
            error.undone = False
        event = _errored(world, context, command, error)
    yield event


def _sent(world: World, context: Context, command: DeliverBranch) -> tuple[str, str]:
    deliver = context.pipeline.deliver
    branch = command.branch or delivery_branch(world.render, context.pipeline, context.started)
    stamp = Stamp(delivery_message(context), int(context.started_at), deliver.author)
    base = context.started.base_commit
    return branch, world.workspaces.send(command.commit, base, branch, stamp, command.series, sign=deliver.sign)
