"""What a person says to a run, before it is a fact: it lies in an inbox until who drives the run takes it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from interlock.core.events import Action, AnswerTaken
from interlock.core.ids import AttemptId, parse_attempt


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's answer, as stored in the inbox. The action does not use fields that are empty."""

    id: str
    run: str
    action: Action
    by: str
    at: float
    stage: str = ""
    subject: str = ""  # STAGE/EPOCH.NUMBER
    gate: str = ""
    comment: str = ""
    commit: str = ""
    override: bool = False
    now: bool = False
    limits: tuple[tuple[str, float], ...] = ()
    branch: str = ""


def feedback_of(answer: Answer) -> bytes:
    """Its comment as the next attempt is told it, empty where there is none: to be kept among the blobs."""
    if not answer.comment:
        return b""
    return json.dumps({"by": answer.by, "comment": answer.comment}, sort_keys=True).encode()


def taken(answer: Answer, feedback: str) -> AnswerTaken:
    """The fact that it was taken; `feedback` is the digest of `feedback_of`, empty where that is."""
    return AnswerTaken(
        answer=answer.id,
        action=answer.action,
        by=answer.by,
        stage=answer.stage,
        subject=_attempt_or_none(answer.subject),
        gate=answer.gate,
        comment=answer.comment,
        feedback=feedback,
        commit=answer.commit,
        override=answer.override,
        now=answer.now,
        limits=answer.limits,
        branch=answer.branch,
    )


def _attempt_or_none(text: str) -> AttemptId | None:
    try:
        return parse_attempt(text)
    except ValueError:
        return None
