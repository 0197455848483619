"""What the command line says became of an answer, and that one waits."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import click
import pytest

from interlock.cli.answers import _print_reply
from interlock.cli.overview import Around, status_page
from interlock.cli.screens import DisplayOptions
from interlock.cli.words import waiting
from interlock.core.events import Action, AnswerTaken
from interlock.core.state import Spending
from interlock.readmodel.costs import Costs
from interlock.readmodel.run import RunPhase, RunSummary, RunView, WaitView, unreadable

RUN = "20261125-221406-qb4g6x"
TAKEN = AnswerTaken("a1", Action.CONTINUE, "me")


def view(phase: RunPhase, **more: Any) -> RunView:
    known = {each.name: getattr(unreadable(RUN, "", damaged=False), each.name) for each in fields(RunSummary)}
    past = {"stages": (), "base_verdicts": (), "refused": 0, "answers": (), "costs": Costs((), (), Spending())}
    return RunView(**{**known, **past, "phase": phase, **more})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (TAKEN, f"run {RUN} continues"),
        (replace(TAKEN, branch="work/mine"), f"run {RUN} will deliver branch work/mine"),
        (
            replace(TAKEN, action=Action.RAISE, limits=(("cost_usd", 2.5), ("code.tokens", 10.0))),
            f"run {RUN} may use 2.5 more of cost_usd, 10 more of code.tokens",
        ),
    ],
)
def test_what_comes_of_it(answer: AnswerTaken, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen: Any = SimpleNamespace(id=RUN)
    assert _print_reply(seen, answer, DisplayOptions()) == 0
    assert capsys.readouterr().out.splitlines()[0] == words


def test_what_takes_the_run_from_an_owner_that_hangs(capsys: pytest.CaptureFixture[str]) -> None:
    seen: Any = SimpleNamespace(id=RUN)
    assert _print_reply(seen, None, DisplayOptions()) == 5
    assert capsys.readouterr().err.splitlines()[-1] == f"next: interlock resume --take-over {RUN}"


def test_status_tells_of_an_answer_that_waits() -> None:
    def page(run: RunView, *, unread: bool = True) -> str:
        return click.unstyle("\n".join(status_page(run, Around(unread=unread))))

    hangs = view(RunPhase.RUNNING, owner="process 7")
    assert (
        f"until the process of the run reads it; if that process hangs:\n  interlock resume --take-over {RUN}"
        in page(hangs)
    )
    assert "an answer waits in the inbox until the run continues" in page(view(RunPhase.INTERRUPTED))
    assert "inbox" not in page(hangs, unread=False)


def test_a_question_ends_once() -> None:
    asked = WaitView("ship", "ship/1.1", "ship/merge", "approval", "Merge this?", ())
    assert waiting(asked)[0].endswith("gate merge: Merge this? One of:")
    assert waiting(replace(asked, detail=""))[0].endswith("gate merge. One of:")
    assert waiting(WaitView("", "", "", "delivery", "it is there.", ()))[0].endswith("it is there. One of:")
