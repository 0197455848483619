"""`interlock cancel`: end a run for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.completing import runs
from interlock.cli.terminal import note
from interlock.ports import UsageError

if TYPE_CHECKING:
    from interlock.core.views import RunSummary


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("-m", "--message", metavar="TEXT", default="", help="Why; it stays with the run.")
@click.option("--plain", is_flag=True, help="One line for each transition, never redrawn.")
@click.option("--json", "json", is_flag=True, help="Events as NDJSON on stdout.")
def cancel(run: str, message: str, plain: bool, json: bool) -> int:
    """End RUN for good. What was accepted in it stays to be seen; nothing is delivered. Where the branch is being made
    at this moment, it is waited for, and the run is not cancelled."""
    from interlock.cli.answering import answer, unfinished
    from interlock.cli.driving import DisplayOptions, told_uncancelled
    from interlock.cli.exits import Exit
    from interlock.cli.words import OVER
    from interlock.core.events import Action
    from interlock.core.views import RunPhase
    from interlock.service import AnswerRequest

    with application() as app:
        view = app.service.describe_run(app.service.choose_run(run, unfinished).id)
        if view.phase is RunPhase.CANCELLED:
            note(f"run {view.id} is cancelled already")
            return Exit.ACCEPTED
        if view.phase in OVER:
            raise UsageError(_too_late(view))
        code = answer(
            app, view, AnswerRequest(Action.CANCEL, app.person(), comment=message), DisplayOptions(plain, json)
        )
        return told_uncancelled(app, view.id, Exit.ACCEPTED if code == Exit.NO else code)


def _too_late(view: RunSummary) -> str:
    from interlock.cli.words import safe

    said = f"run {view.id} is {view.phase}, and over"
    if view.branch:
        branch = safe(view.branch)
        return f"{said}: its branch {branch} is delivered, and cancel takes nothing back: `git branch -D {branch}` does"
    return f"{said}: there is nothing to cancel"
