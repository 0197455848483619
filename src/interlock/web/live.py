"""The events of runs, for all that follow them.

Rule: a page of events is read and encoded once, however many ask for it, and each reader takes pages at its own speed:
a slow one holds up nobody and loses nothing. One poller looks for what is new, whatever the number of readers. A
browser reads no events: it is told which runs changed, and asks again for the page that it shows.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import anyio.to_thread
from sse_starlette import ServerSentEvent

from interlock.core.events import Recorded, RunFinished
from interlock.ports import InterlockError
from interlock.service.formats import event_line

POLL_S = 0.25
STREAMS_MAX = 500  # at once
PAGE = 900  # events: fewer than the journal reads at once
_KEPT = 8  # pages
_PIECE = 64_000  # bytes

Read = Callable[[str, int], Sequence[Recorded]]
Heads = Callable[[], Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class _Page:
    """Encoded events beyond seq `after`. `over`: the last of them ended the run."""

    after: int
    events: Sequence[bytes]
    over: bool

    @property
    def last(self) -> int:
        return self.after + len(self.events)

    def pieces(self, after: int) -> Iterator[bytes]:
        """What is beyond `after`, in pieces that are quickly sent."""
        piece: list[bytes] = []
        length = 0
        for event in self.events[max(0, after - self.after) :]:
            piece.append(event)
            length += len(event)
            if length >= _PIECE:
                yield b"".join(piece)
                piece, length = [], 0
        if piece:
            yield b"".join(piece)


class TooManyStreams(Exception):
    """STREAMS_MAX are open."""


@dataclass(slots=True)
class Hub:
    """To be used from one event loop. `read` gives a page of events of a run beyond a seq, `heads` the newest seq of
    each of the newest runs. Who reads `events` or `changes` does so in a `stream`."""

    read: Read
    heads: Heads
    streams: int = 0
    _newest: Mapping[str, int] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _poller: asyncio.Task[None] | None = None
    _pages: OrderedDict[tuple[str, int, int], asyncio.Task[_Page]] = field(default_factory=OrderedDict)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """One of at most STREAMS_MAX. Raises TooManyStreams."""
        if self.streams >= STREAMS_MAX:
            raise TooManyStreams
        self.streams += 1
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            self.streams -= 1
            if not self.streams and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def events(self, run: str, after: int) -> AsyncGenerator[bytes]:
        """Each event of `run` beyond `after`, once and in order, as server-sent events. Ends with the run."""
        while True:
            page = await self._page(run, after - after % PAGE)
            for piece in page.pieces(after):
                yield piece
            if page.over:
                return
            if page.last <= after:
                await self._moved(run, after)
            after = max(after, page.last)

    async def changes(self) -> AsyncGenerator[Mapping[str, int]]:
        """Again and again, the runs that changed, with their newest seq."""
        known = dict(await anyio.to_thread.run_sync(self.heads))
        while True:
            changed = {run: seq for run, seq in self._newest.items() if seq > known.get(run, 0)}
            if changed:
                known |= changed
                yield changed
            else:
                await self._news.wait()

    async def _poll(self) -> None:
        while True:
            with suppress(InterlockError):  # the journal is looked at again
                newest = await anyio.to_thread.run_sync(self.heads)
                if newest != self._newest:
                    self._newest, news, self._news = newest, self._news, asyncio.Event()
                    news.set()
            await asyncio.sleep(POLL_S)

    async def _moved(self, run: str, seq: int) -> None:
        """Until there may be events beyond `seq`. The reader of a run that is not among the newest looks itself."""
        if self._newest.get(run, seq + 1) > seq:
            await asyncio.sleep(POLL_S)
        while self._newest.get(run, seq + 1) <= seq:
            await self._news.wait()

    async def _page(self, run: str, start: int) -> _Page:
        """The page beyond `start`, a multiple of PAGE. One that cannot be known to be new enough is shared only while
        it is read: a reader for whom it is too old asks again."""
        newest = min(self._newest.get(run, 0), start + PAGE)
        key = (run, start, max(newest, start))
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = asyncio.create_task(self._read(run, start))
            if len(self._pages) > _KEPT:
                self._pages.popitem(last=False)
        self._pages.move_to_end(key)
        try:
            return await asyncio.shield(page)
        except InterlockError:
            newest = start
            raise
        finally:
            if newest <= start and self._pages.get(key) is page:
                del self._pages[key]

    async def _read(self, run: str, start: int) -> _Page:
        return await anyio.to_thread.run_sync(self._encoded, run, start)

    def _encoded(self, run: str, start: int) -> _Page:
        records = self.read(run, start)[:PAGE]
        over = any(isinstance(record.event, RunFinished) for record in records)
        return _Page(start, [_encode(run, record) for record in records], over)


def _encode(run: str, record: Recorded) -> bytes:
    kind = type(record.event).__name__
    return ServerSentEvent(event_line(run, record), event=kind, id=str(record.seq), sep="\n").encode()
