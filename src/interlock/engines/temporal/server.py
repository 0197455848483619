"""The Temporal server of this machine's settings: how it is reached, and what its task queues are called.

Rule: whoever talks to the server connects here, so that one place says how, and what to do where that fails.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client, RPCError
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCStatusCode

from interlock import __version__
from interlock.engines.temporal.access import Access, plainly, refusal
from interlock.engines.temporal.payloads import Key, check_keys, converter, leave_key
from interlock.ports import InfrastructureError, NamedBlobs

_CONNECT_S = 10.0
_CHECK_S = 5.0  # between two looks for a key that was set since, at the mark, and whether the server is there
_GONE_MAX = 24  # looks: a folder may be away for two minutes
_ASK_S = 3.0
_BACK = "the server answers again"
_ENTRY = "mark"  # of the blobs: what tells one set of them from another
_MARK = re.compile(r"[0-9a-f]{16}")
_MARKED = re.compile(r" blobs-([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and what its task queues are called. What is too large for it lies among `blobs`, whose mark
    is part of the names of these queues: so whoever has other blobs takes nothing. With `keys` all that the server is
    given is encrypted."""

    address: str
    namespace: str
    queue: str
    blobs: NamedBlobs
    keys: tuple[Key, ...] = ()
    access: Access = field(default_factory=Access)

    async def connect(self) -> Client:
        """Raises InfrastructureError that says what to do: also where the namespace does not exist."""
        await asyncio.to_thread(check_keys, self.blobs, self.keys)
        shown = self.access
        reached = Client.connect(
            self.address,
            namespace=self.namespace,
            data_converter=converter(self.blobs, self.keys),
            tls=shown.tls or False,
            api_key=shown.api_key or None,
            rpc_metadata={"temporal-namespace": self.namespace} if shown.api_key else {},
            identity=identity(),
            runtime=_runtime(),
        )
        try:
            client = await asyncio.wait_for(reached, _CONNECT_S)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=self.namespace))
        except RPCError as error:
            raise InfrastructureError(self._refused(error)) from error
        except (RuntimeError, TimeoutError) as error:
            raise InfrastructureError(refusal(self.address, shown, error)) from error
        return client

    def _refused(self, error: RPCError) -> str:
        match error.status:
            case RPCStatusCode.NOT_FOUND:
                return (
                    f"{self.address}: there is no namespace {self.namespace}: correct temporal.namespace in the"
                    f" settings, or make it there: temporal operator namespace create {self.namespace}"
                )
            case RPCStatusCode.UNAUTHENTICATED:
                return refusal(self.address, self.access, RuntimeError("Unauthenticated"))
            case RPCStatusCode.PERMISSION_DENIED:
                return refusal(self.address, self.access, RuntimeError("PermissionDenied"))
            case _:
                return refusal(self.address, self.access, error)

    def mark(self) -> str:
        """That of the blobs; whoever comes first makes it, and leaves the name of its key there. Raises
        InfrastructureError."""
        leave_key(self.blobs, self.keys)
        fresh = secrets.token_hex(8).encode()
        return _as_mark(self.blobs, self.blobs.keep_first(_ENTRY, fresh))

    def kept_mark(self) -> str:
        """That of the blobs, empty if they have none yet. Raises InfrastructureError."""
        found = self.blobs.kept(_ENTRY)
        return "" if found is None else _as_mark(self.blobs, found)

    async def attended(
        self, client: Client, work: Coroutine[Any, Any, None], mark: str, tell: Callable[[str], None]
    ) -> None:
        """Do `work`, which waits for a server that is lost; `tell` people when it is lost, and when it is back.
        Raises InfrastructureError when this machine has not the key of what others encrypt, or its blobs have no
        longer this mark."""
        task, lost, gone = asyncio.create_task(work), False, 0
        try:
            while not (await asyncio.wait({task}, timeout=_CHECK_S))[0]:
                gone = 0 if await self._require_same(mark) else gone + 1
                if gone > _GONE_MAX:
                    raise self._other_mark("", mark)
                why = await _lost(client)
                if bool(why) != lost:
                    lost = not lost
                    tell(f"{self.address} does not answer ({why}): tried again until it does" if lost else _BACK)
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _require_same(self, mark: str) -> bool:
        """Whether the mark is there; taken as there while the blobs do not answer. Raises InfrastructureError."""
        try:
            await asyncio.to_thread(check_keys, self.blobs, self.keys)
            found = await asyncio.to_thread(self.kept_mark)
        except InfrastructureError as error:
            if error.permanent:
                raise
            return True
        if found not in ("", mark):
            raise self._other_mark(found, mark)
        return bool(found)

    def _other_mark(self, found: str, mark: str) -> InfrastructureError:
        """The blobs of this process had another `mark` before."""
        what = f"was replaced by {found}" if found else "is gone"
        return InfrastructureError(
            f"{self.blobs}: the mark {mark} of these blobs {what}: mount the right ones, or correct temporal.blobs; if"
            f" they are the same, write {mark} into named/{_ENTRY} among them, then start this again",
            permanent=True,
        )

    def check_run(self, run: str, task_queue: str) -> None:
        """Whether our blobs are those of a run with this task queue. Raises InfrastructureError."""
        theirs, ours = blobs_in(task_queue), self.kept_mark()
        if theirs and theirs != ours:
            raise InfrastructureError(
                f"run {run} has other blobs (mark {theirs}) than {self.blobs} ({ours and 'mark '}{ours or 'no mark'}):"
                f" set temporal.blobs to those of its workers; if they are the same, write {theirs} into"
                f" named/{_ENTRY} among them",
                permanent=True,
            )


def runs_of(queue: str, blobs: str) -> str:
    """The task queue of the runs whose blobs have this mark."""
    return f"{queue}.{blobs}"


def blobs_in(task_queue: str) -> str:
    """The mark in such a name; empty for a run that began before there were marks."""
    return task_queue.partition(".")[2]


def delivery_of(queue: str, blobs: str, repository: str) -> str:
    """The task queue of what only a process in that repository can do."""
    return f"{runs_of(queue, blobs)}.deliver.{repository}"


def identity(worker: str = "", blobs: str = "") -> str:
    """What this process, or the worker of this name, is called at the server: `pid@host interlock-VERSION`, and the
    mark of its blobs."""
    name = f"{worker or f'{os.getpid()}@{socket.gethostname()}'} interlock-{__version__}"
    return f"{name} blobs-{blobs}" if blobs else name


def mark_in(identity: str) -> str:
    """The mark of the blobs of who has this identity; empty if it tells none."""
    found = _MARKED.search(identity)
    return found[1] if found else ""


def _as_mark(blobs: NamedBlobs, content: bytes) -> str:
    text = content.strip().decode("ascii", "replace")
    if _MARK.fullmatch(text) is None:
        raise InfrastructureError(
            f"{blobs}: named/{_ENTRY} holds no mark of blobs: restore it from a backup, or remove it while no run is"
            " open",
            permanent=True,
        )
    return text


async def _lost(client: Client) -> str:
    """Why the server does not answer; empty if it does."""
    try:
        await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=timedelta(seconds=_ASK_S))
    except RPCError as error:
        return plainly(error)
    return ""


@cache
def _runtime() -> Runtime:
    """What the client itself writes is left out below errors: it tells of each try, in words of those who made it."""
    logging = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    return Runtime(telemetry=TelemetryConfig(logging=logging))
