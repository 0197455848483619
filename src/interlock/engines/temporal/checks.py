"""What a machine sees of its server before it relies on it: version, clock, and who is at work there.

Rule: nothing is started, and nothing stays on the server.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    GetSystemInfoRequest,
    PollWorkflowTaskQueueRequest,
)
from temporalio.client import Client
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from interlock import __version__
from interlock.core.pipeline import Pipeline
from interlock.engines.temporal.access import refusal
from interlock.engines.temporal.fleet import controllers, workers
from interlock.engines.temporal.needs import Seen, unmet_by
from interlock.engines.temporal.payloads import check_keys
from interlock.engines.temporal.server import Server, identity, mark_in
from interlock.ports import InfrastructureError

_OLDEST = (1, 28)  # of the servers that know worker deployments
_CLOCK_MAX_S = 30.0
_LOOKS = 40  # for our own poller to appear
_PAUSE_S = 0.05
_SHOWN_MAX = 5
_VERSION = re.compile(r"interlock-(\S+)")


@dataclass(frozen=True, slots=True)
class ServerLook:
    """`ahead_s` is how far the server's clock is ahead of ours; None if it did not tell. `controllers` and
    `offers` have the identities of those that serve the `queue`; `blobs` is the mark of ours, empty if they have none
    yet."""

    version: str
    ahead_s: float | None
    controllers: tuple[str, ...]
    offers: tuple[Seen, ...] = ()
    queue: str = ""
    blobs: str = ""
    is_first: bool = False  # to have a key

    @property
    def keyless(self) -> str:
        """What to do where others are at work without the key that this machine has; else empty."""
        apart = [name for name in (*self.controllers, *self.workers) if mark_in(name) == self.blobs]
        if not (self.is_first and apart):
            return ""
        return (
            f"this machine has a key for payloads, and {_names(apart)} without one: take temporal.codec_key out of the"
            " settings; or stop all machines for half a minute, and start each with the same key"
        )

    @property
    def workers(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(sorted({name for seen in self.offers for name in seen.workers}))

    @property
    def foreign(self) -> str:
        """What to do where controllers are there, and all of them have other blobs; else empty."""
        if not self.controllers or any(mark_in(name) in ("", self.blobs) for name in self.controllers):
            return ""
        return (
            f"these blobs are not those of the queue {self.queue}: {_names(self.controllers)} has others: set"
            " temporal.blobs to the same on all machines"
        )

    def unmet_by(self, pipeline: Pipeline) -> Iterator[str]:
        """What a run of the pipeline will wait for. Where there is no worker at all, the run says so itself."""
        if ours := [seen for seen in self.offers if seen.workers and seen.offer.blobs == self.blobs]:
            yield from unmet_by(ours, pipeline)

    def warnings(self) -> Iterator[str]:
        """What will go wrong, and what to do."""
        if is_old(self.version):
            yield (
                f"the server is Temporal {self.version}: runs need {'.'.join(map(str, _OLDEST))} or newer: upgrade it"
            )
        if self.ahead_s is not None and abs(self.ahead_s) > _CLOCK_MAX_S:
            side = "ahead of" if self.ahead_s > 0 else "behind"
            yield (
                f"the clock of the server is {_span(abs(self.ahead_s))} {side} that of this machine: set both by NTP:"
                " waits, limits and certificates go by them"
            )
        if self.foreign:
            yield self.foreign
        elif apart := [name for name in (*self.controllers, *self.workers) if mark_in(name) not in ("", self.blobs)]:
            yield f"{_names(apart)}: other blobs than this machine, so no part in its runs: set temporal.blobs there"
        for other in self.others():
            yield f"{other}, and this is {__version__}: upgrade all machines of the queue to one version"

    def others(self) -> Iterator[str]:
        """The controllers and workers of another version than ours."""
        for name in dict.fromkeys((*self.controllers, *self.workers)):
            found = _VERSION.search(name)
            if found and found[1] != __version__:
                yield f"{name.partition(' ')[0]} has interlock {found[1]}"


def is_old(version: str) -> bool:
    """Whether a server of this version lacks what runs need. One that says no number is taken as new."""
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    return len(numbers) == 2 and numbers < _OLDEST


def looked(server: Server) -> ServerLook:
    """`look`, by a client of its own. Raises InfrastructureError that says what to do."""

    async def connected() -> ServerLook:
        return await look(server, await server.connect())

    return asyncio.run(connected())


async def look(server: Server, client: Client) -> ServerLook:
    """Raises InfrastructureError."""
    try:
        return await _look(server, client)
    except RPCError as error:
        raise InfrastructureError(refusal(server.address, server.access, error)) from error


async def _look(server: Server, client: Client) -> ServerLook:
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    ahead_s = await _ahead(client, server.queue)
    now = time.time() + (ahead_s or 0.0)
    there = await controllers(client, server.queue, now)
    at_work: tuple[Seen, ...] = ()
    if there:
        with suppress(TemporalError):  # they have gone a moment ago: nobody tells who works for them
            at_work = await workers(client, server.queue, now)
    blobs = await asyncio.to_thread(server.kept_mark)
    is_first = bool(server.keys) and not await asyncio.to_thread(check_keys, server.blobs, server.keys)
    return ServerLook(info.server_version, ahead_s, there, at_work, server.queue, blobs, is_first)


async def _pollers(client: Client, queue: str, kind: TaskQueueType.ValueType) -> list[PollerInfo]:
    asked = DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
    return list((await client.workflow_service.describe_task_queue(asked)).pollers)


async def _ahead(client: Client, queue: str) -> float | None:
    """The server writes down when somebody polled. So we poll a queue that nobody uses, and ask for that time."""
    name, kind = f"{queue}.clock", TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    began = time.time()
    asked = PollWorkflowTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=name), identity=identity()
    )
    polling = asyncio.create_task(
        client.workflow_service.poll_workflow_task_queue(asked, timeout=timedelta(seconds=10))
    )
    try:
        for _ in range(_LOOKS):
            seen = [each.last_access_time for each in await _pollers(client, name, kind) if each.identity == identity()]
            if seen:
                there = max(moment.ToNanoseconds() for moment in seen) / 1e9
                return _beyond(there, began, time.time())
            await asyncio.sleep(_PAUSE_S)
        return None
    finally:
        polling.cancel()
        with suppress(asyncio.CancelledError, RPCError):
            await polling


def _beyond(there: float, began: float, now: float) -> float:
    """How far a moment that lies between two of ours is outside of them."""
    return there - now if there > now else min(0.0, there - began)


def _names(identities: Iterable[str]) -> str:
    return ", ".join([name.partition(" ")[0] for name in identities][:_SHOWN_MAX])


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds:.0f} s"
