"""Answers of a person: from the command line, or by keys where a pending approval is shown, to the run's inbox.

Rule: an answer goes to the inbox. If nobody owns the run, this process drives it; else it waits until the owner has
taken or refused the answer, and prints which. Only a person at a terminal is asked, and no input is no answer.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from interlock.application import Application
from interlock.cli.asking import Asking
from interlock.cli.drive import conclude, drive
from interlock.cli.exits import Exit
from interlock.cli.keys import Keys
from interlock.cli.screens import DisplayOptions
from interlock.cli.terminal import is_interactive, note, say
from interlock.cli.words import safe
from interlock.core.events import Action, AnswerTaken, Recorded, Refused
from interlock.ports import InfrastructureError
from interlock.readmodel.run import OVER, RunSummary, RunView
from interlock.service import AnswerRequest
from interlock.service.formats import line

_KEPT = "the answer is kept here, and goes to the server as soon as `watch`, `status` or `list` reach it"
_TAKEN_S = 30.0
_ENDED_S = 3.0
_POLL_S = 0.1
_KEY_S = 0.5
_BLANK = ("\n", "\r", " ")


def unfinished(view: RunSummary) -> bool:
    return view.phase not in OVER


def waits_for_approval(view: RunSummary) -> bool:
    return any(wait.reason == "approval" for wait in view.waits)


def answer(app: Application, view: RunView, request: AnswerRequest, display: DisplayOptions) -> int:
    """Put the answer into the inbox, wait until it is taken, and drive the run if nobody else does. Returns the exit
    code."""
    put = app.service.answer(view, request)
    attempts = (attempt for stage in view.stages for attempt in stage.attempts)
    display = replace(display, judged=tuple(item.verdict for attempt in attempts for item in attempt.verdicts))
    if not app.service.follower_of(view.id):
        code = _driven(app, view, put.id, display)
        return Exit.USAGE if isinstance(_reply(app, view, put.id), Refused) else code
    note(f"the answer went to {app.service.follower_of(view.id)}, which controls run {view.id}")
    reply = _wait_for_reply(app, view, put.id)
    if reply is None and not app.service.follower_of(view.id):  # the owner ended at that moment
        return drive(app, view.id, display, after=view.seq)
    if request.action is Action.CANCEL and not display.json:
        return _conclude_cancel(app, view, reply, display)
    return _print_reply(view, reply, display)


def _driven(app: Application, view: RunView, answer_id: str, display: DisplayOptions) -> int:
    try:
        return drive(app, view.id, display, after=view.seq)
    except InfrastructureError as error:
        is_kept = any(left.id == answer_id for left in app.service.engine.untaken(view.id))
        if view.engine and is_kept and not error.permanent:
            note(_KEPT)
        raise


def ask_approval(app: Application, run: str, asked: dict[str, Asking]) -> bool:
    """Ask the person about the approvals that wait, until one is answered: here, and the answer goes to the inbox, or
    elsewhere. False if none waits or is answered. `asked`: what the person was asked before."""
    waits = app.service.locate_run(run).waits if is_interactive() else ()  # the whole history is read only to ask
    if not any(wait.reason == "approval" for wait in waits):
        return False
    asking = asked.setdefault(run, Asking(app, run))
    with Keys(sys.stdin) as keys:
        try:
            return _ask(app, asking, keys)
        except KeyboardInterrupt:
            note("")
    return False


def _ask(app: Application, asking: Asking, keys: Keys) -> bool:
    """Whether an approval was answered. What is typed before a question is on the screen is dropped."""
    first = view = app.service.describe_run(asking.run)
    about, typed = asking.current(view), "d"
    while keys.is_open and (question := asking.question(view)):
        if asking.mark(view) != asking.drawn:
            keys.forget()
        if typed.lower() == "d" or asking.current(view) != about:
            note(asking.context(view))
        if typed not in _BLANK:
            note(question)
        about, asking.drawn = asking.current(view), asking.mark(view)
        typed, view = _next_key(app, asking, view, keys)
        if typed and asking.press(typed, view, keys):
            return True
        if asking.said:
            note(asking.said)
            asking.said = ""
    return _is_answered(app, first)


def _next_key(app: Application, asking: Asking, view: RunView, keys: Keys) -> tuple[str, RunView]:
    """The key that is typed, and the newest view. An empty one as soon as the question is another one."""
    typed = ""
    while keys.is_open and not (typed := keys.typed(_KEY_S)):
        if app.service.locate_run(asking.run).waits == view.waits:
            continue
        view = app.service.describe_run(asking.run)
        if asking.mark(view) != asking.drawn:
            asking.confirming = ("", "")
            asking.said = f"{asking.drawn[0]} waits for an approval no more: it was answered elsewhere"
            return "", view
    return typed, view


def _is_answered(app: Application, view: RunView) -> bool:
    """Whether an approval that `view` waits for has an answer now, from whoever."""
    left = app.service.locate_run(view.id).waits
    return any(wait.reason == "approval" and wait not in left for wait in view.waits)


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
        if not app.service.follower_of(view.id) or app.service.locate_run(view.id).behind:
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
        case None if view.engine:
            words, code = _KEPT, Exit.INFRASTRUCTURE
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
