"""`interlock approve`, `reject`, `retry`, `accept`, `cancel`: the answers of a person to a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.targets import runs, targets
from interlock.cli.terminal import note
from interlock.ports import UsageError

if TYPE_CHECKING:
    from interlock.readmodel.run import RunSummary

_PLAIN = click.option("--plain", is_flag=True, help="Print one line for each event, without a live view.")
_JSON = click.option("--json", "json", is_flag=True, help="Print events as NDJSON on stdout.")
_GATE = click.option("-g", "--gate", metavar="GATE", default="", help="Which gate, if several wait.")


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2]", shell_complete=targets)
@_GATE
@click.option("-m", "--message", metavar="TEXT", default="", help="A comment. It is recorded with the answer.")
@_PLAIN
@_JSON
def approve(target: tuple[str, ...], gate: str, message: str, plain: bool, json: bool) -> int:
    """Approve what waits for an approval. The run continues. With an attempt, nothing is recorded if another one waits
    by then."""
    from interlock.cli.answers import answer, waits_for_approval
    from interlock.cli.screens import DisplayOptions
    from interlock.cli.targets import find_target, only_one, require_no_rest
    from interlock.core.events import Action
    from interlock.service import AnswerRequest

    with application() as app:
        found = require_no_rest(find_target(app.service, target, only_one(app.service, waits_for_approval)))
        request = AnswerRequest(Action.APPROVE, app.person(), found.stage, found.attempt, gate, message)
        return answer(app, found.view, request, DisplayOptions(plain, json))


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2]", shell_complete=targets)
@_GATE
@click.option("-m", "--message", metavar="TEXT", required=True, help="What is wrong. The next attempt gets this text.")
@_PLAIN
@_JSON
def reject(target: tuple[str, ...], gate: str, message: str, plain: bool, json: bool) -> int:
    """Reject what waits for an approval. The run continues as its `on_reject` rules say."""
    from interlock.cli.answers import answer, waits_for_approval
    from interlock.cli.screens import DisplayOptions
    from interlock.cli.targets import find_target, only_one, require_no_rest
    from interlock.core.events import Action
    from interlock.service import AnswerRequest

    with application() as app:
        found = require_no_rest(find_target(app.service, target, only_one(app.service, waits_for_approval)))
        request = AnswerRequest(Action.REJECT, app.person(), found.stage, found.attempt, gate, message)
        return answer(app, found.view, request, DisplayOptions(plain, json))


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE]", shell_complete=targets)
@click.option("-m", "--message", metavar="TEXT", default="", help="What to do differently.")
@click.option("--with", "commit", metavar="COMMIT", default="", help="Submit your own commit to the gates.")
@click.option("--now", is_flag=True, help="Stop the running attempt first.")
@_PLAIN
@_JSON
def retry(target: tuple[str, ...], message: str, commit: str, now: bool, plain: bool, json: bool) -> int:
    """Give STAGE new attempts: with feedback, or with your own fix instead of the agent's work."""
    from interlock.cli.answers import answer, unfinished
    from interlock.cli.screens import DisplayOptions
    from interlock.cli.targets import find_target, only_one, require_no_rest
    from interlock.core.events import Action
    from interlock.service import AnswerRequest

    with application() as app:
        found = require_no_rest(find_target(app.service, target, only_one(app.service, unfinished)))
        stored = app.workspaces.import_base(commit).commit if commit else ""
        request = AnswerRequest(Action.RETRY, app.person(), found.stage, comment=message, commit=stored, now=now)
        return answer(app, found.view, request, DisplayOptions(plain, json))


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2]", shell_complete=targets)
@click.option("--override", is_flag=True, help="Accept although a hard gate failed. Every later view shows this.")
@click.option("-m", "--message", metavar="TEXT", default="", help="Why. It is recorded with the acceptance.")
@_PLAIN
@_JSON
def accept(target: tuple[str, ...], override: bool, message: str, plain: bool, json: bool) -> int:
    """Accept the candidate of an attempt, such as code/1.2, although it was rejected."""
    from interlock.cli.answers import answer, unfinished
    from interlock.cli.screens import DisplayOptions
    from interlock.cli.targets import find_attempt, find_target, only_one, require_no_rest
    from interlock.core.events import Action
    from interlock.service import AnswerRequest
    from interlock.service.answers import unnamed_attempt

    with application() as app:
        found = require_no_rest(find_target(app.service, target, only_one(app.service, unfinished)))
        if not found.stage:
            raise UsageError(unnamed_attempt(found.view))
        attempt = str(find_attempt(found).id)
        request = AnswerRequest(Action.ACCEPT, app.person(), found.stage, attempt, comment=message, override=override)
        return answer(app, found.view, request, DisplayOptions(plain, json))


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("-m", "--message", metavar="TEXT", default="", help="Why. It is recorded with the run.")
@_PLAIN
@_JSON
def cancel(run: str, message: str, plain: bool, json: bool) -> int:
    """End RUN for good. Accepted work stays visible; nothing is delivered. If the branch is being created at this
    moment, `cancel` waits for it, and the run is not cancelled."""
    from interlock.cli.answers import answer, unfinished
    from interlock.cli.drive import report_uncancelled
    from interlock.cli.exits import Exit
    from interlock.cli.screens import DisplayOptions
    from interlock.core.events import Action
    from interlock.readmodel.run import OVER, RunPhase
    from interlock.service import AnswerRequest

    with application() as app:
        view = app.service.describe_run(app.service.choose_run(run, unfinished).id)
        if view.phase is RunPhase.CANCELLED:
            note(f"run {view.id} was cancelled before")
            return Exit.ACCEPTED
        if view.phase in OVER:
            raise UsageError(_too_late(view))
        request = AnswerRequest(Action.CANCEL, app.person(), comment=message)
        code = answer(app, view, request, DisplayOptions(plain, json))
        return report_uncancelled(app, view.id, Exit.ACCEPTED if code == Exit.NO else code)


def _too_late(view: RunSummary) -> str:
    from interlock.cli.words import safe

    over = f"run {view.id} has ended: it is {view.phase}"
    if view.branch:
        branch = safe(view.branch)
        return (
            f"{over}: its branch {branch} is delivered, and `cancel` does not remove it: use `git branch -D {branch}`"
        )
    return f"{over}: there is nothing to cancel"
