"""`interlock accept`: accept a rejected candidate."""

from __future__ import annotations

import click

from interlock.cli.application import application
from interlock.cli.completing import targets


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2]", shell_complete=targets)
@click.option("--override", is_flag=True, help="Although a hard gate said no: it stays visible for good.")
@click.option("-m", "--message", metavar="TEXT", default="", help="Why; it stays with it.")
@click.option("--plain", is_flag=True, help="One line for each transition, never redrawn.")
@click.option("--json", "json", is_flag=True, help="Events as NDJSON on stdout.")
def accept(target: tuple[str, ...], override: bool, message: str, plain: bool, json: bool) -> int:
    """Accept the candidate of an attempt, such as code/1.2, although it was rejected."""
    from interlock.cli.answering import answer, unfinished
    from interlock.cli.driving import DisplayOptions
    from interlock.cli.targets import choosing, find_attempt, find_target, no_more
    from interlock.core.events import Action
    from interlock.ports import UsageError
    from interlock.service import AnswerRequest

    with application() as app:
        found = no_more(find_target(app.service, target, choosing(app.service, unfinished)))
        if not found.stage:
            raise UsageError(f"say which attempt to accept, as STAGE/1.2: `interlock show {found.view.id}` lists them")
        attempt = str(find_attempt(found).id)
        said = AnswerRequest(Action.ACCEPT, app.person(), found.stage, attempt, comment=message, override=override)
        return answer(app, found.view, said, DisplayOptions(plain, json))
