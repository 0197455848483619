"""Readers of events: each gets every event once, and what is read for one is read for all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing

import pytest
from starlette.types import Message

from interlock.core.events import Event, Recorded, RunFinished, RunStatus, TimeReached
from interlock.ports import Damaged
from interlock.web import live
from interlock.web.api import EventStream
from interlock.web.live import PAGE, Hub


class Source:
    """Runs in memory. `reads` counts the pages that were read."""

    def __init__(self, **lengths: int) -> None:
        self.runs: dict[str, list[Recorded]] = {run: [] for run in lengths}
        self.reads = 0
        self.damaged = False
        for run, length in lengths.items():
            self.grow(run, *[TimeReached(0.0)] * length)

    def grow(self, run: str, *events: Event) -> None:
        records = self.runs[run]
        records.extend(Recorded(seq, 1.0, event) for seq, event in enumerate(events, len(records) + 1))

    def read(self, run: str, after: int) -> Sequence[Recorded]:
        self.reads += 1
        if self.damaged:
            raise Damaged("not as it was recorded")
        return self.runs[run][after : after + 999]  # the journal's pages are longer than the hub's

    def heads(self) -> dict[str, int]:
        return {run: len(records) for run, records in self.runs.items()}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_S", 0.005)


def seqs(chunk: bytes) -> list[int]:
    return [int(line.removeprefix(b"id: ")) for line in chunk.splitlines() if line.startswith(b"id: ")]


async def read(hub: Hub, run: str, after: int = 0, until: int = 0) -> list[int]:
    """The seqs of the events beyond `after`, up to `until` or to the end of the stream."""
    found: list[int] = []
    with hub.stream():
        async with aclosing(hub.events(run, after)) as events:
            async for chunk in events:
                found += seqs(chunk)
                if until and found[-1] >= until:
                    break
    return found


async def next_change(hub: Hub) -> Mapping[str, int]:
    with hub.stream():
        async with aclosing(hub.changes()) as changes:
            return await anext(changes)


FINISHED = RunFinished(RunStatus.ACCEPTED, "done")


def test_a_hundred_readers_cost_as_many_reads_as_one() -> None:
    source = Source(a=3 * PAGE + 7)
    source.grow("a", FINISHED)
    hub = Hub(source.read, source.heads)

    async def all_read() -> list[list[int]]:
        await read(hub, "a")
        before = source.reads
        found = await asyncio.gather(*(read(hub, "a") for _ in range(100)))
        assert source.reads - before <= 4  # a page each; those of a run that has ended may be read once more
        return found

    assert asyncio.run(all_read()) == [list(range(1, 3 * PAGE + 9))] * 100
    assert hub.streams == 0


@pytest.mark.parametrize("is_new", [True, False])
def test_readers_of_a_server_that_just_began_cost_as_many_reads_as_one(is_new: bool) -> None:
    source = Source(a=3 * PAGE + 7)
    source.grow("a", FINISHED)
    hub = Hub(source.read, source.heads if is_new else dict)  # a run that is not among the newest is read too

    async def all_read() -> list[list[int]]:
        return await asyncio.gather(*(read(hub, "a") for _ in range(100)))

    assert asyncio.run(all_read()) == [list(range(1, 3 * PAGE + 9))] * 100
    assert source.reads <= 8  # a page each; while it is not known how new one is, it may be read twice


@pytest.mark.parametrize("after", [0, 1, PAGE - 1, PAGE, PAGE + 1])
def test_a_reader_begins_where_it_says_and_ends_with_the_run(after: int) -> None:
    source = Source(a=PAGE)
    source.grow("a", FINISHED)
    assert asyncio.run(read(Hub(source.read, source.heads), "a", after)) == list(range(after + 1, PAGE + 2))


def test_what_comes_later_reaches_a_reader_that_waits() -> None:
    source = Source(a=PAGE - 1, b=3)
    hub = Hub(source.read, source.heads)

    async def wait() -> tuple[list[int], list[int]]:
        slow = asyncio.create_task(read(hub, "a", PAGE - 3, until=PAGE + 2))
        other = asyncio.create_task(read(hub, "b", 3, until=4))
        for _ in range(3):
            await asyncio.sleep(0.02)
            source.grow("a", TimeReached(0.0))
        source.grow("b", TimeReached(0.0))
        return await asyncio.wait_for(slow, 10), await asyncio.wait_for(other, 10)

    assert asyncio.run(wait()) == ([PAGE - 2, PAGE - 1, PAGE, PAGE + 1, PAGE + 2], [4])


def test_a_run_that_is_not_among_the_newest_is_followed_too() -> None:
    source = Source(a=1)
    hub = Hub(source.read, dict)

    async def wait() -> list[int]:
        task = asyncio.create_task(read(hub, "a", until=2))
        await asyncio.sleep(0.02)
        source.grow("a", TimeReached(0.0))
        return await asyncio.wait_for(task, 10)

    assert asyncio.run(wait()) == [1, 2]


def test_changes_name_the_runs_that_changed_and_no_others() -> None:
    source = Source(a=1, b=1)
    hub = Hub(source.read, source.heads)

    async def listen() -> list[dict[str, int]]:
        with hub.stream():
            async with aclosing(hub.changes()) as changes:
                task = asyncio.create_task(anext(changes))
                while not hub._news._waiters:  # it has read what there is, and waits
                    await asyncio.sleep(0.001)
                source.grow("b", TimeReached(0.0))
                first = await asyncio.wait_for(task, 10)
                source.grow("a", TimeReached(0.0), TimeReached(0.0))
                return [dict(first), dict(await asyncio.wait_for(anext(changes), 10))]

    assert asyncio.run(listen()) == [{"b": 2}, {"a": 3}]
    assert hub.streams == 0


def test_a_page_that_cannot_be_read_is_read_again_for_the_next_reader() -> None:
    source = Source(a=2)
    source.grow("a", FINISHED)
    hub = Hub(source.read, source.heads)

    async def ask() -> list[int]:
        hub._newest = source.heads()
        source.damaged = True
        with pytest.raises(Damaged):
            await read(hub, "a")
        source.damaged = False
        return await read(hub, "a")

    assert asyncio.run(ask()) == [1, 2, 3]


def test_who_opens_a_page_takes_no_change_from_others() -> None:
    source = Source(a=1)
    hub = Hub(source.read, source.heads)

    async def follow() -> list[int]:
        reader = asyncio.create_task(read(hub, "a", 1, until=3))
        await asyncio.sleep(0.02)
        others = []
        for _ in range(2):
            source.grow("a", TimeReached(0.0))
            others.append(asyncio.create_task(next_change(hub)))
            await asyncio.sleep(0.02)
        found = await asyncio.wait_for(reader, 10)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return found

    assert asyncio.run(follow()) == [2, 3]


def test_the_journal_is_looked_at_again_after_it_could_not_be_read() -> None:
    source = Source(a=1)
    looks = iter([dict, source.heads])

    def heads() -> dict[str, int]:
        if next(looks, source.heads) is dict:
            raise Damaged("for a moment")
        return source.heads()

    hub = Hub(source.read, heads)

    async def follow() -> list[int]:
        reader = asyncio.create_task(read(hub, "a", 1, until=2))
        await asyncio.sleep(0.02)
        source.grow("a", TimeReached(0.0))
        return await asyncio.wait_for(reader, 10)

    assert asyncio.run(follow()) == [2]


@pytest.mark.parametrize("stays", [True, False])
def test_a_burst_opens_no_more_streams_than_the_bound(monkeypatch: pytest.MonkeyPatch, stays: bool) -> None:
    monkeypatch.setattr(live, "STREAMS_MAX", 3)
    source = Source(a=1)
    hub = Hub(source.read, source.heads)
    scope = {"type": "http", "method": "GET", "path": "/api/v1/changes", "headers": []}

    async def open_eight() -> list[int]:
        told: list[int] = []

        async def receive() -> Message:
            if stays:
                await asyncio.sleep(3600)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await asyncio.sleep(0)
            if message["type"] == "http.response.start":
                told.append(message["status"])

        streams = [asyncio.create_task(EventStream(hub, hub.changes())(scope, receive, send)) for _ in range(8)]
        await asyncio.wait(streams, timeout=0.1)
        assert hub.streams == (3 if stays else 0)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        return told

    told = asyncio.run(open_eight())
    assert told.count(503) == 5
    assert told.count(200) == 3 or not stays
    assert hub.streams == 0
