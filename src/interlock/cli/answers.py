"""Answers of a person: from the command line, or typed where a pending approval is shown, to the run's inbox.

Rule: an answer goes to the inbox. If nobody owns the run, this process drives it; else it waits until the owner has
taken or refused the answer, and prints which. Only a person at a terminal is asked, and no input is no answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import assert_never

import click

from interlock.bootstrap import Application
from interlock.cli.drive import DisplayOptions, conclude, drive
from interlock.cli.exits import Exit
from interlock.cli.terminal import is_interactive, note, prompt, say
from interlock.cli.words import safe
from interlock.core.events import Action, AnswerTaken, Recorded, Refused
from interlock.readmodel.run import OVER, RunSummary, RunView, WaitView
from interlock.service import AnswerRequest
from interlock.service.diffs import visible_diff
from interlock.service.formats import line
from interlock.text.cleaning import plain

_TAKEN_S = 30.0
_ENDED_S = 3.0
_POLL_S = 0.1
_DIFF_MAX = 5_000_000
_LATER = "later"


def unfinished(view: RunSummary) -> bool:
    return view.phase not in OVER


def waits_for_approval(view: RunSummary) -> bool:
    return any(wait.reason == "approval" for wait in view.waits)


def answer(app: Application, view: RunView, request: AnswerRequest, display: DisplayOptions) -> int:
    """Put the answer into the inbox, wait until it is taken, and drive the run if nobody else does. Returns the exit
    code."""
    put = app.service.answer(view, request)
    if not app.service.owner_of(view.id):
        code = drive(app, view.id, display, after=view.seq)
        return Exit.USAGE if isinstance(_reply(app, view, put.id), Refused) else code
    note(f"the answer went to {app.service.owner_of(view.id)}, which controls run {view.id}")
    reply = _wait_for_reply(app, view, put.id)
    if reply is None and not app.service.owner_of(view.id):  # the owner ended at that moment
        return drive(app, view.id, display, after=view.seq)
    if request.action is Action.CANCEL and not display.json:
        return _conclude_cancel(app, view, reply, display)
    return _print_reply(view, reply, display)


def ask_approval(app: Application, run: str) -> bool:
    """Ask the person about the first approval that waits, and put the answer into the inbox. False if there is none."""
    waits = app.service.locate_run(run).waits if is_interactive() else ()  # the whole history is read only to ask
    wait = next((one for one in waits if one.reason == "approval"), None)
    if wait is None:
        return False
    view = app.service.describe_run(run)
    try:
        request = _typed_answer(app, view, wait)
    except click.Abort:
        return False
    if request is None:
        return False
    app.service.answer(view, request)
    return True


# --- what became of an answer ---------------------------------------------------------------------


def _conclude_cancel(
    app: Application, view: RunView, reply: AnswerTaken | Refused | None, display: DisplayOptions
) -> int:
    """A cancelled run is over once its work has ended. The caller prints why a cancel was refused."""
    if isinstance(reply, Refused):
        return Exit.USAGE
    if isinstance(reply, AnswerTaken):
        if _holds_within(_ENDED_S, lambda: app.service.locate_run(view.id).phase in OVER):
            return conclude(app, view.id, display)
        note("the run ends as soon as its running work has ended")
    return _print_reply(view, reply, display)


def _holds_within(seconds: float, holds: Callable[[], bool]) -> bool:
    pause = threading.Event()
    for _ in range(int(seconds / _POLL_S)):
        if holds():
            return True
        pause.wait(_POLL_S)
    return holds()


def _wait_for_reply(app: Application, view: RunView, answer_id: str) -> AnswerTaken | Refused | None:
    """What became of the answer; None if nobody took it in time, or its owner has ended."""
    pause = threading.Event()
    for _ in range(int(_TAKEN_S / _POLL_S)):
        reply = _reply(app, view, answer_id)
        if reply is not None:
            return reply
        if not app.service.owner_of(view.id):
            return _reply(app, view, answer_id)
        pause.wait(_POLL_S)
    return None


def _reply(app: Application, view: RunView, answer_id: str) -> AnswerTaken | Refused | None:
    return next(
        (found for record in app.service.history(view.id, view.seq) if (found := _reply_in(record, answer_id))), None
    )


def _reply_in(record: Recorded, answer_id: str) -> AnswerTaken | Refused | None:
    event = record.event
    if isinstance(event, AnswerTaken) and event.answer == answer_id:
        return event
    return event if isinstance(event, Refused) and event.subject == answer_id else None


def _print_reply(view: RunView, reply: AnswerTaken | Refused | None, display: DisplayOptions) -> int:
    follow = "status"
    match reply:
        case AnswerTaken():
            words, code = _taken(view.id, reply), Exit.ACCEPTED
        case Refused():
            words, code = f"refused by run {view.id}: {safe(reply.why)}", Exit.USAGE
        case None:
            words = f"run {view.id} did not read the answer within {_TAKEN_S:g} s: its process hangs; the answer stays"
            follow = "resume --take-over"
            code = Exit.INFRASTRUCTURE
        case _:
            assert_never(reply)
    if display.json:
        say(line(run=view.id, kind="answer", taken=isinstance(reply, AnswerTaken), said=words))
    elif code is Exit.ACCEPTED:
        say([words, f"next: interlock watch {view.id}"])
    else:
        note(f"error: {words}\nnext: interlock {follow} {view.id}")
    return code


def _taken(run: str, event: AnswerTaken) -> str:
    match event.action:
        case Action.CONTINUE if event.branch:
            return f"run {run} will deliver branch {safe(event.branch)}"
        case Action.CONTINUE:
            return f"run {run} continues"
        case Action.RAISE:
            more = ", ".join(f"{amount:g} more of {name}" for name, amount in event.limits)
            return f"run {run} may use {more}"
        case _:
            return f"{event.action} taken by run {run}"


# --- an answer that is typed ----------------------------------------------------------------------


def _typed_answer(app: Application, view: RunView, wait: WaitView) -> AnswerRequest | None:
    question = f"{wait.subject}: [a]pprove, [r]eject, show the [d]iff, [l]ater"
    while True:
        match prompt(question, _LATER, show_default=False).lower()[:1]:
            case "a":
                return AnswerRequest(Action.APPROVE, app.person(), wait.stage, wait.subject, wait.gate)
            case "r":
                why = prompt("what is wrong (the next attempt gets this text)")
                return AnswerRequest(
                    Action.REJECT, app.person(), wait.stage, wait.subject, wait.gate, plain(why, 10_000)
                )
            case "d":
                click.echo_via_pager(_diff(app, view, wait))
            case "l":
                return None
            case _:
                note("type one of the letters in brackets")


def _diff(app: Application, view: RunView, wait: WaitView) -> str:
    """Everything that the run changed, up to what waits."""
    found = visible_diff(app.workspaces, view, view.base_commit, app.service.commit_of(view, wait.subject))
    return plain("\n".join((*found.notes, found.patch.decode("utf-8", "replace"))), _DIFF_MAX) + "\n"
