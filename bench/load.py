"""(e) 50 runs at once and 100 readers of their events on loopback: lost events, how late they come, memory. Before
that, 100 readers read a run of 10,000 events from its beginning, while the page of the run is asked for. They are a
process of their own, so that the page is not late because of what asks for it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import httpx

from bench.history import long_history
from bench.shell import environment, repository

RUNS = 50
READERS = 100
LASTS_S = 60
EVENTS = 10_000
STAGES = 14
PIPELINE = "version: 1\nstages:\n" + "".join(
    f"  s{n}: {{run: 'sleep 3; echo $RANDOM > {n}.txt', may_be_empty: true{f', needs: [s{n - 1}]' if n else ''}}}\n"
    for n in range(STAGES)
)


@dataclass
class Reader:
    run: str
    seqs: list[int] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)

    async def read(self, client: httpx.AsyncClient, began: float) -> None:
        """Until it is cancelled. What was there before `began` is not counted as late."""
        async with client.stream("GET", f"/api/v1/runs/{self.run}/events") as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    said = json.loads(line.removeprefix("data: "))
                    self.seqs.append(said["seq"])
                    if said["at"] > began:
                        self.late_s.append(time.time() - said["at"])


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(Path(folder))
        place = repository(Path(folder) / "repo", environ, PIPELINE, files=20)
        long_run = long_history(place, environ, EVENTS)
        with serving(place, environ) as (base, token, pid):
            caught_up = asyncio.run(_caught_up(base, token, pid, long_run))
            return caught_up | asyncio.run(_measured(base, token, pid, (place, environ)))


@contextmanager
def serving(place: Path, environ: dict[str, str]) -> Iterator[tuple[str, str, int]]:
    """The address, the token and the process id of a server."""
    server = _started([sys.executable, "-m", "interlock", "serve", "--port", "0"], place, environ)
    try:
        line = server.stdout.readline() if server.stdout else ""
        found = re.match(r"(http://\S+:\d+)/\?token=(\S+)", line)
        if found is None:
            raise RuntimeError(f"the server did not start: {line!r}")
        yield found[1], found[2], server.pid
    finally:
        server.terminate()
        server.wait(30)


async def _caught_up(base: str, token: str, pid: int, run: str) -> dict[str, float]:
    """How long all readers take to the newest event, how long a page takes meanwhile, and what memory it costs."""
    async with _client(base, token) as client:
        await client.get(f"/runs/{run}")
        before, pages = memory_mb(pid, "VmRSS"), []
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            await asyncio.wrap_future(pool.submit(float))  # the process has begun
            readers = pool.submit(_read_by_all, base, token, run)
            while not readers.done():
                asked = time.monotonic()
                (await client.get(f"/runs/{run}")).raise_for_status()
                pages.append(time.monotonic() - asked)
                await asyncio.sleep(0.05)
            took = readers.result()
    return {
        "catch_up_s": took,
        "catch_up_goal_s": 10.0,
        "catch_up_pages": len(pages),
        "catch_up_page_worst_s": max(pages),
        "catch_up_page_goal_s": 0.5,
        "catch_up_memory_mb": memory_mb(pid, "VmHWM") - before,
        "catch_up_memory_goal_mb": 50.0,
    }


def _read_by_all(base: str, token: str, run: str) -> float:
    """Seconds until the last of all readers had the newest event."""

    async def read() -> float:
        async with _client(base, token) as client:
            began = time.monotonic()
            return max(await asyncio.gather(*(_read_up_to(client, run, EVENTS) for _ in range(READERS)))) - began

    return asyncio.run(read())


def _client(base: str, token: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=READERS + 10)
    return httpx.AsyncClient(base_url=base, headers={"authorization": f"Bearer {token}"}, limits=limits, timeout=None)


async def _read_up_to(client: httpx.AsyncClient, run: str, seq: int) -> float:
    """The time at which event `seq` had come."""
    last, kept = f"\nid: {seq}\n".encode(), b""
    async with client.stream("GET", f"/api/v1/runs/{run}/events") as answer:
        async for chunk in answer.aiter_raw():
            kept = kept[-len(last) :] + chunk
            if last in kept:
                break
    return time.monotonic()


async def _measured(base: str, token: str, pid: int, where: tuple[Path, dict[str, str]]) -> dict[str, float]:
    async with _client(base, token) as client:
        drivers = [_started([sys.executable, "-m", "interlock", "run", "-t", f"number {n}", "--plain"], *where)
                   for n in range(RUNS)]  # fmt: skip
        try:
            runs = await _all_there(client)
            readers = [Reader(runs[number % RUNS]) for number in range(READERS)]
            began = time.time()
            tasks = [asyncio.create_task(reader.read(client, began)) for reader in readers]
            pages = await _pages(client, runs, began)
            for one in drivers:
                one.terminate()
            for one in drivers:
                await asyncio.to_thread(one.wait, 120)
            await asyncio.sleep(3)
            newest = {run: (await client.get(f"/api/v1/runs/{run}")).json()["run"]["seq"] for run in runs}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for one in drivers:
                one.kill()
    return _told(readers, newest, pages, pid)


async def _all_there(client: httpx.AsyncClient) -> list[str]:
    for _ in range(600):
        found = (await client.get("/api/v1/runs", params={"count": RUNS})).json()["runs"]
        if len(found) == RUNS:
            return [one["id"] for one in found]
        await asyncio.sleep(0.5)
    raise RuntimeError(f"only {len(found)} runs of {RUNS} began")


async def _pages(client: httpx.AsyncClient, runs: list[str], began: float) -> list[float]:
    """Seconds that the page of a run took, asked for about once a second meanwhile."""
    took = []
    while time.time() - began < LASTS_S:
        before = time.monotonic()
        (await client.get(f"/runs/{runs[len(took) % RUNS]}")).raise_for_status()
        took.append(time.monotonic() - before)
        await asyncio.sleep(1)
    return took


def _told(readers: list[Reader], newest: dict[str, int], pages: list[float], pid: int) -> dict[str, float]:
    lost = sum(len(set(range(1, newest[one.run] + 1)) - set(one.seqs)) for one in readers)
    twice = sum(len(one.seqs) - len(set(one.seqs)) for one in readers)
    late = sorted(second for one in readers for second in one.late_s)
    return {
        "runs": len(newest),
        "readers": len(readers),
        "events_read": sum(len(one.seqs) for one in readers),
        "events_lost": lost,
        "events_lost_goal": 0,
        "events_twice": twice,
        "late_median_s": late[len(late) // 2],
        "late_p99_s": late[len(late) * 99 // 100],
        "page_median_s": sorted(pages)[len(pages) // 2],
        "page_worst_s": max(pages),
        "server_peak_mb": memory_mb(pid, "VmHWM"),
    }


def memory_mb(pid: int, name: str) -> float:
    """A line of the process's status, such as VmRSS (now) or VmHWM (the peak)."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _started(argv: list[str], cwd: Path, environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
