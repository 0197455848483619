"""The workers of a namespace: what they offer, which of them live, and which one takes an effect.

Rule: offers are remembered by a workflow, in which nothing is ever wrong for long: whether a worker lives is asked of
its task queue.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio import activity, workflow
from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, PollWorkflowTaskQueueRequest
from temporalio.client import Client, RPCError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.converter import DataConverter
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ApplicationErrorCategory,
    TemporalError,
    TimeoutType,
)
from temporalio.exceptions import TimeoutError as TimedOut
from temporalio.service import RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from interlock.core.effects import EvaluateGate, Operation, StartAttempt, key
from interlock.engines.temporal.messages import TAKEN_BY_ITS_MAKER, WAITS
from interlock.engines.temporal.needs import Need, Offer, Seen, chosen, fits, other_blobs, unmet
from interlock.engines.temporal.server import blobs_in, identity, mark_in
from interlock.gates.locks import WaitingWork

PLACE, FLEET, OFFERED, OFFERS = "place", "interlock-workers", "offered", "offers"
THE_RUN = "run"  # the subject of what the run itself waits for

EXPECTED = ApplicationErrorCategory.BENIGN  # of a failure that belongs to no log

_OFFERS_MAX = 200
_PLACES_MAX = 20  # that one look tells of
_POLL = timedelta(seconds=21)  # servers complain of less than 20
_LIVES_S = 26.0  # since a worker was seen last
_FRESH_S = 1.0  # how long what was seen of the workers is believed
_ANNOUNCE_S = 60.0
_ASK = timedelta(seconds=10)
_SHORT = timedelta(seconds=3)
_LATE_S = 5.0
_NONE_FREE = "waits until a worker that can do it is free: start more of them with `interlock worker`"
_IN_REPOSITORY = (
    "is judged from the repository of the run: `interlock resume {run}` or `interlock worker --deliver` there"
)
_NO_CONTROLLER = "waits for a controller: interlock worker --controller"


@dataclass(frozen=True)
class PlaceInput:
    """For what a worker is looked for: an attempt, or a gate on one. What it needs, and when that is, by the clock of
    the server."""

    subject: str
    gate: str
    need: Need
    at: float


def place_input(effect: Operation, need: Need, at: float) -> PlaceInput:
    """What is asked for a place of the effect, at the time `at` of the server."""
    if isinstance(effect, EvaluateGate):
        return PlaceInput(str(effect.subject), effect.gate.partition("/")[2], need, at)
    assert isinstance(effect, StartAttempt)
    return PlaceInput(str(effect.attempt), "", need, at)


@workflow.defn(name=FLEET)
class FleetWorkflow:
    """Remembers what workers have ever offered, the newest last, a bounded number of offers."""

    @workflow.init
    def __init__(self, offers: list[Offer]) -> None:
        self._offers = offers

    @workflow.run
    async def run(self, offers: list[Offer]) -> None:
        """Runs for ever, and begins anew when the server suggests it."""
        await workflow.wait_condition(lambda: workflow.info().is_continue_as_new_suggested())
        workflow.continue_as_new(self._offers)

    @workflow.signal(name=OFFERED)
    def offered(self, offer: Offer) -> None:
        """A worker with this offer has started."""
        self._offers = [*(known for known in self._offers if known != offer), offer][-_OFFERS_MAX:]

    @workflow.query(name=OFFERS)
    def offers(self) -> list[Offer]:
        return self._offers


def fleet_of(queue: str) -> str:
    """The id of that workflow, and the name of its task queue: any build of a controller continues it."""
    return f"{queue}-workers"


def fleet_worker(client: Client, queue: str) -> Worker:
    """What a controller serves it with."""
    return Worker(
        _plain(client),
        task_queue=fleet_of(queue),
        workflows=[FleetWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def attend(client: Client, queue: str, offer: Offer, worker: str) -> None:
    """Make the offer known, and let everybody see that the worker of this name lives, until cancelled."""
    seen = _stay_seen(client, offer.queue(queue), identity(worker, offer.blobs))
    await asyncio.gather(_stay_known(client, queue, offer), seen)


async def attend_as_controller(client: Client, queue: str, blobs: str, worker: str) -> None:
    """Let everybody see that the controller of this name lives, and which blobs it has, until cancelled."""
    await _stay_seen(client, _controllers_of(queue), identity(worker, blobs))


def _controllers_of(queue: str) -> str:
    """The task queue that tells of them, whatever blobs they have. It has no tasks."""
    return f"{queue}-controllers"


async def _stay_known(client: Client, queue: str, offer: Offer) -> None:
    is_new = True
    while True:
        with suppress(TemporalError):  # the server or all controllers are gone: next time
            if is_new or offer not in await _offers(client, queue):
                await _offer(client, queue, offer)
                is_new = False
        await asyncio.sleep(1 if is_new else _ANNOUNCE_S)


async def _stay_seen(client: Client, queue: str, name: str) -> None:
    """Ask for tasks of workflows, of which this queue has none. Its effects are asked for only while a slot is free."""
    asked = PollWorkflowTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), identity=name)
    while True:
        try:
            await client.workflow_service.poll_workflow_task_queue(asked, timeout=_POLL)
        except RPCError:
            await asyncio.sleep(1)


def _plain(client: Client) -> Client:
    """The same without a key: offers are names, and are kept for longer than any key."""
    given = client.config()
    given["data_converter"] = DataConverter.default
    return Client(**given)


async def _offer(client: Client, queue: str, offer: Offer) -> None:
    await _plain(client).start_workflow(
        FLEET, [], id=fleet_of(queue), task_queue=fleet_of(queue), start_signal=OFFERED, start_signal_args=[offer],
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )  # fmt: skip


async def workers(client: Client, queue: str, now: float) -> tuple[Seen, ...]:
    """All workers that live at the time `now` of the server, as they call themselves at the server, by what they
    offer. Raises RPCError."""
    known = await _offers(client, queue, _SHORT)
    return tuple([Seen(offer, tuple(sorted(await _living(client, offer.queue(queue), now)))) for offer in known])


async def controllers(client: Client, queue: str, now: float) -> tuple[str, ...]:
    """All controllers that live at the time `now` of the server, as they call themselves there. Raises RPCError."""
    return tuple(sorted(await _living(client, _controllers_of(queue), now)))


async def _offers(client: Client, queue: str, patience: timedelta = _ASK) -> list[Offer]:
    handle = _plain(client).get_workflow_handle(fleet_of(queue))
    try:
        known: list[Offer] = await handle.query(OFFERS, result_type=list[Offer], rpc_timeout=patience)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return []  # no worker has ever started
        raise
    return known


@dataclass
class Placer:
    """Finds workers of the queue for runs whose blobs have this mark."""

    client: Client
    queue: str
    blobs: str
    _seen: dict[Offer, tuple[float, Seen]] = field(default_factory=dict)
    _known: tuple[float, list[Offer]] = (0.0, [])

    @activity.defn(name=PLACE)
    async def place(self, given: PlaceInput) -> list[str]:
        """The task queue of each of the workers that can do what is needed, equally well; a bounded number. As a local
        activity, empty if there are none; else it fails with what is missing, and is tried again."""
        info = activity.info()
        now = given.at if info.is_local else info.current_attempt_scheduled_time.timestamp()
        why = unmet(given.need)
        try:
            if best := await self._choose(given.need, now):
                return [one.offer.queue(self.queue) for one in best for _ in one.workers][:_PLACES_MAX]
            if others := await self._with_other_blobs(given.need, now):
                why = other_blobs("worker", others)
        except TemporalError as error:  # controllers serve the list, and they come and go
            why = f"waits until it is known which workers there are ({error})"
        if info.is_local:
            return []
        raise ApplicationError(why, given.subject, given.gate, type=WAITS, category=EXPECTED)

    async def _choose(self, need: Need, now: float) -> list[Seen]:
        ours = [offer for offer in await self._offers() if offer.blobs == self.blobs and fits(offer, need)]
        return chosen(await asyncio.gather(*(self._look(offer, now) for offer in ours)), need)

    async def _with_other_blobs(self, need: Need, now: float) -> list[str]:
        """Who could do it, if it had the blobs. Versions before marks told none: of these nobody knows."""
        others = [offer for offer in await self._offers() if offer.blobs not in ("", self.blobs)]
        theirs = [offer for offer in others if fits(offer, need)]
        seen = await asyncio.gather(*(self._look(offer, now) for offer in theirs))
        return sorted({name for one in seen for name in one.workers if name != need.not_by})

    async def _offers(self) -> list[Offer]:
        at, known = self._known
        if time.monotonic() - at > _FRESH_S:
            known = await _offers(self.client, self.queue)
            self._known = (time.monotonic(), known)
        return known

    async def _look(self, offer: Offer, now: float) -> Seen:
        at, seen = self._seen.get(offer, (0.0, Seen(offer, ())))
        if time.monotonic() - at > _FRESH_S:
            seen = await look(self.client, self.queue, offer, now)
            self._seen[offer] = (time.monotonic(), seen)
        return seen


async def look(client: Client, queue: str, offer: Offer, now: float) -> Seen:
    """Who lives of those that offer this, at the time `now` of the server, and how many tasks wait for them."""
    living = await _living(client, offer.queue(queue), now)
    asked = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=offer.queue(queue)),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_stats=True,
    )
    backlog = (await client.workflow_service.describe_task_queue(asked, timeout=_ASK)).stats.approximate_backlog_count
    return Seen(offer, tuple(sorted(name.partition(" ")[0] for name in living)), backlog)


async def _living(client: Client, queue: str, now: float) -> set[str]:
    asked = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    pollers = (await client.workflow_service.describe_task_queue(asked, timeout=_ASK)).pollers
    return {one.identity for one in pollers if one.last_access_time.ToNanoseconds() / 1e9 > now - _LIVES_S}


async def waiting(client: Client, handle: WorkflowHandle[Any, Any], queue: str, run: str) -> tuple[WaitingWork, ...]:
    """What the run waits for since no worker fits, none that fits is free, a name is held, or there is no controller.
    Raises RPCError."""
    described = await handle.describe(rpc_timeout=_ASK)
    raw, converter = described.raw_description, described.data_converter
    found = [one for pending in raw.pending_activities if (one := await _waits(pending, converter, run)) is not None]
    task = raw.pending_workflow_task
    if task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED and _is_late(task.scheduled_time):
        found.append(WaitingWork(run, THE_RUN, why=await _no_controller(client, queue, blobs_in(described.task_queue))))
    return tuple(sorted(found, key=str))


async def _no_controller(client: Client, queue: str, blobs: str) -> str:
    there = await controllers(client, queue, time.time())
    if not there or any(mark_in(name) == blobs for name in there):
        return _NO_CONTROLLER
    return other_blobs("controller", (name.partition(" ")[0] for name in there))


async def _waits(pending: PendingActivityInfo, converter: DataConverter, run: str) -> WaitingWork | None:
    if pending.HasField("last_failure"):
        failure = await converter.decode_failure(pending.last_failure)
        if isinstance(failure, ApplicationError) and failure.type == WAITS and len(failure.details) == 2:
            subject, gate = failure.details
            return WaitingWork(run, str(subject), str(gate), failure.message)
    if pending.state != PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED:
        return None
    match pending.activity_id.split():  # see `activity_id`
        case ["StartAttempt", subject, *again] if again or _is_late(pending.scheduled_time):
            return WaitingWork(run, subject, why=_NONE_FREE)
        case ["EvaluateGate", subject, gate, _, "here"] if _is_late(pending.scheduled_time):
            return WaitingWork(run, subject, gate.partition("/")[2], _IN_REPOSITORY.format(run=run))
        case ["EvaluateGate", subject, gate, _, *again] if again or _is_late(pending.scheduled_time):
            return WaitingWork(run, subject, gate.partition("/")[2], _NONE_FREE)
        case _:
            return None


def activity_id(effect: Operation, *, again: bool) -> str:
    """Of an effect that a worker performs: it tells what it is. `again`: nobody has taken it before."""
    return f"{key(effect)} again" if again else key(effect)


def of_repository(effect: Operation) -> str:
    """The id of an activity that a process in the repository of the run performs."""
    return f"{key(effect)} here"


def was_taken_by_nobody(error: ActivityError) -> bool:
    """Whether an effect failed since no worker of its place began it, or since the only one may not."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.type == TAKEN_BY_ITS_MAKER
    return isinstance(cause, TimedOut) and cause.type is TimeoutType.SCHEDULE_TO_START


def _is_late(scheduled: Timestamp) -> bool:
    return time.time() - scheduled.ToNanoseconds() / 1e9 > _LATE_S
