"""`interlock cancel`: end a run for good."""

from __future__ import annotations

import click

from interlock.cli.completing import runs
from interlock.cli.opened import application, note


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("-m", "--message", metavar="TEXT", default="", help="Why; it stays with the run.")
@click.option("--plain", is_flag=True, help="One line for each transition, never redrawn.")
@click.option("--json", "json", is_flag=True, help="Events as NDJSON on stdout.")
def cancel(run: str, message: str, plain: bool, json: bool) -> int:
    """End RUN for good. What was accepted in it stays to be seen; nothing is delivered. Where the branch is being made
    at this moment, it is waited for, and the run is not cancelled."""
    from interlock.cli.answering import answer, unfinished
    from interlock.cli.driving import Manner
    from interlock.cli.exits import Exit
    from interlock.core.events import Action
    from interlock.core.views import RunPhase
    from interlock.service import Said

    with application() as app:
        view = app.service.describe_run(app.service.choose_run(run, unfinished).id)
        code = answer(app, view, Said(Action.CANCEL, app.person(), comment=message), Manner(plain, json))
        standing = app.service.locate_run(view.id)
        if standing.phase is RunPhase.ACCEPTED:
            came_first = f"branch {standing.branch} is delivered" if standing.branch else "it was accepted"
            note(f"error: run {view.id} was not cancelled: {came_first}")
            return Exit.USAGE
        return Exit.ACCEPTED if code == Exit.NO else code
