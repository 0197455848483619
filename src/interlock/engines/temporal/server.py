"""The Temporal server of this machine's settings: how it is reached, and what its task queues are called.

Rule: whoever talks to the server connects here, so that one place says how, and what to do where that fails.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from temporalio.client import Client, RPCError

from interlock.ports import InfrastructureError

_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and the name of the task queue of all runs."""

    address: str
    namespace: str = "default"
    queue: str = "interlock"

    async def connect(self) -> Client:
        """Raises InfrastructureError that says what to do."""
        try:
            return await asyncio.wait_for(Client.connect(self.address, namespace=self.namespace), _CONNECT_S)
        except (RuntimeError, RPCError, TimeoutError) as error:
            raise InfrastructureError(
                f"no Temporal server answers at {self.address} ({str(error) or 'no answer'}): start one with"
                " `interlock dev`, or correct temporal.address in the settings"
            ) from error

    def delivery(self, repository: str) -> str:
        """The task queue of what only a process in that repository can do."""
        return f"{self.queue}.deliver.{repository}"
