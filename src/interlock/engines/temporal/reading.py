"""The runs of a Temporal server, for whoever looks at them: short questions, and what events tell of comes with them.

Rule: a look never waits for long. Whoever asks has a copy to show.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    RPCError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RawValue
from temporalio.service import RPCStatusCode

from interlock.core.events import HandoffAccepted, Recorded
from interlock.core.inbox import Answer, feedback_of, taken
from interlock.core.wire import decode_record
from interlock.engines.temporal.access import plainly
from interlock.engines.temporal.builds import is_left_behind, silence
from interlock.engines.temporal.fleet import waiting
from interlock.engines.temporal.histories import kept_history
from interlock.engines.temporal.messages import ANSWER, COMMIT, HISTORY, UNREADABLE, EventRow, event_row, made_commit
from interlock.engines.temporal.payloads import Values, value_of
from interlock.engines.temporal.server import Server
from interlock.gates.locks import WaitingWork
from interlock.journal.mirror import Found, LeftBehind, NotThere, first_of, require_next
from interlock.ports import Blobs, Damaged, InfrastructureError, Records, UsageError, Workspaces

Told = TypeVar("Told")

MEMO = "interlock"
_CONNECT_S = 3.0
_ASK_S = 3.0
_FAILS = "Workflow Task in failed state"
_SILENT = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED, RPCStatusCode.FAILED_PRECONDITION)


def workflow_of(run: str) -> str:
    return f"interlock-{run}"


def memo(base_pack: str) -> Mapping[str, str]:
    """What another clone needs of a run that its history does not tell."""
    return {MEMO: json.dumps({"base_pack": base_pack})}


def take_in(workspaces: Workspaces, blobs: Blobs, records: Records | None, run: str, record: Recorded) -> None:
    """What an event tells of, before it is told: its commit, and the record of a handoff. Raises Damaged."""
    made = made_commit(record.event)
    if made is not None and not COMMIT.fullmatch(made[0]):
        raise Damaged(f"event {record.seq} of run {run} names a commit that is none")
    if made is not None and not workspaces.has(made[0]):
        workspaces.receive(made[0], blobs.get(made[1]), is_base=False)
    if isinstance(record.event, HandoffAccepted) and records is not None:
        records.take(run, record.event.record)


async def told_by(
    handle: WorkflowHandle[Any, Any], run: str, after: int, patience: timedelta | None = None
) -> list[Recorded]:
    """The next records that the workflow of the run tells. Raises RPCError, and Damaged for what are no records."""
    with _readable(run):
        raw = await handle.query(HISTORY, after, result_type=RawValue, rpc_timeout=patience)
        rows = value_of(raw, Values())
        if not isinstance(rows, list):
            raise TypeError("it is no list")
        return list(map(decode_record, rows))


@contextmanager
def _readable(run: str) -> Iterator[None]:
    """Raises Damaged for what cannot be read of the run."""
    try:
        with _about(run):
            yield
    except (*UNREADABLE, WorkflowQueryFailedError) as error:
        raise Damaged(f"what the server tells of run {run} cannot be read: {error}") from error


@contextmanager
def _about(run: str) -> Iterator[None]:
    """Raises Damaged for trouble that is of this run, such as a blob that is missing, and not of the server."""
    try:
        yield
    except InfrastructureError as error:
        if error.permanent:
            raise Damaged(str(error) if run in str(error) else f"run {run}: {error}") from error
        raise


def answer_row(workspaces: Workspaces, blobs: Blobs, answer: Answer, base: str) -> EventRow:
    """A person's answer as it travels: its comment, and a commit of their own as a pack without what the `base` of the
    run has. A worker says which commit it lacks."""
    comment = feedback_of(answer)
    event = taken(answer, blobs.put(comment) if comment else "")
    if answer.commit and workspaces.has(answer.commit):
        with suppress(UsageError):
            workspaces.share(answer.commit, blobs)
        event = replace(event, pack=blobs.put(workspaces.pack(answer.commit, base)))
    return event_row(event)


def told_once(answers: Sequence[Answer]) -> str:
    """The id of an update with these answers: the server takes it once."""
    return sha256(" ".join(answer.id for answer in answers).encode()).hexdigest()


@dataclass(slots=True)
class ServerRuns:
    """Implements `mirror.Far`. The blobs are shared with the workers. Threads may share it; it talks to the server on a
    thread of its own, over one connection."""

    server: Server
    workspaces: Callable[[], Workspaces]
    blobs: Blobs
    records: Callable[[], Records]
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _client: Client | None = None
    _begun: bool = False
    _seen: set[str] = field(default_factory=set)  # runs that have our blobs
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def news(self, run: str, after: int) -> list[Recorded]:
        return self._taken_in(run, after, self._told(run, after))

    def kept(self, run: str, after: int) -> list[Recorded]:
        found = kept_history(self.server.blobs, run) or []
        return self._taken_in(run, after, [record for record in found if record.seq > after])

    def _told(self, run: str, after: int) -> list[Recorded]:
        return self._ask(self._history(run, after), run)

    def _taken_in(self, run: str, after: int, found: list[Recorded]) -> list[Recorded]:
        require_next(run, after, found)
        with _about(run):
            for record in found:
                take_in(self.workspaces(), self.blobs, self.records(), run, record)
        return found

    def tell(self, run: str, answers: Sequence[Answer], base: str) -> None:
        rows = [answer_row(self.workspaces(), self.blobs, answer, base) for answer in answers]
        self._ask(self._tell(run, rows, told_once(answers)), run)

    def waits(self, run: str) -> tuple[tuple[str, str, str], ...]:
        return tuple((one.subject, one.gate, one.why) for one in self._ask(self._waiting(run), run))

    def find(self, run: str) -> Found:
        _, started = first_of(run, self._told(run, 0))
        with _readable(run):
            pipeline = self.blobs.get(started.pipeline_text).decode()
        if not self.workspaces().has(started.base_commit):  # the others are made from it
            with _readable(run):
                pack = json.loads(self._ask(self._memo(run), run))["base_pack"]
                self.workspaces().receive(started.base_commit, self.blobs.get(pack), is_base=True)
        records = self.news(run, 0)
        while more := self.news(run, records[-1].seq):
            records += more
        return Found(records, pipeline)

    # --- on the thread of its own

    async def _history(self, run: str, after: int) -> list[Recorded]:
        return await told_by(await self._handle(run), run, after, timedelta(seconds=_ASK_S))

    async def _tell(self, run: str, rows: list[EventRow], known_as: str) -> None:
        handle = await self._handle(run)
        await handle.execute_update(ANSWER, rows, id=known_as, rpc_timeout=timedelta(seconds=_ASK_S))

    async def _waiting(self, run: str) -> tuple[WaitingWork, ...]:
        handle = await self._handle(run)
        assert self._client is not None
        return await waiting(self._client, handle, self.server.queue, run)

    async def _memo(self, run: str) -> str:
        described = await (await self._handle(run)).describe(rpc_timeout=timedelta(seconds=_ASK_S))
        return str((await described.memo()).get(MEMO, "{}"))

    async def _handle(self, run: str) -> WorkflowHandle[Any, Any]:
        client = self._client
        try:
            if client is None:
                client = self._client = await asyncio.wait_for(self.server.connect(), _CONNECT_S)
        except InfrastructureError as error:
            if error.permanent:  # such as a key that is not here
                raise
            raise InfrastructureError(f"{self._named} does not answer") from error
        handle = client.get_workflow_handle(workflow_of(run))
        if run not in self._seen:
            described = await handle.describe(rpc_timeout=timedelta(seconds=_ASK_S))
            with _about(run):
                await asyncio.to_thread(self.server.check_run, run, described.task_queue)
            self._seen.add(run)
        return handle

    def _ask(self, question: Coroutine[Any, Any, Told], run: str) -> Told:
        with self._lock:
            if not self._begun:
                threading.Thread(target=self._loop.run_forever, name="temporal", daemon=True).start()
                self._begun = True
        try:
            return asyncio.run_coroutine_threadsafe(question, self._loop).result()
        except RPCError as error:
            is_silent = error.status in _SILENT and _FAILS not in str(error)
            left = self._left_behind(run) if is_silent else None
            raise left or self._trouble(run, error) from error
        except WorkflowUpdateFailedError as error:
            raise InfrastructureError(f"{self._named} refuses the answer: {error.cause}") from error
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise self._left_behind(run) or InfrastructureError(f"{self._named} does not answer in time") from error

    def _left_behind(self, run: str) -> LeftBehind | None:
        """If the run has no controller since it began with another build than those that are at work."""
        client = self._client
        if client is None:
            return None

        async def asked(handle: WorkflowHandle[Any, Any]) -> str:
            left = await is_left_behind(client, handle)
            return await silence(handle, run) if left else ""

        looked = asyncio.wait_for(asked(client.get_workflow_handle(workflow_of(run))), _ASK_S)
        with suppress(RPCError, TimeoutError):
            if why := asyncio.run_coroutine_threadsafe(looked, self._loop).result():
                return LeftBehind(why)
        return None

    def _trouble(self, run: str, error: RPCError) -> InfrastructureError:
        match error.status:
            case RPCStatusCode.NOT_FOUND:
                return NotThere(f"{self._named} has no run {run} any more")
            case RPCStatusCode.FAILED_PRECONDITION if _FAILS in str(error):
                return LeftBehind(f"run {run} stands still: its step fails on the controller, whose log says why")
            case status if status in _SILENT:
                return InfrastructureError(
                    f"{self._named} does not tell how run {run} goes: is a controller at work for queue"
                    f" {self.server.queue} (`interlock worker --controller`)?"
                )
            case _:
                return InfrastructureError(f"{self._named} does not answer ({plainly(error)})")

    @property
    def _named(self) -> str:
        return f"the Temporal server at {self.server.address}"
