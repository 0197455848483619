"""The Temporal server of this machine's settings: how it is reached, and what its task queues are called.

Rule: whoever talks to the server connects here, so that one place says how, and what to do where that fails.
"""

from __future__ import annotations

import asyncio
import os
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
from interlock.engines.temporal.payloads import Key, check_keys, converter
from interlock.ports import InfrastructureError, NamedBlobs

_CONNECT_S = 10.0
_CHECK_S = 5.0  # between two looks for a key that was set since, and whether the server is there
_ASK_S = 3.0
_BACK = "the server answers again"


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and the name of the task queue of all runs. What is too large for it lies among `blobs`;
    with `keys` all that it is given is encrypted."""

    address: str
    namespace: str
    queue: str
    blobs: NamedBlobs
    keys: tuple[Key, ...] = ()
    access: Access = field(default_factory=Access)

    async def connect(self) -> Client:
        """Raises InfrastructureError that says what to do: also where the namespace does not exist."""
        check_keys(self.blobs, self.keys)
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

    async def attended(self, client: Client, work: Coroutine[Any, Any, None], tell: Callable[[str], None]) -> None:
        """Do `work`, which waits for a server that is lost; `tell` people when it is lost, and when it is back.
        Raises InfrastructureError when this machine has not the key of what others encrypt."""
        task, lost = asyncio.create_task(work), False
        try:
            while not (await asyncio.wait({task}, timeout=_CHECK_S))[0]:
                await self._require_keys()
                why = await _lost(client)
                if bool(why) != lost:
                    lost = not lost
                    tell(f"{self.address} does not answer ({why}): tried again until it does" if lost else _BACK)
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _require_keys(self) -> None:
        try:
            await asyncio.to_thread(check_keys, self.blobs, self.keys)
        except InfrastructureError as error:
            if error.permanent:
                raise

    def delivery(self, repository: str) -> str:
        """The task queue of what only a process in that repository can do."""
        return f"{self.queue}.deliver.{repository}"


def identity(worker: str = "") -> str:
    """What this process, or the worker of this name, is called at the server: `pid@host interlock-VERSION`."""
    return f"{worker or f'{os.getpid()}@{socket.gethostname()}'} interlock-{__version__}"


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
