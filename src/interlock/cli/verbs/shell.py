"""`interlock shell`: a shell in a fresh checkout of a candidate, with the environment of its gates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.targets import targets
from interlock.cli.terminal import note, signals_as_interrupt
from interlock.ports import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.application import Application
    from interlock.cli.targets import Target
    from interlock.core.pipeline import Stage
    from interlock.ports import Checkout


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] STAGE | STAGE/1.2 | base", shell_complete=targets)
@click.option("-c", "--command", "command", metavar="COMMAND", default="", help="Run this instead of $SHELL.")
def shell(target: tuple[str, ...], command: str) -> int:
    """Open a shell in a fresh checkout, as the gates of the stage see it, in the same sandbox. The checkout is removed
    when the shell ends."""
    from interlock.cli.targets import Target, find_run, find_target, require_no_rest

    with application() as app:
        view, words = find_run(app.service, target, app.service.latest_run)
        if words == ("base",) and "base" not in {stage.id for stage in view.stages}:
            return _shell(app, Target(view), command)
        found = require_no_rest(find_target(app.service, target, app.service.latest_run))
        if not found.stage:
            shown = f"`interlock show {found.view.id}` lists them"
            raise UsageError(f"name a candidate: expected STAGE, STAGE/1.2 or base: {shown}")
        return _shell(app, found, command)


def _shell(app: Application, found: Target, command: str) -> int:
    from interlock.core.pipeline import Stage
    from interlock.ports import CheckoutSpec, sandbox_of
    from interlock.process import Supervised, run_in_terminal
    from interlock.sandbox import Network, Room, confine

    name = _name(found)
    commit = app.service.commit_of(found.view, name)
    pipeline = app.service.pipeline_of(found.view.id)
    stage = pipeline.stage(found.stage) if found.stage else Stage("base")  # of no stage: no variables of gates
    spec = CheckoutSpec(
        setup=pipeline.setup, carry=pipeline.carry, protected=stage.scope.protect,
        sandbox=sandbox_of(pipeline, app.require_sandbox(found.view.sandbox)),
    )  # fmt: skip
    with signals_as_interrupt(), app.workspaces.clean_checkout(commit, found.view.base_commit, spec) as checkout:
        note(f"{name} at {commit[:10]} in {checkout.tree}; this checkout is removed when the shell ends")
        words = ("bash", "-c", command) if command else (_users_shell(app, spec.sandbox.level),)
        cwd, env = checkout.tree / stage.dir, _environment(app, found, stage, checkout)
        network = Network.OPEN if any(gate.network for gate in stage.gates) else Network.NONE
        hosts = tuple(dict.fromkeys(host for gate in stage.gates for host in gate.hosts))
        room = Room(checkout, network, hosts, terminal=True, judges=True)
        work = confine(Supervised(words, cwd, env, checkout.root / "log", 0), room)
        return run_in_terminal(work, note)


def _users_shell(app: Application, level: str) -> str:
    """The user's own, if a sandbox shows it."""
    from interlock.sandbox import is_shown

    own = app.environ.get("SHELL") or "/bin/sh"
    return own if level == "none" or is_shown(Path(own), app.environ.get("PATH", os.defpath)) else "/bin/sh"


def _name(found: Target) -> str:
    """The name that the service takes: the base, an input or an attempt."""
    from interlock.cli.targets import find_attempt
    from interlock.core.ids import parse_attempt

    if not found.stage:
        return "base"
    input_wanted = found.attempt and parse_attempt(found.attempt).number == 0
    return found.attempt if input_wanted else str(find_attempt(found).id)


def _environment(app: Application, found: Target, stage: Stage, checkout: Checkout) -> Mapping[str, str]:
    """All variables that gates of the stage see, and those that a terminal needs."""
    from interlock.core.events import RunStarted
    from interlock.execution.context import Context
    from interlock.execution.documents import gate_values
    from interlock.process import checkout_environment

    started = app.service.history(found.view.id)[0].event
    assert isinstance(started, RunStarted)  # the first event of every history
    context = Context(found.view.id, app.service.pipeline_of(found.view.id), started, found.view.started_at)
    named = [name for gate in stage.gates for name in (*gate.env, *gate.secrets)]
    more = {
        **(gate_values(context, stage) if found.stage else {}),
        "REPORT": checkout.seen(checkout.tmp / "report"),
        "PWD": checkout.seen(checkout.tree / stage.dir),
    }
    return checkout_environment(app.environ, checkout, (*named, "TERM", "COLORTERM", "SHELL"), more)
