"""`interlock worker`: perform effects of runs on Temporal, or with `--controller` decide what they do next."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from interlock.cli.terminal import note, until_interrupted
from interlock.ports import InfrastructureError, UsageError
from interlock.text.cleaning import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.engines.temporal.needs import Offer
    from interlock.engines.temporal.server import Server
    from interlock.engines.temporal.worker import Performer, Serving
    from interlock.settings import Settings


_CLEAN_S = 21_600.0
_LABEL = r"[a-z][a-z0-9_-]{0,47}"


@click.command()
@click.option("--slots", default=4, show_default=True, type=click.IntRange(1, 256), help="Attempts and gates at once.")
@click.option("--controller", is_flag=True, help="Control runs, and start no agents.")
@click.option("--agents", metavar="A,B", help="Only these kinds of agents; default: all whose program is installed.")
@click.option("--labels", metavar="A,B", help="Labels that stages can ask for.")
@click.option("--secrets", metavar="A,B", help="Only these secrets, which are set here; default: all that are set.")
@click.option("--deliver", "delivers", is_flag=True, help="In a checkout: make the branches of its runs, ask their CI.")
def worker(slots: int, controller: bool, delivers: bool, **offered: str | None) -> int:
    """Perform attempts and gates of runs on Temporal, until interrupted. It needs no repository, but for `--deliver`,
    which does nothing else."""
    from interlock.bootstrap import build_worker
    from interlock.machines import check_server
    from interlock.settings import load_settings, paths_of

    if delivers:
        from interlock.cli.delivering import deliver

        return deliver()
    if controller and any(words is not None for words in offered.values()):
        raise UsageError("a controller starts no agents: give --agents, --labels and --secrets to workers")
    settings = load_settings(paths_of(os.environ).config)
    offer = None if controller else _offer(os.environ, **offered)
    server, performer = build_worker(os.environ, settings, controls=controller)
    note(f"warning: {warning}" for warning in check_server(settings, os.environ))
    from interlock.engines.temporal.worker import Serving

    keeper = threading.Thread(target=_clean, args=(settings, os.environ), name="clean", daemon=True)
    keeper.start()
    mark = server.mark()
    offer = replace(offer, blobs=mark) if offer else None
    serving = Serving(server.queue, slots, controls=controller, offer=offer, blobs=mark)
    what = "controls runs" if offer is None else f"performs up to {slots} attempts and gates at once, {_offers(offer)}"
    where = f"{server.address}, namespace {server.namespace}, queue {server.queue}, blobs {server.blobs}"
    ready = f"worker {os.getpid()} {what}: {where}"
    return asyncio.run(_served(server, performer, serving, ready))


def _clean(settings: Settings, environ: Mapping[str, str]) -> None:
    """Remove what was not used for long, now and every few hours. What fails is tried again then."""
    from interlock.cli.verbs.gc import freed
    from interlock.machines import clean_worker

    while True:
        with suppress(InfrastructureError, OSError):
            gone = clean_worker(settings, environ, time.time())
            if gone is not None and gone.bytes:
                note(f"of what was not used for {settings.temporal.keep_days} days: {freed(gone, dry_run=False)}")
        time.sleep(_CLEAN_S)


def _offer(environ: Mapping[str, str], agents: str | None, labels: str | None, secrets: str | None) -> Offer:
    """What this machine can do, and what the options leave of it. Raises UsageError."""
    from interlock.agents.probe import startable
    from interlock.conventions.programs import KEYS
    from interlock.engines.temporal.needs import EVERYWHERE, any_but, offer_of

    found = startable(environ)
    chosen = found if agents is None else _startable(_listed(agents), found)
    given = _listed(secrets or "")
    if unset := [name for name in given if not environ.get(name)]:
        raise UsageError(f"--secrets {unset[0]}: it is not set here: set it, or leave it out")
    named = _listed(labels or "")
    if wrong := [name for name in named if not re.fullmatch(_LABEL, name)]:
        raise UsageError(
            f"--labels {plain(wrong[0], 50)}: a label is lower-case letters, digits, - and _, as in gpu,big"
        )
    offered = given if secrets is not None else any_but(key for key in KEYS if not environ.get(key))
    return offer_of(set(chosen) - EVERYWHERE, offered, named)


def _startable(names: list[str], found: frozenset[str]) -> list[str]:
    """The names, all of which can be started here. Raises UsageError."""
    from interlock.conventions.programs import ADAPTERS

    for name in names:
        if name not in ADAPTERS:
            raise UsageError(
                f"--agents {plain(name, 50)}: there is no such kind, there are {', '.join(sorted(ADAPTERS))}"
            )
        if name not in found:
            needed = ADAPTERS[name].program or ADAPTERS[name].package
            raise UsageError(f"--agents {name}: {needed} is not installed here: install it, or leave {name} out")
    return names


def _listed(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _offers(offer: Offer) -> str:
    """The offer in words."""
    from interlock.conventions.programs import KEYS
    from interlock.engines.temporal.needs import ANY, is_set

    agents = f"agents {', '.join(offer.agents)}" if offer.agents else "no agents but those of `run`"
    labels = f", labels {', '.join(offer.labels)}" if offer.labels else ""
    if ANY in offer.secrets:
        secrets = f", keys of agents {', '.join(key for key in KEYS if is_set(offer, key)) or 'none'}"
    else:
        secrets = f", secrets {', '.join(offer.secrets) or 'none'}"
    return agents + labels + secrets


async def _served(server: Server, performer: Performer, serving: Serving, ready: str) -> int:
    from interlock.engines.temporal.builds import build
    from interlock.engines.temporal.worker import serve

    def tell(current: str) -> None:
        note(ready)
        if current:
            note(
                f"new runs begin with Interlock {current}, and this is {build()}: this controller takes only runs that"
                " began with its own build; upgrade it, or stop it when these have ended"
            )

    client = await server.connect()
    work = serve(client, performer, serving, tell)
    if await until_interrupted(server.attended(client, work, serving.blobs, note)):
        note("the worker has stopped")
    return 0
