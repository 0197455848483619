"""What became of each answer of a person, in words. Pure, from the view of a run and its inbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from interlock.core.events import Action, AnswerTaken
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.readmodel.history import AttemptPhase, AttemptView, Reply, taken_before
from interlock.readmodel.run import OVER, RunPhase, RunView
from interlock.service.formats import duration
from interlock.text.cleaning import plain
from interlock.text.names import person

_DONE = {
    Action.APPROVE: "approved",
    Action.REJECT: "rejected",
    Action.RETRY: "asked to retry",
    Action.ACCEPT: "accepted",
    Action.CANCEL: "cancelled the run",
    Action.CONTINUE: "resumed the run",
    Action.RAISE: "raised a limit",
}
_GOES_ON = "recorded: the run continues"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`id` is that of the answer, `said` what the person did; `tone` is good, bad or wait."""

    id: str
    at: float
    by: str
    said: str
    comment: str
    result: str
    tone: str


def outcomes(view: RunView, inbox: Iterable[Answer]) -> Iterator[Outcome]:
    """Every answer, oldest first; those that no owner has read yet come last."""
    for reply in view.replies:
        answer = reply.answer
        subject = str(answer.subject) if answer.subject else answer.stage
        result, tone = _refused(view, reply) if reply.refused else (_taken(view, reply), "good")
        yield Outcome(answer.answer, reply.at, answer.by, _said(answer, subject), answer.comment, result, tone)
    known = {reply.answer.answer for reply in view.replies}
    for given in inbox:
        if given.id not in known:
            said = _said(given, given.subject or given.stage)
            yield Outcome(given.id, given.at, given.by, said, given.comment, _waiting(view), "wait")


def answered_by(view: RunView, subject: str, gate: str) -> Reply | None:
    """The answer to the question of a gate about an attempt that was taken."""
    taken = (reply for reply in view.replies if not reply.refused and gate)
    return next((one for one in taken if (str(one.answer.subject), one.answer.gate) == (subject, gate)), None)


def rejected_before(view: RunView, subject: str, gate: str) -> Reply | None:
    """The newest rejection of an earlier attempt at this gate."""
    taken = (reply for reply in reversed(view.replies) if not reply.refused and reply.answer.action is Action.REJECT)
    return next((one for one in taken if one.answer.gate == gate and str(one.answer.subject) != subject), None)


def did(action: Action, about: str = "it") -> str:
    """`approved it`, `cancelled the run`."""
    return f"{_DONE[action]}{f' {about}' if _has_object(action) else ''}"


def earlier(seconds: float) -> str:
    """`just before`, `3 s before`, `2 min 5 s before`."""
    if seconds < 1:
        return "just before"
    return f"{round(seconds)} s before" if seconds < 60 else f"{duration(seconds)} before"


def _has_object(action: Action) -> bool:
    return action in (Action.APPROVE, Action.REJECT, Action.RETRY, Action.ACCEPT)


def _said(answer: AnswerTaken | Answer, subject: str) -> str:
    words = did(answer.action, subject)
    if answer.gate:
        words += f" at gate {answer.gate.rpartition('/')[2]}"
    if answer.override:
        words += " although a hard gate did not pass"
    if answer.limits:
        words += ": " + ", ".join(f"{name} by {amount:g}" for name, amount in answer.limits)
    if answer.commit:
        words += f" with commit {answer.commit[:10]}"
    return words + (f", to deliver as {plain(answer.branch, 200)}" if answer.branch else "")


def _refused(view: RunView, reply: Reply) -> tuple[str, str]:
    first = taken_before(view.replies, reply)
    if first is None:
        return f"refused: {plain(reply.refused, 400)}", "bad"
    who = f"{person(first.answer.by)} {did(first.answer.action)}"
    return f"refused: {who} {earlier(reply.at - first.at)}", "bad"


def _waiting(view: RunView) -> str:
    if view.phase in OVER:
        return "not read: the run was over"
    if view.owner:
        return "waiting for the run to read it"
    return f"waiting for the run to read it; if nothing happens: interlock resume {view.id}"


def _taken(view: RunView, reply: Reply) -> str:
    answer = reply.answer
    attempt = _attempt(view, answer.subject)
    match answer.action:
        case Action.CANCEL:
            return "the run is cancelled" if view.phase is RunPhase.CANCELLED else "recorded: the run ends"
        case Action.APPROVE | Action.ACCEPT if attempt is not None and attempt.phase is AttemptPhase.ACCEPTED:
            return f"accepted as {attempt.commit[:7]}"
        case Action.REJECT if attempt is not None and attempt.phase is AttemptPhase.REJECTED:
            return f"rejected, sent back to {attempt.sent_back_to}" if attempt.sent_back_to else "rejected"
        case Action.RETRY:
            after = (one for one in view.stage(answer.stage).attempts if one.started_at >= reply.at)
            first = next(after, None)
            return f"retried as {first.id}" if first else _GOES_ON
        case _:
            return _GOES_ON


def _attempt(view: RunView, subject: AttemptId | None) -> AttemptView | None:
    try:
        return view.attempt(subject) if subject is not None else None
    except KeyError:
        return None
