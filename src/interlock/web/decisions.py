"""The questions of a run that wait for a person, and the answers of the page's forms.

Rule: an answer is to the question that the person saw. A form carries the mark of its question; if that is not the
question any more, nothing is recorded, and the person is told who was first.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from interlock.core.events import Action
from interlock.core.inbox import Answer
from interlock.ports import UsageError
from interlock.readmodel.run import OVER, RunView, WaitView
from interlock.service import AnswerRequest, Service
from interlock.service.answers import NOT_SEEN, resume_answers
from interlock.text.cleaning import plain
from interlock.text.names import person
from interlock.web.outcomes import answered_by, did, earlier

TAKES = {"approve": "subject", "accept": "accept"}  # answers that take a change, and the field that names its attempt
_COMMENT_MAX = 10_000
_NEEDED = {
    "reject": "Say what is wrong: the next attempt is told your comment.",
    "accept": "Say why you accept it: your comment stays with the run.",
}


class Stale(UsageError):
    """The question is not the one that the person saw."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that waits. `verbs` are the commands that answer it, `accept` the attempt that can be accepted, `limit`
    what can be raised; `given` is an answer that no owner has read yet."""

    wait: WaitView
    mark: str
    verbs: frozenset[str]
    accept: str = ""
    override: bool = False
    limit: str = ""
    given: Answer | None = None

    @property
    def title(self) -> str:
        detail = plain(self.wait.detail, 600)
        if self.limit:
            return f"A limit is reached: {detail}"
        if self.wait.subject and detail.startswith(self.wait.subject):
            return detail  # a name keeps its letters
        return f"{detail[:1].upper()}{detail[1:]}" or "Do you approve it?"


def questions(view: RunView, inbox: Sequence[Answer]) -> list[Question]:
    """What waits for a person in the run."""
    return [_question(view, wait, inbox) for wait in view.waits]


def put(  # noqa: PLR0913 - who says what of which run, and when
    service: Service, view: RunView, given: Mapping[str, str], by: str, now: float, unseen: str = ""
) -> str:
    """Put the answers of a form into the inbox; returns the id of the first, empty if there is none. A form that was
    sent twice is one answer. `unseen` is what the page could not show of the change: who takes it says that they know.
    Raises UsageError, or Stale."""
    inbox = service.engine.untaken(view.id)
    if unseen and given.get("action") in TAKES:
        if given.get("unseen") != "yes":
            _check_mark(view, given, inbox, now)
            raise UsageError(f"The page does not show the whole change: {plain(unseen, 300)}. Tick that you know it.")
        given = {**given, "comment": f"{given.get('comment', '').rstrip()}\n{NOT_SEEN}".lstrip()}
    requests = list(_requests(view, given, by))
    if requests and (twin := _twin(inbox, requests[0])):
        return twin.id
    _check_mark(view, given, inbox, now)
    made = [service.answer(service.describe_run(view.id), request) for request in requests]
    return made[0].id if made else ""


def _question(view: RunView, wait: WaitView, inbox: Sequence[Answer]) -> Question:
    commands = [shlex.split(line) for line in wait.commands]
    accept = next((words for words in commands if words[1] == "accept"), None)
    return Question(
        wait=wait,
        mark=_mark(view, wait),
        verbs=frozenset(words[1] for words in commands),
        accept=accept[3] if accept else "",
        override=accept is not None and "--override" in accept,
        limit=wait.detail.split(":", 1)[0] if wait.reason == "limit" else "",
        given=next((one for one in inbox if _is_about(one, wait)), None),
    )


def _mark(view: RunView, wait: WaitView) -> str:
    """Of the run, the attempt, its commit, and what is asked: another question has another mark."""
    commits = [one.commit for stage in view.stages for one in stage.attempts if str(one.id) == wait.subject]
    parts = (view.id, wait.stage, wait.subject, *commits, wait.gate, wait.reason, wait.detail)
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _is_about(answer: Answer, wait: WaitView) -> bool:
    if answer.action in (Action.APPROVE, Action.REJECT):
        return (answer.subject, answer.gate) == (wait.subject, wait.gate)
    if answer.action in (Action.RETRY, Action.ACCEPT):
        return answer.stage == wait.stage
    return answer.action is Action.CANCEL or wait.reason != "approval"


def _twin(inbox: Sequence[Answer], request: AnswerRequest) -> Answer | None:
    """The same answer of the same person, not read yet."""
    wanted = (request.action, request.by, request.stage, request.subject, request.gate, request.comment, request.limits)
    same = (one for one in inbox if one.action is request.action)
    for one in same:
        subject = one.subject if request.subject else ""
        stage = one.stage if request.stage else ""
        if (one.action, one.by, stage, subject, one.gate, one.comment, one.limits) == wanted:
            return one
    return None


def _check_mark(view: RunView, given: Mapping[str, str], inbox: Sequence[Answer], now: float) -> None:
    """Raises Stale. A cancel is about the run, whatever it asks; so is a resume of a run that nobody drives."""
    action, mark = given.get("action", ""), given.get("mark", "")
    if action == "cancel" or (action == "continue" and not view.waits):
        return
    question = next((one for one in questions(view, inbox) if one.mark == mark), None)
    if question is None:
        raise Stale(f"Not recorded: {_what_happened(view, given, now)}.")
    if not _is_of(question, given):
        raise Stale("Not recorded: the form is not the one of this question.")
    if question.given is not None and question.given.action in (Action.APPROVE, Action.REJECT):
        first = question.given
        who = f"{person(first.by)} {did(first.action)} {earlier(now - first.at)}"
        raise Stale(f"Not recorded: {who}, and the run has not read that answer yet.")


def _is_of(question: Question, given: Mapping[str, str]) -> bool:
    """Whether the form names what its mark stands for."""
    wait = question.wait
    same = all(given.get(name, "") == getattr(wait, name) for name in ("stage", "subject", "gate"))
    return same and (given.get("action") != "accept" or given.get("accept") == question.accept)


def _what_happened(view: RunView, given: Mapping[str, str], now: float) -> str:
    first = answered_by(view, given.get("subject", ""), given.get("gate", ""))
    if first is not None:
        return f"{person(first.answer.by)} {did(first.answer.action)} {earlier(now - first.at)}"
    if view.phase in OVER:
        return f"the run was {view.phase} {earlier(now - view.at)}"
    return "the question changed after this page was loaded"


# --- the fields of a form ---------------------------------------------------------------------------


def _requests(view: RunView, given: Mapping[str, str], by: str) -> Iterator[AnswerRequest]:
    """The answers of the form. Raises UsageError if it has none."""
    stage, subject = given.get("stage", ""), given.get("subject", "")
    comment, gate = plain(given.get("comment", ""), _COMMENT_MAX), given.get("gate", "")
    action = given.get("action", "")
    if action in _NEEDED and not comment.strip():
        raise UsageError(_NEEDED[action])
    match action:
        case "approve":
            yield AnswerRequest(Action.APPROVE, by, stage, subject, gate, comment)
        case "reject":
            yield AnswerRequest(Action.REJECT, by, stage, subject, gate, comment)
        case "retry":
            yield AnswerRequest(Action.RETRY, by, stage, "", "", comment)
        case "accept":
            override = given.get("override") == "yes"
            yield AnswerRequest(Action.ACCEPT, by, stage, given.get("accept", ""), "", comment, override=override)
        case "cancel":
            yield AnswerRequest(Action.CANCEL, by, comment=comment)
        case "continue":
            yield from (replace(one, comment=comment) for one in resume_answers(view, (), by))
        case "raise":
            more = ((given.get("limit", ""), _amount(given.get("amount", ""))),)
            yield from (replace(one, comment=comment) for one in resume_answers(view, more, by))
        case other:
            raise UsageError(f"{plain(other, 40) or 'nothing'} is not an answer")


def _amount(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"Say how much more: {plain(text, 40) or 'nothing'} is not a number.") from None
