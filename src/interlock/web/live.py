"""New events of runs, for all pages that show them.

Rule: one poller for each run that has listeners, whatever their number. The queue of each listener is bounded; a
listener that cannot keep up is disconnected: it connects again with `Last-Event-ID` and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import anyio.to_thread

from interlock.core.events import Recorded

POLL_S = 0.25
BEHIND_MAX = 2_000  # events that a listener may be behind

Read = Callable[[str, int], Sequence[Recorded]]


@dataclass(slots=True, eq=False)
class _Channel:
    seq: int
    listeners: set[asyncio.Queue[Recorded | None]] = field(default_factory=set)
    poller: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Hub:
    """To be used from one event loop."""

    read: Read
    channels: dict[str, _Channel] = field(default_factory=dict)

    async def events(self, run: str, after: int) -> AsyncIterator[Recorded]:
        """Each event of `run` beyond `after`, once and in order, while somebody listens."""
        queue: asyncio.Queue[Recorded | None] = asyncio.Queue(BEHIND_MAX)
        channel = self._join(run, after, queue)
        try:
            for record in await self._read(run, after):
                yield record
                after = record.seq
            while (newer := await queue.get()) is not None:
                if newer.seq > after:
                    yield newer
                    after = newer.seq
        finally:
            self._leave(run, channel, queue)

    def _join(self, run: str, after: int, queue: asyncio.Queue[Recorded | None]) -> _Channel:
        channel = self.channels.setdefault(run, _Channel(after))
        channel.listeners.add(queue)
        if channel.poller is None:
            channel.poller = asyncio.create_task(self._poll(run, channel))
        return channel

    def _leave(self, run: str, channel: _Channel, queue: asyncio.Queue[Recorded | None]) -> None:
        channel.listeners.discard(queue)
        if not channel.listeners and channel.poller is not None:
            channel.poller.cancel()
            self.channels.pop(run, None)

    async def _poll(self, run: str, channel: _Channel) -> None:
        while True:
            for record in await self._read(run, channel.seq):
                channel.seq = record.seq
                for queue in tuple(channel.listeners):
                    _send(channel, queue, record)
            await asyncio.sleep(POLL_S)

    async def _read(self, run: str, after: int) -> Sequence[Recorded]:
        return await anyio.to_thread.run_sync(self.read, run, after)


def _send(channel: _Channel, queue: asyncio.Queue[Recorded | None], record: Recorded) -> None:
    try:
        queue.put_nowait(record)
    except asyncio.QueueFull:
        channel.listeners.discard(queue)
        queue.get_nowait()
        queue.put_nowait(None)  # ends the stream: the listener asks for the rest again
