"""`interlock reject`: say no to what waits for an approval."""

from __future__ import annotations

import click

from interlock.cli.application import application
from interlock.cli.completing import targets


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2]", shell_complete=targets)
@click.option("-g", "--gate", metavar="GATE", default="", help="Which gate, where several wait.")
@click.option("-m", "--message", metavar="TEXT", required=True, help="What is wrong: the next attempt is told.")
@click.option("--plain", is_flag=True, help="One line for each transition, never redrawn.")
@click.option("--json", "json", is_flag=True, help="Events as NDJSON on stdout.")
def reject(target: tuple[str, ...], gate: str, message: str, plain: bool, json: bool) -> int:
    """Say no to what waits for an approval; the run does what its rules say."""
    from interlock.cli.answering import answer, waits_for_approval
    from interlock.cli.driving import DisplayOptions
    from interlock.cli.targets import choosing, find_target, no_more
    from interlock.core.events import Action
    from interlock.service import AnswerRequest

    with application() as app:
        found = no_more(find_target(app.service, target, choosing(app.service, waits_for_approval)))
        said = AnswerRequest(Action.REJECT, app.person(), found.stage, found.attempt, gate, message)
        return answer(app, found.view, said, DisplayOptions(plain, json))
