"""How a cancelled run says by whom, and why."""

from __future__ import annotations

from interlock.core.answers import take_answer
from interlock.core.events import Action, AnswerTaken, RunStarted
from interlock.core.state import RunState

BEGAN = RunState(started=RunStarted("r", "p", "d", "task", "c", "t", ()))


def cancelled(comment: str) -> str:
    return take_answer(BEGAN, AnswerTaken("1", Action.CANCEL, "me", comment=comment)).cancelled


def test_what_was_said_stays_with_it() -> None:
    assert cancelled(" not wanted\n") == "cancelled by me: not wanted"
    assert cancelled("") == "cancelled by me"
    assert cancelled("x" * 1000) == f"cancelled by me: {'x' * 300}"
