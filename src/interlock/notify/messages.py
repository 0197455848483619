"""Messages: which events of a run are sent, and the JSON of one. Pure.

Rule: a message says what a person does not know yet. Whoever cancels a run knows it, so that is not sent.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import assert_never

from interlock.core.events import (
    AnswerTaken,
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Delivered,
    DeliveryBegun,
    EffectErrored,
    Event,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    Recorded,
    Refused,
    RunFinished,
    RunStarted,
    RunStatus,
    SentBack,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    WhenHeld,
)
from interlock.readmodel.run import RunSummary, WaitView
from interlock.text.cleaning import plain

VERSION = 1
_TEXT_MAX = 2000


@dataclass(frozen=True, slots=True)
class Message:
    """`delivery` is RUN/SEQ, the same each time it is sent."""

    delivery: str
    event: str
    body: bytes


def kind_of(event: Event) -> str:
    """waiting, accepted or failed; empty for an event that is not sent."""
    match event:
        case ApprovalAsked() | Paused():
            return "waiting"
        case RunFinished(status=RunStatus.ACCEPTED):
            return "accepted"
        case RunFinished(status=RunStatus.STOPPED):
            return "failed"
        case (
            RunStarted() | OwnerChanged() | InputPrepared() | StageSkipped() | WhenHeld() | AttemptStarted()
            | AttemptLost() | AttemptErrored() | CandidateProduced() | VerdictGiven() | HandoffAccepted()
            | CandidateRejected() | SentBack() | AnswerTaken() | Refused() | TimeReached() | EffectErrored()
            | DeliveryBegun() | Delivered() | RunFinished()
        ):  # fmt: skip
            return ""
        case _:
            assert_never(event)


def message(repository: str, record: Recorded, summary: RunSummary) -> Message:
    """Of a record for which `kind_of` has a name. `summary` is the state of its run now."""
    delivery, kind = f"{summary.id}/{record.seq}", kind_of(record.event)
    waits = _waits_for(record.event, summary)
    content = {
        "version": VERSION,
        "delivery": delivery,
        "event": kind,
        "run": summary.id,
        "repository": repository,
        "pipeline": summary.pipeline,
        "phase": summary.phase,
        "seq": record.seq,
        "at": record.at,
        "waits": asdict(waits) if waits else None,
        "why": plain(summary.why, _TEXT_MAX) if kind == "failed" else "",
        "branch": summary.branch,
        "commit": summary.commit,
        "show": f"interlock show {summary.id}",
    }
    return Message(delivery, kind, json.dumps(content).encode())


def _waits_for(event: Event, summary: RunSummary) -> WaitView | None:
    """With the commands that answer it; without commands if it was answered meanwhile."""
    if isinstance(event, ApprovalAsked):
        wait = WaitView(event.subject.stage, str(event.subject), event.gate, "approval", event.question, ())
    elif isinstance(event, Paused):
        wait = WaitView(event.stage, "", "", event.reason, event.detail, ())
    else:
        return None
    now = next((one for one in summary.waits if _is_same(one, wait)), wait)
    return replace(now, detail=plain(now.detail, _TEXT_MAX))


def _is_same(now: WaitView, then: WaitView) -> bool:
    same = (now.stage, now.gate, now.reason, now.detail) == (then.stage, then.gate, then.reason, then.detail)
    return same and then.subject in ("", now.subject)
