"""(f) Requests alone: the list of 500 runs, a run of 10,000 events, an attempt that changed 3,000 lines: each at the
first look of a server and at the next ones. And a burst of readers: how many streams of events it can open."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from bench.history import histories, long_history
from bench.load import EVENTS, serving
from bench.shell import environment, repository
from interlock.web.live import STREAMS_MAX

RUNS = 500
EVENTS_OF_EACH = 20
LINES = 3_000
BURST = STREAMS_MAX + 100
LOOKS = 5
GOAL_S = 0.5
PIPELINE = """version: 1
stages:
  write:
    run: |
      for n in $(seq LINES); do echo "def name_$n(first, second=$n):  return [f'text {first}', $n]"; done > a.py
""".replace("LINES", str(LINES))


def measure() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(Path(folder))
        place = repository(Path(folder) / "repo", environ, PIPELINE, files=20)
        words = [sys.executable, "-m", "interlock", "run", "-t", "Write.", "--plain"]
        subprocess.run(words, cwd=place, env=environ, check=True, capture_output=True)
        long_run = long_history(place, environ, EVENTS)
        histories(place, environ, EVENTS_OF_EACH, RUNS)
        with serving(place, environ) as (base, token, _):
            with httpx.Client(base_url=base, headers={"authorization": f"Bearer {token}"}, timeout=None) as client:
                oldest = client.get("/api/v1/runs", params={"count": 10_000}).json()["runs"][-1]["id"]
            paths = {
                "list": "/",
                "long_run": f"/runs/{long_run}",
                "attempt": f"/runs/{oldest}/attempts/write/1.1",
                "json_of_long_run": f"/api/v1/runs/{long_run}",
            }
        with serving(place, environ) as (base, token, pid):  # which has looked at nothing yet
            with httpx.Client(base_url=base, headers={"authorization": f"Bearer {token}"}, timeout=None) as client:
                taken = {name: [_asked(client, path, pid) for _ in range(LOOKS)] for name, path in paths.items()}
            burst = asyncio.run(_burst(base, token))
    told: dict[str, object] = {"goal_s": GOAL_S}
    for name, ((first, of_first), *again) in taken.items():
        told |= {f"{name}_first_s": first, f"{name}_first_processor_s": of_first}
        told |= {f"{name}_again_worst_s": max(again)[0], f"{name}_again_worst_processor_s": max(of for _, of in again)}
    return told | burst


def _asked(client: httpx.Client, path: str, pid: int) -> tuple[float, float]:
    """Seconds until the answer, and of the processor that the server took: these hardly depend on other programs."""
    began, used = time.monotonic(), _processor_s(pid)
    client.get(path).raise_for_status()
    return time.monotonic() - began, _processor_s(pid) - used


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _burst(base: str, token: str) -> dict[str, object]:
    """How many streams are open where more come at once than there may be."""
    limits = httpx.Limits(max_connections=BURST + 10)
    headers = {"authorization": f"Bearer {token}"}
    enough = asyncio.Event()
    statuses: list[int] = []

    async with httpx.AsyncClient(base_url=base, headers=headers, limits=limits, timeout=None) as client:

        async def open_one() -> None:
            async with client.stream("GET", "/api/v1/changes") as answer:
                statuses.append(answer.status_code)
                await enough.wait()

        tasks = [asyncio.create_task(open_one()) for _ in range(BURST)]
        while len(statuses) < BURST:
            await asyncio.sleep(0.05)
        streams = (await client.get("/api/v1/streams")).json()["streams"]
        enough.set()
        await asyncio.gather(*tasks)
    return {
        "burst": BURST,
        "burst_streams": streams,
        "burst_streams_goal": STREAMS_MAX,
        "burst_503": statuses.count(503),
    }
