"""Questions of a run, and the answers of forms: to what was seen, and once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from tests.unit.core.histories import ASKED, ONE, PAUSED, PIPELINE, REJECTED
from tests.unit.readmodel.test_history import seen

from interlock.core.events import Action, AnswerTaken, Event, HandoffAccepted, Paused, PauseReason
from interlock.core.inbox import Answer
from interlock.ports import UsageError
from interlock.readmodel.run import RunView, describe
from interlock.service import AnswerRequest
from interlock.service.answers import to_answer
from interlock.web.decisions import Question, Stale, put, questions

COMMENT = {"comment": "because"}


@dataclass
class Desk:
    """A service with one run and an inbox."""

    view: RunView
    inbox: list[Answer] = field(default_factory=list)

    @property
    def engine(self) -> Desk:
        return self

    def untaken(self, run: str) -> list[Answer]:
        return list(self.inbox)

    def describe_run(self, run: str) -> RunView:
        return self.view

    def answer(self, view: RunView, request: AnswerRequest) -> Answer:
        made = to_answer(view, request, lambda: f"a{len(self.inbox) + 1}", 10.0)
        self.inbox.append(made)
        return made

    def put(self, given: Mapping[str, str], by: str = "ann", unseen: str = "") -> str:
        return put(self, self.view, given, by, 13.0, unseen)  # type: ignore[arg-type]


def desk(*events: Event) -> Desk:
    return Desk(describe(PIPELINE, seen(*events), ""))


def form(one: Desk, action: str, **fields: str) -> dict[str, str]:
    (question,) = questions(one.view, one.inbox)
    wait = question.wait
    about = {"stage": wait.stage, "subject": wait.subject, "gate": wait.gate, "accept": question.accept}
    return {"mark": question.mark, "action": action, **about, **COMMENT, **fields}


def paused(reason: PauseReason, detail: str) -> Question:
    (question,) = questions(desk(*REJECTED, Paused("code", reason, detail)).view, ())
    return question


def test_an_answer_is_put_once_however_often_its_form_is_sent() -> None:
    asked = desk(*ASKED)
    sent = form(asked, "approve")
    assert asked.put(sent) == asked.put(sent) == "a1"
    (answer,) = asked.inbox
    assert (answer.action, answer.subject, answer.gate, answer.comment, answer.by) == (
        Action.APPROVE, "code/1.1", "code/look", "because", "ann",
    )  # fmt: skip


def test_an_approval_of_what_the_page_cannot_show_says_so() -> None:
    asked = desk(*ASKED)
    with pytest.raises(UsageError, match=r"the whole change: 3 lines left out\. Tick") as refused:
        asked.put(form(asked, "approve"), unseen="3 lines left out")
    assert not isinstance(refused.value, Stale)
    with pytest.raises(Stale):
        asked.put({**form(asked, "approve"), "mark": "of another question"}, unseen="3 lines left out")
    asked.put(form(asked, "approve", unseen="yes"), unseen="3 lines left out")
    asked.put(form(asked, "approve", unseen="yes"), unseen="3 lines left out")
    assert [answer.comment for answer in asked.inbox] == ["because\nI have not seen the whole change."]
    other = desk(*ASKED)
    other.put(form(other, "reject"), unseen="3 lines left out")
    assert [answer.comment for answer in other.inbox] == ["because"]


def test_who_accepts_what_the_page_cannot_show_says_so_too() -> None:
    one = desk(*PAUSED)
    taken = form(one, "accept", override="yes")
    with pytest.raises(UsageError, match="the whole change"):
        one.put(taken, unseen="3 lines left out")
    one.put({**taken, "unseen": "yes"}, unseen="3 lines left out")
    assert [answer.comment for answer in one.inbox] == ["because\nI have not seen the whole change."]


def test_the_second_person_is_told_who_was_first() -> None:
    asked = desk(*ASKED)
    asked.put(form(asked, "approve"))
    sent = form(desk(*ASKED), "reject")
    with pytest.raises(Stale, match=r"^Not recorded: ann approved it 3 s before, and the run has not read that"):
        asked.put(sent, "bob")
    taken = AnswerTaken("a1", Action.APPROVE, "ann", "code", ONE, "code/look")
    later = desk(*ASKED, taken, HandoffAccepted(ONE, "c1", "t1", "record"))
    with pytest.raises(Stale, match=r"^Not recorded: ann approved it 4 s before\.$"):
        later.put(sent, "bob")
    assert len(asked.inbox) == 1
    assert later.inbox == []


def test_a_question_that_changed_is_not_answered() -> None:
    sent = form(desk(*ASKED), "approve")
    other = desk(*PAUSED)
    with pytest.raises(Stale, match="the question changed after this page was loaded"):
        other.put(sent)
    with pytest.raises(Stale):
        other.put({**form(other, "retry"), "mark": ""})
    assert other.inbox == []


def test_the_mark_is_of_the_attempt_its_commit_and_what_is_asked() -> None:
    marks = {
        questions(desk(*ASKED).view, ())[0].mark,
        paused(PauseReason.NO_PROGRESS, "why").mark,
        paused(PauseReason.NO_PROGRESS, "why else").mark,
        paused(PauseReason.ATTEMPTS, "why").mark,
    }
    assert len(marks) == 4
    assert questions(desk(*ASKED).view, ())[0].mark in marks


def test_a_cancel_is_about_the_run_whatever_it_asks() -> None:
    asked = desk(*ASKED)
    assert asked.put({"action": "cancel", "mark": "of another question"}) == "a1"
    assert asked.inbox[0].action is Action.CANCEL


@pytest.mark.parametrize("action", ["reject", "accept"])
def test_an_answer_that_needs_words_is_refused_without_any(action: str) -> None:
    asked = desk(*ASKED)
    with pytest.raises(UsageError, match=r"^Say w"):
        asked.put(form(asked, action, comment=" \n"))
    assert asked.inbox == []


def test_a_hard_gate_is_overruled_only_by_the_button_that_says_so() -> None:
    one = desk(*PAUSED)
    question = questions(one.view, ())[0]
    assert (question.accept, question.override, question.limit) == ("code/1.1", True, "")
    assert question.verbs == {"retry", "accept", "cancel"}
    with pytest.raises(UsageError, match="a hard gate rejected"):
        one.put(form(one, "accept"))
    one.put(form(one, "accept", override="yes"))
    assert (one.inbox[0].action, one.inbox[0].override) == (Action.ACCEPT, True)


def test_a_limit_is_raised_by_a_number() -> None:
    limited = desk(*REJECTED, Paused("code", PauseReason.LIMIT, "attempts: 1 of 1 used"))
    question = questions(limited.view, ())[0]
    assert (question.limit, question.title) == ("attempts", "A limit is reached: attempts: 1 of 1 used")
    with pytest.raises(UsageError, match="Say how much more: nothing is not a number"):
        limited.put(form(limited, "raise", limit="attempts"))
    for amount in ("nan", "inf", "1e999", "-1", "0"):
        with pytest.raises(UsageError, match="expected a positive number"):
            limited.put(form(limited, "raise", limit="attempts", amount=amount))
    limited.put(form(limited, "raise", limit="attempts", amount="3"))
    assert [one.action for one in limited.inbox] == [Action.RAISE, Action.CONTINUE]
    assert limited.inbox[0].limits == (("attempts", 3.0),)
    assert {one.comment for one in limited.inbox} == {"because"}


def test_a_question_that_has_an_answer_says_so() -> None:
    asked = desk(*ASKED)
    asked.put(form(asked, "approve"))
    (question,) = questions(asked.view, asked.inbox)
    assert question.given == asked.inbox[0]
    assert questions(asked.view, ())[0].given is None


def test_an_unknown_answer_is_none() -> None:
    with pytest.raises(UsageError, match="destroy is not an answer"):
        desk(*ASKED).put({"action": "destroy"})


@pytest.mark.parametrize(
    ("action", "other"),
    [("approve", {"subject": "code/1.2"}), ("approve", {"gate": "code/other"}), ("retry", {"stage": "plan"})],
)
def test_a_form_is_about_the_question_of_its_mark(action: str, other: dict[str, str]) -> None:
    one = desk(*ASKED)
    with pytest.raises(Stale, match="not the one of this question"):
        one.put(form(one, action, **other))
    assert one.inbox == []
