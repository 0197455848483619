"""Answers of a person, from the command line to the journal.

Rule: an answer goes to the inbox. Where nobody owns the run, this process drives it; else it waits
until the owner has taken or refused the answer, and says which.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import assert_never

from interlock.bootstrap import Application
from interlock.cli.driving import DisplayOptions, conclude, drive
from interlock.cli.exits import Exit
from interlock.cli.terminal import note, say
from interlock.cli.words import OVER, safe
from interlock.core.events import Action, AnswerTaken, Recorded, Refused
from interlock.core.views import RunSummary, RunView
from interlock.service import AnswerRequest
from interlock.service.jsons import line

_TAKEN_S = 30.0
_ENDED_S = 3.0
_LOOK_S = 0.1


def unfinished(view: RunSummary) -> bool:
    return view.phase not in OVER


def waits_for_approval(view: RunSummary) -> bool:
    return any(wait.reason == "approval" for wait in view.waits)


def answer(app: Application, view: RunView, said: AnswerRequest, manner: DisplayOptions) -> int:
    """Put it into the inbox, see it taken, and go on with the run where nobody else does."""
    put = app.service.answer(view, said)
    if not app.service.owner_of(view.id):
        code = drive(app, view.id, manner, after=view.seq)
        refused = _fate(app, view, put.id)
        return Exit.USAGE if isinstance(refused, Refused) else code
    note(f"the answer went to {app.service.owner_of(view.id)}, who drives run {view.id}")
    fate = _waited(app, view, put.id)
    if fate is None and not app.service.owner_of(view.id):  # it left at that very moment
        return drive(app, view.id, manner, after=view.seq)
    if said.action is Action.CANCEL and not manner.json:
        return _ending(app, view, fate, manner)
    return _said(view, fate, manner)


def _ending(app: Application, view: RunView, fate: AnswerTaken | Refused | None, manner: DisplayOptions) -> int:
    """Of a cancel: it is over once what is at work in the run has ended. Why it was refused, its caller says."""
    if isinstance(fate, Refused):
        return Exit.USAGE
    if isinstance(fate, AnswerTaken):
        if _within(_ENDED_S, lambda: app.service.locate_run(view.id).phase in OVER):
            return conclude(app, view.id, manner)
        note("the run ends as soon as what is at work in it has ended")
    return _said(view, fate, manner)


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    pause = threading.Event()
    for _ in range(int(seconds / _LOOK_S)):
        if holds():
            return True
        pause.wait(_LOOK_S)
    return holds()


def _waited(app: Application, view: RunView, answer_id: str) -> AnswerTaken | Refused | None:
    """What became of the answer; None where nobody took it in time, or its owner is gone."""
    pause = threading.Event()
    for _ in range(int(_TAKEN_S / _LOOK_S)):
        fate = _fate(app, view, answer_id)
        if fate is not None:
            return fate
        if not app.service.owner_of(view.id):
            return _fate(app, view, answer_id)
        pause.wait(_LOOK_S)
    return None


def _fate(app: Application, view: RunView, answer_id: str) -> AnswerTaken | Refused | None:
    return next(
        (found for record in app.service.history(view.id, view.seq) if (found := _about(record, answer_id))), None
    )


def _about(record: Recorded, answer_id: str) -> AnswerTaken | Refused | None:
    event = record.event
    if isinstance(event, AnswerTaken) and event.answer == answer_id:
        return event
    return event if isinstance(event, Refused) and event.subject == answer_id else None


def _said(view: RunView, fate: AnswerTaken | Refused | None, manner: DisplayOptions) -> int:
    follow = "status"
    match fate:
        case AnswerTaken():
            words, code = _taken(view.id, fate), Exit.ACCEPTED
        case Refused():
            words, code = f"refused by run {view.id}: {safe(fate.why)}", Exit.USAGE
        case None:
            words = (
                f"run {view.id} did not look at the answer in {_TAKEN_S:g} s; it stays in its inbox: its owner hangs"
            )
            follow = "resume --take-over"
            code = Exit.INFRASTRUCTURE
        case _:
            assert_never(fate)
    if manner.json:
        say(line(run=view.id, kind="answer", taken=isinstance(fate, AnswerTaken), said=words))
    elif code is Exit.ACCEPTED:
        say([words, f"next: interlock watch {view.id}"])
    else:
        note(f"error: {words}\nnext: interlock {follow} {view.id}")
    return code


def _taken(run: str, answer: AnswerTaken) -> str:
    match answer.action:
        case Action.CONTINUE if answer.branch:
            return f"run {run} will deliver branch {safe(answer.branch)}"
        case Action.CONTINUE:
            return f"run {run} goes on"
        case Action.RAISE:
            more = ", ".join(f"{amount:g} more of {name}" for name, amount in answer.limits)
            return f"run {run} may use {more}"
        case _:
            return f"{answer.action} taken by run {run}"
