"""`interlock worker --deliver`: in a checkout, makes the branches of its runs on Temporal, asks the outside CI of
their gates, copies them and notifies, until interrupted.

Rule: one such process serves a repository. What it does, `run`, `watch` and `resume` do too, for their one run.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from interlock.cli.application import application
from interlock.cli.terminal import note, until_interrupted
from interlock.cli.words import closing
from interlock.ports import InterlockError
from interlock.readmodel.run import OVER, RunPhase
from interlock.settings import RunLock, owner_of, this_process

if TYPE_CHECKING:
    from interlock.application import Application
    from interlock.engines.temporal.server import Server
    from interlock.engines.temporal.worker import Performer

_RUNS_MAX = 500  # the newest
_LOOK_S = 1.0


def deliver() -> int:
    """Serve the delivery queue of the repository around the current folder. Raises UsageError, and InfrastructureError
    if another process does so."""
    from interlock.bootstrap import build_deliverer

    with application() as app, RunLock(app.paths.deliverer_lock, this_process(), busy="used"):
        server, performer = build_deliverer(app)
        stop = threading.Event()
        keeper = threading.Thread(target=_keep, args=(app, stop), name="keep")
        keeper.start()
        try:
            asyncio.run(_served(app, server, performer))
        finally:
            stop.set()
            keeper.join()
    return 0


async def _served(app: Application, server: Server, performer: Performer) -> None:
    from interlock.engines.temporal.server import delivery_of
    from interlock.engines.temporal.worker import Serving, serve

    client, mark = await server.connect(), await asyncio.to_thread(server.mark)
    where = f"{server.address}, namespace {server.namespace}, blobs {server.blobs}"
    ready = f"worker {os.getpid()} delivers into {app.repository}: {where}"
    serving = Serving(delivery_of(server.queue, mark, app.paths.root.name), app.settings.max_parallel)
    work = serve(client, performer, serving, lambda _: note(ready))
    if await until_interrupted(server.attended(client, work, mark, note)):
        note("the worker has stopped")


def _keep(app: Application, stop: threading.Event) -> None:
    """Copy what is new of each run, notify of what is due, and where it has come to wait or to its end, say so and send
    its spans."""
    known: dict[str, int] = {}
    while not stop.wait(_LOOK_S):
        with suppress(InterlockError):  # it is looked at again
            for run, seq in app.service.engine.heads(_RUNS_MAX).items():
                if known.get(run) != seq:
                    _attend(app, run, is_new=run not in known)
                    known[run] = seq


def _attend(app: Application, run: str, *, is_new: bool) -> None:
    view = app.service.locate_run(run)
    if not view.engine or owner_of(app.paths.run_lock(run)) is not None:  # who follows it does this
        return
    if is_new and app.notices.channels:
        app.notices.attend(run).close()
    elif not is_new and (view.phase in OVER or view.phase is RunPhase.WAITING):
        note(closing(view))
        app.owner.attend(run)
