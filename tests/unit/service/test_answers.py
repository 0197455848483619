"""What is said where an answer does not fit."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from interlock.core.events import Action, AnswerTaken
from interlock.core.ids import AttemptId
from interlock.core.state import Phase, Spending
from interlock.ports import UsageError
from interlock.readmodel.costs import Costs
from interlock.readmodel.history import AttemptPhase, AttemptView, Reply
from interlock.readmodel.run import RunPhase, RunSummary, RunView, StageView, WaitView, unreadable
from interlock.service import AnswerRequest
from interlock.service.answers import to_answer, too_late, unnamed_attempt
from interlock.service.formats import moment

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


def refusal(seen: RunView, request: AnswerRequest) -> str:
    with pytest.raises(UsageError) as told:
        to_answer(seen, request, lambda: "a1", 0.0)
    return str(told.value)


def made(number: int, phase: AttemptPhase, **known: Any) -> AttemptView:
    return AttemptView(AttemptId("code", 1, number), phase, "a", "", "", "t", 1.0, **known)


def with_attempts(phase: RunPhase, *attempts: AttemptView) -> RunView:
    return replace(view(phase), stages=(StageView("code", (), Phase.WORKING, 1, "a", attempts, None),))


RESUME = "run r is interrupted: no process runs it\nnext: interlock resume r"


def test_an_approval_of_an_attempt_that_waits_no_more_names_what_does() -> None:
    newer = view(RunPhase.WAITING, WaitView("code", "code/1.2", "code/look", "approval", "Good?", ()))
    asked = AnswerRequest(Action.APPROVE, "ann", "code", "code/1.1")
    assert refusal(newer, asked) == "nothing recorded for code/1.1: code/1.2 code/look waits for an approval"
    no = AnswerTaken("a1", Action.REJECT, "bob", "code", AttemptId("code", 1, 1), "code/look", "no")
    said = refusal(replace(newer, replies=(Reply(7.0, no),)), asked)
    assert said.startswith(
        f"nothing recorded for code/1.1 (bob rejected code/1.1 (gate look) at {moment(7.0)}): code/1.2"
    )
    assert refusal(newer, replace(asked, subject="", gate="other")).startswith("name one: code/1.2")


def test_an_interrupted_run_is_resumed_before_it_is_answered() -> None:
    seen = with_attempts(RunPhase.INTERRUPTED, made(1, AttemptPhase.WORKING))
    assert refusal(seen, AnswerRequest(Action.RETRY, "ann", "code")) == f"stage code has not ended: {RESUME}"
    assert refusal(seen, AnswerRequest(Action.RETRY, "ann")) == f"name the stage to retry: code: {RESUME}"
    accept = AnswerRequest(Action.ACCEPT, "ann", "code", "code/1.1")
    assert refusal(seen, accept) == f"code/1.1 has no candidate yet: {RESUME}"
    running = with_attempts(RunPhase.RUNNING, made(1, AttemptPhase.WORKING))
    assert refusal(running, accept) == "code/1.1 has no candidate yet: it is working"


def test_an_attempt_without_a_candidate_says_why() -> None:
    lost, errored = made(1, AttemptPhase.LOST), made(2, AttemptPhase.ERRORED, why="no key\nmore")
    seen = with_attempts(RunPhase.RUNNING, lost, errored)
    accept = AnswerRequest(Action.ACCEPT, "ann", "code", "code/1.1")
    assert refusal(seen, accept) == "code/1.1 left no candidate: its process ended before it finished"
    assert refusal(seen, replace(accept, subject="code/1.2")) == "code/1.2 left no candidate: no key"


def test_the_only_attempt_that_can_be_accepted_is_named() -> None:
    one = made(2, AttemptPhase.REJECTED, commit="c")
    seen = with_attempts(RunPhase.WAITING, made(1, AttemptPhase.LOST), one)
    assert unnamed_attempt(seen) == "name the attempt to accept: did you mean `interlock accept r code/1.2`?"
    two = with_attempts(RunPhase.WAITING, one, made(3, AttemptPhase.REJECTED, commit="d"))
    assert unnamed_attempt(two) == (
        "name the attempt to accept, as STAGE/1.2: code/1.2, code/1.3: `interlock show r` lists them"
    )


def test_who_approved_before_and_when() -> None:
    told = AnswerTaken("a0", Action.APPROVE, "ann", "code", AttemptId("code", 1, 2), "code/merge")
    late = Reply(8.0, replace(told, by="bob"), refused="too late")
    seen = replace(view(RunPhase.ACCEPTED), replies=(Reply(7.0, told), late))
    by_ann = f"ann approved code/1.2 (gate merge) at {moment(7.0)}"
    approve = AnswerRequest(Action.APPROVE, "bob")
    assert refusal(seen, approve) == f"run r is accepted: {by_ann}"
    assert refusal(seen, replace(approve, stage="docs")) == "run r is accepted: it does not wait for an answer"
    going = replace(seen, phase=RunPhase.RUNNING)
    nothing = "nothing in run r waits for an approval any more"
    assert refusal(going, approve) == f"{nothing} ({by_ann}): it is running\nnext: interlock watch r"


def test_an_ended_run_tells_a_limit_that_is_none() -> None:
    seen = replace(view(RunPhase.ACCEPTED), progress=(("code", "accepted"),))
    over = "run r has ended: it is accepted: its limits cannot be raised"
    assert too_late(seen, "", (("code.attempts", 1.0),)) == over
    told = too_late(seen, "", (("foo", 1.0),))
    assert told.startswith(f"{over}; --raise foo: no such limit, there are attempts, ")
    assert told.endswith("code.cost_usd")
