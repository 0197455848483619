"""A pending approval, answered where it is shown.

Rule: only a person at a terminal is asked, and silence is no answer.
"""

from __future__ import annotations

import click

from interlock.bootstrap import Application
from interlock.cli.terminal import is_interactive, note, prompt
from interlock.core.events import Action
from interlock.core.text import plain
from interlock.core.views import RunView, WaitView
from interlock.service import AnswerRequest
from interlock.service.withheld import shown

_DIFF_MAX = 5_000_000
_LATER = "later"


def answered(app: Application, run: str) -> bool:
    """Ask about the first approval that waits, and put the answer into the inbox. False where there is none."""
    waits = (
        app.service.locate_run(run).waits if is_interactive() else ()
    )  # the whole past is read where somebody is asked
    wait = next((one for one in waits if one.reason == "approval"), None)
    if wait is None:
        return False
    view = app.service.describe_run(run)
    try:
        said = _asked(app, view, wait)
    except click.Abort:
        return False
    if said is None:
        return False
    app.service.answer(view, said)
    return True


def _asked(app: Application, view: RunView, wait: WaitView) -> AnswerRequest | None:
    question = f"{wait.subject}: [a]pprove, [r]eject, show the [d]iff, [l]ater"
    while True:
        match prompt(question, _LATER, show_default=False).lower()[:1]:
            case "a":
                return AnswerRequest(Action.APPROVE, app.person(), wait.stage, wait.subject, wait.gate)
            case "r":
                why = prompt("what is wrong (the next attempt is told)")
                return AnswerRequest(
                    Action.REJECT, app.person(), wait.stage, wait.subject, wait.gate, plain(why, 10_000)
                )
            case "d":
                click.echo_via_pager(_diff(app, view, wait))
            case "l":
                return None
            case _:
                note("say one of the letters in brackets")


def _diff(app: Application, view: RunView, wait: WaitView) -> str:
    """All that the run changed, up to what waits."""
    found = shown(app.workspaces, view, view.base_commit, app.service.commit_of(view, wait.subject))
    return plain("\n".join((*found.notes, found.patch.decode("utf-8", "replace"))), _DIFF_MAX) + "\n"
