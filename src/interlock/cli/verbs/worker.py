"""`interlock worker`: perform effects of runs on Temporal, or with `--controller` decide what they do next."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import click

from interlock.cli.terminal import note

if TYPE_CHECKING:
    from interlock.engines.temporal.server import Server
    from interlock.engines.temporal.worker import Performer, Serving


@click.command()
@click.option("--slots", default=4, show_default=True, type=click.IntRange(1, 256), help="Attempts and gates at once.")
@click.option("--controller", is_flag=True, help="Control runs, and start no agents.")
def worker(slots: int, controller: bool) -> int:
    """Perform attempts and gates of runs on Temporal, until interrupted. It needs no repository."""
    from interlock.bootstrap import build_worker, check_server
    from interlock.settings import load_settings, paths_of

    server, performer = build_worker(os.environ)
    paths = paths_of(os.environ)
    note(f"warning: {warning}" for warning in check_server(load_settings(paths.config), paths, os.environ))
    from interlock.engines.temporal.worker import Serving

    serving = Serving(server.queue, slots, controls=controller, works=not controller)
    what = "controls runs" if controller else f"performs up to {slots} attempts and gates at once"
    ready = f"worker {os.getpid()} {what}: {server.address}, namespace {server.namespace}, queue {server.queue}"
    return asyncio.run(_served(server, performer, serving, ready))


async def _served(server: Server, performer: Performer, serving: Serving, ready: str) -> int:
    from interlock.engines.temporal.worker import serve

    client = await server.connect()
    task = asyncio.create_task(serve(client, performer, (serving,), lambda: note(ready)))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        note("the worker has stopped")
    return 0
