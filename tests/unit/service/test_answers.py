"""What is said where there is nothing to approve."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from interlock.core.events import Action
from interlock.core.state import Spending
from interlock.ports import UsageError
from interlock.readmodel.costs import Costs
from interlock.readmodel.run import RunPhase, RunSummary, RunView, WaitView, unreadable
from interlock.service import AnswerRequest
from interlock.service.answers import to_answer

PAUSED = WaitView("code", "code/1.2", "", "no_progress", "why", ("interlock retry r code", "interlock cancel r"))


def view(phase: RunPhase, *waits: WaitView) -> RunView:
    known = {each.name: getattr(unreadable("r", "", damaged=False), each.name) for each in fields(RunSummary)}
    past: dict[str, Any] = {"stages": (), "base_verdicts": (), "refused": 0, "answers": ()}
    return RunView(**{**known, **past, "costs": Costs((), (), Spending()), "phase": phase, "waits": waits})


@pytest.mark.parametrize("action", [Action.APPROVE, Action.REJECT])
@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (view(RunPhase.INTERRUPTED), "it is interrupted\nnext: interlock resume r"),
        (view(RunPhase.INTERRUPTED, PAUSED), "it is interrupted\nnext: interlock resume r"),
        (view(RunPhase.RUNNING), "it is running\nnext: interlock watch r"),
        (
            view(RunPhase.WAITING, PAUSED),
            "code is paused (no progress). One of:\n  interlock retry r code\n  interlock cancel r",
        ),
    ],
)
def test_what_to_do_where_nothing_waits_for_an_approval(action: Action, seen: RunView, why: str) -> None:
    with pytest.raises(UsageError) as told:
        to_answer(seen, AnswerRequest(action, "ann"), lambda: "a1", 0.0)
    assert str(told.value) == f"nothing in run r waits for an approval: {why}"
