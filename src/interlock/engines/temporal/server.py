"""The Temporal server of this machine's settings: how it is reached, and what its task queues are called.

Rule: whoever talks to the server connects here, so that one place says how, and what to do where that fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, RPCError

from interlock.engines.temporal.payloads import Key, check_keys, converter
from interlock.ports import InfrastructureError, NamedBlobs

_CONNECT_S = 10.0
_CHECK_S = 5.0  # between two looks for a key that was set since


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and the name of the task queue of all runs. What is too large for it lies among `blobs`;
    with `keys` all that it is given is encrypted."""

    address: str
    namespace: str
    queue: str
    blobs: NamedBlobs
    keys: tuple[Key, ...] = ()

    async def connect(self) -> Client:
        """Raises InfrastructureError that says what to do."""
        check_keys(self.blobs, self.keys)
        data = converter(self.blobs, self.keys)
        reached = Client.connect(self.address, namespace=self.namespace, data_converter=data)
        try:
            return await asyncio.wait_for(reached, _CONNECT_S)
        except (RuntimeError, RPCError, TimeoutError) as error:
            raise InfrastructureError(
                f"no Temporal server answers at {self.address} ({str(error) or 'no answer'}): start one with"
                " `interlock dev`, or correct temporal.address in the settings"
            ) from error

    async def while_readable(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` for as long as this machine has the key of what others encrypt. Raises InfrastructureError."""
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait({task}, timeout=_CHECK_S))[0]:
                try:
                    await asyncio.to_thread(check_keys, self.blobs, self.keys)
                except InfrastructureError as error:
                    if error.permanent:
                        raise
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def delivery(self, repository: str) -> str:
        """The task queue of what only a process in that repository can do."""
        return f"{self.queue}.deliver.{repository}"
