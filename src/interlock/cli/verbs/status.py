"""`interlock status`: where a run is, in a few lines."""

from __future__ import annotations

import click

from interlock.cli.application import application
from interlock.cli.completing import runs
from interlock.cli.terminal import say


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("--json", "json", is_flag=True, help="As JSON.")
def status(run: str, json: bool) -> int:
    """Where RUN is, in a few lines: the only unfinished one, else the newest."""
    from interlock.cli.application import unreadable_runs_noted
    from interlock.cli.pages import status_page
    from interlock.service.jsons import document

    with application(looks=True) as app:
        with unreadable_runs_noted() as passed_over:
            found = app.service.latest_run(run, passed_over)
        view = app.service.describe_run(found.id)
        held_up = app.held_up(view.id) if view.owner else ()
        unread = app.service.has_answer(view.id)
        told = {"held_up": held_up, "answer_waits": unread}
        say(document(run=view, **told) if json else status_page(view, held_up, unread=unread))
    return 0
