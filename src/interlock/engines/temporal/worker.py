"""Workers: they perform the effects of runs, on any machine that has what an effect needs.

Rule: a worker believes nothing that a server says beyond what an effect is: documents and commits come out of blobs by
their digest.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import partial

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from interlock.core.admission import admit_errand
from interlock.core.effects import Decision, DeliverBranch, Effect, EvaluateGate, PrepareInput, StartAttempt, WaitUntil
from interlock.core.events import CandidateProduced, DeliveryBegun, Event, InputPrepared, Recorded
from interlock.core.judging import in_repository
from interlock.core.state import RunState
from interlock.core.wire import decode_effect, decode_record
from interlock.engines.temporal.builds import become_current, build, deployment
from interlock.engines.temporal.exclusive import HoldWorkflow, Names
from interlock.engines.temporal.fleet import EXPECTED, Placer, attend, attend_as_controller, fleet_worker
from interlock.engines.temporal.flow import RunWorkflow
from interlock.engines.temporal.histories import keep_history
from interlock.engines.temporal.messages import (
    KEEP,
    LASTING,
    PASSING,
    PERFORM,
    TAKEN_BY_ITS_MAKER,
    EffectInput,
    EventRow,
    HistoryInput,
    event_row,
)
from interlock.engines.temporal.needs import Offer
from interlock.engines.temporal.server import runs_of
from interlock.execution.context import Context, ContextReference, context_of
from interlock.execution.perform import perform
from interlock.ports import Blobs, Cancelled, InfrastructureError, NamedBlobs, UsageError, World
from interlock.process import prepare

_BEAT_S = 1.0
_THROTTLE = timedelta(seconds=2)
_PASSED_ON = timedelta(seconds=1)
_PASSED_ON_MAX = 30  # then it is looked for another place
_GRACE = timedelta(seconds=5)
_LOOKS_MAX, _LOOK_S = 50, 0.2  # at what the history of a run leads to
_KEPT_TRIES = 4  # 81 seconds with the usual backoff
THROUGH = ("interlock",)  # imported once, not anew for each run


@dataclass(slots=True)
class Performer:
    """Performs effects. The blobs of its world are `shared` with all other machines. In a repository it has `known`:
    the state of a run that began there, with what is new beyond a seq, or None. It does for such runs alone what only a
    process in their repository can do, and only what their history leads to."""

    world: World
    environ: Mapping[str, str]
    shared: NamedBlobs
    known: Callable[[str, int], RunState | None] | None = None
    alone: Callable[[str], AbstractContextManager[object]] | None = None  # as `World.alone`, of a run
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @activity.defn(name=PERFORM, no_thread_cancel_exception=True)
    def perform(self, given: EffectInput) -> list[EventRow]:
        """The events of one effect. What fails is an event too; an exception is a defect, or about documents and
        packs."""
        if given.not_by and given.not_by == self.world.worker:
            tries = activity.info().attempt
            raise ApplicationError(
                "this worker made the candidate: another one judges it", type=TAKEN_BY_ITS_MAKER, category=EXPECTED,
                next_retry_delay=_PASSED_ON, non_retryable=tries >= _PASSED_ON_MAX,
            )  # fmt: skip
        try:
            with _beating() as cancel:
                return [event_row(event) for event in self._events(given, cancel)]
        except Cancelled as error:
            raise CancelledError("it is no longer wanted") from error
        except InfrastructureError as error:
            kind = LASTING if error.permanent else PASSING
            said = f"on {self.world.worker}: {error}" if self.world.worker else str(error)
            raise ApplicationError(said, type=kind, non_retryable=True) from error  # the workflow counts it

    @activity.defn(name=KEEP, no_thread_cancel_exception=True)
    def keep(self, given: HistoryInput) -> str:
        """Keep the history of a run, so that it is found when the server knows the run no more. Returns its digest."""
        try:
            return keep_history(self.shared, given.run, given.records)
        except UsageError as error:
            raise ApplicationError(str(error), type=LASTING, non_retryable=True) from error

    def _events(self, given: EffectInput, cancel: threading.Event) -> Iterator[Event]:
        effect = decode_effect(given.effect)
        assert not isinstance(effect, Decision | WaitUntil)  # nothing is performed for these
        context = context_of(ContextReference(**asdict(given.documents)), self.world.blobs, self.environ)
        self._require_ours(context, given.documents.pipeline, effect, cancel)
        self._receive(given)
        alone = partial(self.alone, context.run) if self.alone else self.world.alone
        world = replace(self.world, holds_fence=lambda: not activity.is_cancelled(), alone=alone)
        facts = perform(world, context, effect, cancel, decode_record(given.claim) if given.claim else None)
        try:
            event = next(facts)
            if isinstance(effect, DeliverBranch) and effect.begun and isinstance(event, DeliveryBegun):
                event = facts.send(Recorded(0, context.started_at, event))  # it is recorded already
            yield self._sent(event, effect, context)
        finally:
            facts.close()

    def _require_ours(self, context: Context, pipeline: str, effect: Effect, cancel: threading.Event) -> None:
        """Any worker can write to the task queue of a repository. `pipeline` is the digest of that of the context.
        Raises InfrastructureError, Cancelled."""
        if self.known is None:
            return
        state = self.known(context.run, 0)
        began = state is not None and context.started == state.started and context.started.pipeline_text == pipeline
        if (
            not began
            or not isinstance(effect, EvaluateGate | DeliverBranch)
            or not in_repository(context.pipeline, effect)
        ):
            raise InfrastructureError(
                f"{type(effect).__name__} of run {context.run:.100} is no work of this repository: the run did not"
                " begin here in that way, or a worker does this",
                permanent=True,
            )
        why = ""
        for _ in range(_LOOKS_MAX):  # what is known here may be behind
            why = admit_errand(state, effect) if state is not None else "nothing is known of it here any more"
            if not why:
                return
            if cancel.wait(_LOOK_S):
                raise Cancelled
            state = self.known(context.run, state.seq if state is not None else 0)
        raise InfrastructureError(f"the history of run {context.run} does not lead to {type(effect).__name__}: {why}")

    def _receive(self, given: EffectInput) -> None:
        with self._lock:
            for number, (commit, digest) in enumerate(given.packs):
                if not self.world.workspaces.renew(commit, is_base=number == 0):
                    self.world.workspaces.receive(commit, self.world.blobs.get(digest), is_base=number == 0)

    def _sent(self, event: Event, effect: Effect, context: Context) -> Event:
        """With the pack of the commit that it tells of, which other machines need."""
        known = {context.started.base_commit}
        if isinstance(effect, StartAttempt):
            known.add(effect.input_commit)
        elif isinstance(effect, PrepareInput):
            known.update(effect.sources)
        if isinstance(event, CandidateProduced | InputPrepared) and event.commit not in known:
            content = self.world.workspaces.pack(event.commit, context.started.base_commit)
            pack = _kept(self.world.blobs, content, context)
            with suppress(InfrastructureError):  # else this machine receives what it has made
                self.world.workspaces.keep(event.commit)
            return replace(event, pack=pack)
        return event


def _kept(blobs: Blobs, content: bytes, context: Context) -> str:
    """Its digest. A store that fails is asked again for a while, since the work behind the content is paid for."""
    for tries in range(_KEPT_TRIES):
        try:
            return blobs.put(content)
        except InfrastructureError as error:
            if error.permanent or activity.is_cancelled():
                raise
            time.sleep(context.retry_at(0.0, tries))
    return blobs.put(content)


@contextmanager
def _beating() -> Iterator[threading.Event]:
    """Heartbeats from a thread; the event is set when the server wants the effect no more."""
    cancel, done = threading.Event(), threading.Event()
    if activity.info().is_local:
        yield cancel
        return

    def beat() -> None:
        while not done.wait(_BEAT_S):
            activity.heartbeat()
            if activity.is_cancelled():
                cancel.set()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(beat,), daemon=True)
    thread.start()
    try:
        yield cancel
    finally:
        done.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Serving:
    """What a process serves. One that `controls` performs small effects only, and controls the runs whose `blobs` have
    this mark; a worker performs what its `offer` fits, and `queue` is what the settings call it; else `queue` is a task
    queue for deliveries."""

    queue: str
    slots: int
    controls: bool = False
    offer: Offer | None = None
    blobs: str = ""

    @property
    def own_queue(self) -> str:
        if self.controls:
            return runs_of(self.queue, self.blobs)
        return self.queue if self.offer is None else self.offer.queue(self.queue)

    @property
    def deployment(self) -> str:
        """Of controllers. The server takes no dot in this name."""
        return f"{self.queue}-{self.blobs}"


async def serve(client: Client, performer: Performer, serving: Serving, ready: Callable[[str], None]) -> None:
    """Serve this queue until cancelled. `ready` is given the build that new runs begin with, where that is another one
    than that of this controller."""
    prepare()
    workers = [_worker(client, performer, serving)]
    if serving.controls:
        workers.append(fleet_worker(client, serving.queue))
    running = [asyncio.create_task(worker.run()) for worker in workers]
    attending: list[asyncio.Task[None]] = []
    if serving.offer is not None:
        known = attend(client, serving.queue, serving.offer, performer.world.worker)
        attending.append(asyncio.create_task(known))
    if serving.controls:
        seen = attend_as_controller(client, serving.queue, serving.blobs, performer.world.worker)
        attending.append(asyncio.create_task(seen))
    try:
        current = await become_current(client, serving.deployment) if serving.controls else build()
        ready("" if current == build() else current)
        await asyncio.gather(*running, *attending)
    finally:
        for task in attending:
            task.cancel()
        await asyncio.gather(*(worker.shutdown() for worker in workers), return_exceptions=True)


def runner() -> SandboxedWorkflowRunner:
    """What workflows run in: it refuses what a replay would decide otherwise."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*THROUGH))


def _worker(client: Client, performer: Performer, serving: Serving) -> Worker:
    activities: list[Callable[..., object]] = [performer.perform, performer.keep]
    if serving.controls:
        activities += [Placer(client, serving.queue, serving.blobs).place, Names(client).free]
    return Worker(
        client,
        task_queue=serving.own_queue,
        workflows=[RunWorkflow, HoldWorkflow] if serving.controls else [],
        activities=activities,
        activity_executor=ThreadPoolExecutor(serving.slots),
        max_concurrent_activities=serving.slots,
        workflow_runner=runner(),
        deployment_config=deployment(serving.deployment) if serving.controls else None,
        graceful_shutdown_timeout=_GRACE,
        max_heartbeat_throttle_interval=_THROTTLE,
        default_heartbeat_throttle_interval=_THROTTLE,
    )
