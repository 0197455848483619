"""The Temporal server of this machine's settings: how it is reached, and what its task queues are called.

Rule: whoever talks to the server connects here, so that one place says how, and what to do where that fails.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass, field

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, RPCError
from temporalio.service import RPCStatusCode

from interlock import __version__
from interlock.engines.temporal.access import Access, refusal
from interlock.ports import InfrastructureError

_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and the name of the task queue of all runs."""

    address: str
    namespace: str = "default"
    queue: str = "interlock"
    access: Access = field(default_factory=Access)

    async def connect(self) -> Client:
        """Raises InfrastructureError that says what to do: also where the namespace does not exist."""
        shown = self.access
        reached = Client.connect(
            self.address,
            namespace=self.namespace,
            tls=shown.tls or False,
            api_key=shown.api_key or None,
            rpc_metadata={"temporal-namespace": self.namespace} if shown.api_key else {},
            identity=identity(),
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

    def delivery(self, repository: str) -> str:
        """The task queue of what only a process in that repository can do."""
        return f"{self.queue}.deliver.{repository}"


def identity() -> str:
    """What this process is called at the server: `pid@host interlock-VERSION`."""
    return f"{os.getpid()}@{socket.gethostname()} interlock-{__version__}"
