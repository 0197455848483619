"""`interlock approve`: say yes to what waits for an approval."""

from __future__ import annotations

import click

from interlock.cli.application import application
from interlock.cli.completing import targets


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2]", shell_complete=targets)
@click.option("-g", "--gate", metavar="GATE", default="", help="Which gate, where several wait.")
@click.option("-m", "--message", metavar="TEXT", default="", help="A word that stays with it.")
@click.option("--plain", is_flag=True, help="One line for each transition, never redrawn.")
@click.option("--json", "json", is_flag=True, help="Events as NDJSON on stdout.")
def approve(target: tuple[str, ...], gate: str, message: str, plain: bool, json: bool) -> int:
    """Say yes to what waits for an approval; the run goes on."""
    from interlock.cli.answering import answer, waits_for_approval
    from interlock.cli.driving import DisplayOptions
    from interlock.cli.targets import choosing, find_target, no_more
    from interlock.core.events import Action
    from interlock.service import AnswerRequest

    with application() as app:
        found = no_more(find_target(app.service, target, choosing(app.service, waits_for_approval)))
        said = AnswerRequest(Action.APPROVE, app.person(), found.stage, found.attempt, gate, message)
        return answer(app, found.view, said, DisplayOptions(plain, json))
