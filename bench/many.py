"""Runs on Temporal beside the same runs on the local engine, in turn, on this one machine: what an attempt costs more,
how long many runs at once take, and what a run leaves in the server's history.

An attempt is an agent that does nothing, and one gate. `over_attempt_ms` is the slope between a short run and the long
one after it, so that it has no start of a program in it; `over_run_ms` is the rest. The server, a controller and a
worker are there before, each with a state of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.shell import environment, repository, timed

SHORT, LONG = 2, 10  # attempts of a run
PAIRS = 7
AT_ONCE = 20
SLOTS = 8
GOALS = {
    "over_attempt_goal_ms": 100.0,
    "at_once_ratio_goal": 3.0,
    "history_events_goal": 20.0,
    "workflow_tasks_goal": 3.0,
    "event_bytes_goal": 16_384.0,
}
_REMOTE = ("--engine", "temporal")


def measure() -> dict[str, float | str]:
    """Milliseconds, seconds and counts; medians of a few."""
    with tempfile.TemporaryDirectory() as folder, _cluster(Path(folder)) as (place, environ, address):
        found = _costs(place, environ) | _at_once(place, environ)
        run = _run(place, environ, LONG)
        found |= asyncio.run(_history(address, run))
    return {**found, **GOALS, "load": os.getloadavg()[0]}


def _pipeline(attempts: int) -> str:
    stages = (
        f"  s{number}: {{agent: nothing, may_be_empty: true, gates: [{{id: g{number}, run: 'true'}}],"
        f" {f'needs: [s{number - 1}]' if number else 'writes: []'}}}\n"
        for number in range(attempts)
    )
    return "version: 1\nagents:\n  nothing: {use: command, run: ['true']}\nstages:\n" + "".join(stages)


def _costs(place: Path, environ: dict[str, str]) -> dict[str, float]:
    """Of runs one after the other, local and remote in turn."""
    over: dict[int, list[float]] = {SHORT: [], LONG: []}
    took: dict[str, list[float]] = {"local_s": [], "remote_s": []}
    for pair in range(PAIRS + 1):
        for attempts, differences in over.items():
            words = ["run", "-p", f"of{attempts}", "-t", "nothing"]
            local, remote = timed(words, place, environ), timed([*words, *_REMOTE], place, environ)
            if pair:  # the first ones make caches
                differences.append(remote - local)
                if attempts == LONG:
                    took["local_s"].append(local)
                    took["remote_s"].append(remote)
    slope = statistics.median(long - short for short, long in zip(*over.values(), strict=True)) / (LONG - SHORT)
    return {
        **{name: statistics.median(each) for name, each in took.items()},
        "over_attempt_ms": 1000 * slope,
        "over_run_ms": 1000 * (statistics.median(over[SHORT]) - SHORT * slope),
    }


def _at_once(place: Path, environ: dict[str, str]) -> dict[str, float]:
    local, remote = _all_at_once(place, environ), _all_at_once(place, environ, *_REMOTE)
    return {"at_once": AT_ONCE, "at_once_local_s": local, "at_once_remote_s": remote, "at_once_ratio": remote / local}


def _all_at_once(place: Path, environ: dict[str, str], *words: str) -> float:
    """Seconds until all of them were accepted."""
    began = time.perf_counter()
    argv = [sys.executable, "-m", "interlock", "run", "-p", f"of{SHORT}", "-t", "nothing", *words]
    drivers = [_quietly(argv, place, environ) for _ in range(AT_ONCE)]
    codes = [driver.wait() for driver in drivers]
    assert not any(codes), codes
    return time.perf_counter() - began


def _run(place: Path, environ: dict[str, str], attempts: int) -> str:
    argv = [sys.executable, "-m", "interlock", "run", "-p", f"of{attempts}", "-t", "nothing", "--plain", *_REMOTE]
    said = subprocess.run(argv, cwd=place, env=environ, check=True, capture_output=True, text=True).stderr
    return next(found[1] for line in said.splitlines() if (found := re.match(r"run (\S+)$", line)))


async def _history(address: str, run: str) -> dict[str, float]:
    """What the server keeps of a run, for each attempt."""
    from temporalio.client import Client

    client = await Client.connect(address)
    events: list[Any] = []
    async for event in client.get_workflow_handle(f"interlock-{run}").fetch_history_events():
        events.append(event)
    tasks = sum(event.HasField("workflow_task_completed_event_attributes") for event in events)
    sizes = sorted(event.ByteSize() for event in events[1:])
    return {
        "history_events": len(events) / LONG,
        "workflow_tasks": tasks / LONG,
        "event_bytes": sizes[-1],
        "event_bytes_median": sizes[len(sizes) // 2],
        "first_event_bytes": events[0].ByteSize(),
        "history_bytes": sum(sizes) / LONG,
    }


# --- the machines -------------------------------------------------------------------------------


@contextmanager
def _cluster(root: Path) -> Iterator[tuple[Path, dict[str, str], str]]:
    """A repository with both pipelines, the environment of its user, and the address of the server."""
    address = f"127.0.0.1:{_free_port()}"
    settings = json.dumps({"temporal": {"address": address, "queue": "bench", "blobs": str(root / "blobs")}})
    (root / "blobs").mkdir()
    environ = _user(root / "me", settings)
    place = repository(root / "repo", environ, _pipeline(1), files=200)
    for attempts in (SHORT, LONG):
        file = place / ".interlock/pipelines" / f"of{attempts}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_pipeline(attempts))
    processes = [_quietly(_server(address, root), root, environ)]
    try:
        _until_it_answers(address)
        for name, words in (("controller", ["--controller"]), ("worker", ["--slots", str(SLOTS)])):
            processes.append(_worker(_user(root / name, settings), root, words))
        yield place, environ, address
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(60)


def _user(home: Path, settings: str) -> dict[str, str]:
    config = home / ".config/interlock"
    config.mkdir(parents=True)
    (config / "settings.yaml").write_text(settings)
    return {**environment(home), "XDG_CONFIG_HOME": str(home / ".config")}


def _server(address: str, root: Path) -> list[str]:
    program = Path(sys.executable).parent / "temporal"
    words = ["server", "start-dev", "--headless", "--log-level", "error", "--port", address.rpartition(":")[2]]
    file = ("--db-filename", str(root / "temporal.db"), "--sqlite-pragma", "journal_mode=wal")  # as `interlock dev`
    return [str(program), *words, *file]


def _worker(environ: dict[str, str], cwd: Path, words: list[str]) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "interlock", "worker", *words]
    process = subprocess.Popen(argv, cwd=cwd, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("worker "), line
    return process


def _quietly(argv: list[str], cwd: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(argv, cwd=cwd, env=environ, stdin=quiet, stdout=quiet, stderr=quiet)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _until_it_answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"no server answers at {address}")
