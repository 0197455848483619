"""What the command line says became of an answer, and that one waits."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import click
import pytest
from tests.unit.cli.views import ASKED, run_of

from interlock.cli import drive
from interlock.cli.answers import _ask, _print_reply
from interlock.cli.asking import Asking
from interlock.cli.overview import Around, status_page
from interlock.cli.screens import DisplayOptions
from interlock.cli.words import waiting
from interlock.core.events import Action, AnswerTaken
from interlock.core.state import Spending
from interlock.readmodel.costs import Costs
from interlock.readmodel.run import RunPhase, RunSummary, RunView, WaitView, unreadable
from interlock.service import Service

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
    seen: Any = SimpleNamespace(id=RUN, engine="")
    assert _print_reply(seen, None, DisplayOptions()) == 5
    assert capsys.readouterr().err.splitlines()[-1] == f"next: interlock resume --take-over {RUN}"
    seen.engine = "temporal"
    assert _print_reply(seen, None, DisplayOptions()) == 5
    said = capsys.readouterr().err
    assert "the answer is kept here" in said
    assert said.splitlines()[-1] == f"next: interlock status {RUN}"


def test_status_tells_of_an_answer_that_waits() -> None:
    def page(run: RunView, *, unread: bool = True) -> str:
        return click.unstyle("\n".join(status_page(run, Around(unread=unread))))

    remote = replace(view(RunPhase.RUNNING, owner="temporal"), engine="temporal")
    assert f"until the server takes it: `interlock resume {RUN}` sends it" in page(remote)
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


# --- a question that somebody else answers ----------------------------------------------------------

LATER = replace(ASKED, stage="later", subject="later/1.1", gate="later/merge", detail="And this?")


class TypedKeys:
    """One after the other, each typed before the question that follows is drawn is lost by `forget`."""

    is_open = True

    def __init__(self, typed: str, ahead: str = "") -> None:
        self.keys, self.ahead, self.forgotten = list(typed), list(ahead), 0

    def typed(self, seconds: float) -> str:
        if self.ahead and len(self.keys) == 0:
            return self.ahead.pop(0)
        return self.keys.pop(0) if self.keys else ""

    def forget(self) -> None:
        self.ahead.clear()
        self.forgotten += 1


def asked_of(views: list[RunView], keys: TypedKeys) -> tuple[bool, Asking]:
    """The views are what the run is at each look, the last one for ever."""

    def look(run: str) -> RunView:
        return views.pop(0) if len(views) > 1 else views[0]

    service = SimpleNamespace(locate_run=look, describe_run=look, answer=lambda *_: SimpleNamespace(id="1"))
    app: Any = SimpleNamespace(service=service, person=lambda: "Ann")
    asking = Asking(app, RUN, stats={"ship/1.1": (), "later/1.1": ()})
    made: Any = keys
    return _ask(app, asking, made), asking


def test_a_question_goes_when_somebody_else_answers_it(capsys: pytest.CaptureFixture[str]) -> None:
    waits, over = run_of(waits=(ASKED,)), run_of(phase=RunPhase.ACCEPTED)
    answered, _ = asked_of([waits, waits, over], TypedKeys("a"))
    assert answered
    assert capsys.readouterr().err.splitlines()[-1] == (
        "ship/1.1 waits for an approval no more: it was answered elsewhere"
    )


def test_the_next_question_is_asked_and_is_not_answered_by_what_was_typed_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = run_of(waits=(ASKED,)), run_of(waits=(LATER,))
    keys = TypedKeys("", ahead="")
    shown = [first, first, second, second, run_of()]
    assert asked_of(shown, keys)[0]
    assert "later/1.1 asks: And this?" in capsys.readouterr().err
    assert keys.forgotten == 2

    class Ahead(TypedKeys):
        def typed(self, seconds: float) -> str:
            key = super().typed(seconds)
            if key == "l":
                self.ahead = list("ay")
            return key

    both = run_of(waits=(ASKED, LATER))
    ahead = Ahead("l")
    answered, asking = asked_of([both, both, both, run_of(waits=(LATER,)), run_of()], ahead)
    assert answered
    assert not asking.sent


@pytest.mark.parametrize(
    ("owner", "unread", "how"), [("", True, "drive"), ("p 7", True, "watch"), ("", False, "watch")]
)
def test_the_exit_code_is_that_of_the_run_whoever_answered(
    owner: str, unread: bool, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = SimpleNamespace(
        locate_run=lambda run: SimpleNamespace(seq=7), needs_driver=lambda run: unread and not owner
    )
    app: Any = SimpleNamespace(service=service, pull_requests=SimpleNamespace(open=lambda run: None))
    codes = {"drive": 0, "watch": 1}
    monkeypatch.setattr("interlock.cli.answers.ask_approval", lambda *_: True)
    monkeypatch.setattr(drive, "conclude", lambda *_: 3)
    monkeypatch.setattr(drive, "drive", lambda *_, after: codes["drive"])
    monkeypatch.setattr(drive, "watch_run", lambda *_, after: codes["watch"])
    assert drive.finish(app, RUN, DisplayOptions()) == codes[how]


@pytest.mark.parametrize(
    ("follower", "unread", "remote", "needs"),
    [
        ("", True, False, True),
        ("", False, True, True),
        ("", False, False, False),
        ("process 7", True, True, False),
    ],
)
def test_a_run_needs_a_process_for_an_answer_or_to_follow_it(
    follower: str, unread: bool, remote: bool, needs: bool
) -> None:
    service: Any = SimpleNamespace(
        follower_of=lambda run: follower,
        has_answer=lambda run: unread,
        locate_run=lambda run: SimpleNamespace(is_remote=remote),
    )
    assert Service.needs_driver(service, RUN) is needs
