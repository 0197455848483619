"""`interlock list`: the runs of this repository, newest first."""

from __future__ import annotations

import sys

import click

from interlock.cli.application import application
from interlock.cli.terminal import columns, note, say


@click.command("list")
@click.option("-n", "--count", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.option("--json", "json", is_flag=True, help="As JSON.")
def list_runs(count: int, json: bool) -> int:
    """The runs of this repository, newest first. One that cannot be read is a row that says why; 5 where one is
    damaged."""
    from interlock.cli import words
    from interlock.cli.exits import Exit
    from interlock.cli.pages import list_page
    from interlock.core.views import RunPhase
    from interlock.service.jsons import document

    with application(looks=True) as app:
        runs = app.service.list_runs(count)
        aside = len(app.aside.runs().difference(run.id for run in runs))
        if json:
            say(document(runs=runs))
        elif runs:
            held_up = [held for run in runs if run.owner for held in app.held_up(run.id)]
            say(list_page(runs, columns(sys.stdout), held_up))
        elif not aside:
            note("no runs in this repository yet: `interlock run -p PIPELINE TASK` starts one")
        if aside:
            note(f"not listed: {words.count(aside, 'damaged run')}, set aside: `interlock doctor` names them")
    return Exit.INFRASTRUCTURE if any(run.phase is RunPhase.DAMAGED for run in runs) else Exit.ACCEPTED
