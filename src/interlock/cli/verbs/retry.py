"""`interlock retry`: give a stage another attempt, with a word or a fix of a person."""

from __future__ import annotations

import click

from interlock.cli.application import application
from interlock.cli.completing import targets


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE]", shell_complete=targets)
@click.option("-m", "--message", metavar="TEXT", default="", help="What to do differently.")
@click.option("--with", "commit", metavar="COMMIT", default="", help="Submit this commit of yours to the gates.")
@click.option("--now", is_flag=True, help="End the attempt at work first.")
@click.option("--plain", is_flag=True, help="One line for each transition, never redrawn.")
@click.option("--json", "json", is_flag=True, help="Events as NDJSON on stdout.")
def retry(target: tuple[str, ...], message: str, commit: str, now: bool, plain: bool, json: bool) -> int:
    """Give STAGE new attempts: with feedback, or with a fix of your own in place of the agent's work."""
    from interlock.cli.answering import answer, unfinished
    from interlock.cli.driving import DisplayOptions
    from interlock.cli.targets import choosing, find_target, no_more
    from interlock.core.events import Action
    from interlock.service import AnswerRequest

    with application() as app:
        found = no_more(find_target(app.service, target, choosing(app.service, unfinished)))
        stored = app.workspaces.import_base(commit).commit if commit else ""
        said = AnswerRequest(Action.RETRY, app.person(), found.stage, comment=message, commit=stored, now=now)
        return answer(app, found.view, said, DisplayOptions(plain, json))
