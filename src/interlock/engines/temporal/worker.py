"""Workers: they perform the effects of runs, on any machine that has what an effect needs.

Rule: a worker believes nothing that a server says beyond what an effect is: documents and commits come out of blobs by
their digest.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from interlock.core.effects import Decision, DeliverBranch, Effect, PrepareInput, StartAttempt, WaitUntil
from interlock.core.events import CandidateProduced, DeliveryBegun, Event, InputPrepared, Recorded
from interlock.core.wire import decode_effect, decode_record
from interlock.engines.temporal.flow import RunWorkflow
from interlock.engines.temporal.messages import PERFORM, EffectInput, EventRow, event_row
from interlock.execution.context import Context, ContextReference, context_of
from interlock.execution.perform import perform
from interlock.ports import Cancelled, InfrastructureError, World
from interlock.process import prepare

_BEAT_S = 1.0
_THROTTLE = timedelta(seconds=2)
_GRACE = timedelta(seconds=5)
THROUGH = ("interlock",)  # imported once, not anew for each run


@dataclass(slots=True)
class Performer:
    """Performs effects. The blobs of its world are shared with all other machines."""

    world: World
    environ: Mapping[str, str]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @activity.defn(name=PERFORM, no_thread_cancel_exception=True)
    def perform(self, given: EffectInput) -> list[EventRow]:
        """The events of one effect. What fails is an event too; an exception is a defect, or a lost blob."""
        try:
            with _beating() as cancel:
                return [event_row(event) for event in self._events(given, cancel)]
        except Cancelled as error:
            raise CancelledError("it is no longer wanted") from error
        except InfrastructureError as error:
            raise ApplicationError(str(error), type="infrastructure", non_retryable=error.permanent) from error

    def _events(self, given: EffectInput, cancel: threading.Event) -> Iterator[Event]:
        effect = decode_effect(given.effect)
        assert not isinstance(effect, Decision | WaitUntil)  # nothing is performed for these
        self._receive(given)
        context = context_of(ContextReference(**asdict(given.documents)), self.world.blobs, self.environ)
        world = replace(self.world, holds_fence=lambda: not activity.is_cancelled())
        facts = perform(world, context, effect, cancel, decode_record(given.claim) if given.claim else None)
        try:
            event = next(facts)
            if isinstance(effect, DeliverBranch) and effect.begun and isinstance(event, DeliveryBegun):
                event = facts.send(Recorded(0, context.started_at, event))  # it is recorded already
            yield self._sent(event, effect, context)
        finally:
            facts.close()

    def _receive(self, given: EffectInput) -> None:
        with self._lock:
            for number, (commit, digest) in enumerate(given.packs):
                if not self.world.workspaces.has(commit):
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
            return replace(event, pack=self.world.blobs.put(content))
        return event


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
    """One queue that a process serves: effects, and runs themselves if it `controls`."""

    queue: str
    slots: int
    controls: bool = False
    works: bool = True


async def serve(client: Client, performer: Performer, servings: tuple[Serving, ...], ready: Callable[[], None]) -> None:
    """Serve these queues until cancelled."""
    prepare()
    workers = [_worker(client, performer, serving) for serving in servings]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    ready()
    try:
        await asyncio.gather(*running)
    finally:
        await asyncio.gather(*(worker.shutdown() for worker in workers), return_exceptions=True)


def _worker(client: Client, performer: Performer, serving: Serving) -> Worker:
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*THROUGH)
    return Worker(
        client,
        task_queue=serving.queue,
        workflows=[RunWorkflow] if serving.controls else [],
        activities=[performer.perform],
        activity_executor=ThreadPoolExecutor(serving.slots),
        max_concurrent_activities=serving.slots,
        no_remote_activities=not serving.works,
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
        graceful_shutdown_timeout=_GRACE,
        max_heartbeat_throttle_interval=_THROTTLE,
        default_heartbeat_throttle_interval=_THROTTLE,
    )
