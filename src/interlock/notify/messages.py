"""What is told: which facts of a run, and the JSON of one. Pure.

Rule: it says what a person does not know yet. Who cancels a run knows it, so that is not told.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from interlock.core.events import ApprovalAsked, Event, Paused, Recorded, RunFinished, RunStatus
from interlock.core.text import plain
from interlock.core.views import Standing, WaitView

VERSION = 1
_TEXT_MAX = 2000


@dataclass(frozen=True, slots=True)
class Message:
    """`delivery` is the same whenever it is told again: RUN/SEQ."""

    delivery: str
    event: str
    body: bytes


def kind_of(event: Event) -> str:
    """waiting, accepted or failed; empty for what nobody is told."""
    match event:
        case ApprovalAsked() | Paused():
            return "waiting"
        case RunFinished(status=RunStatus.ACCEPTED):
            return "accepted"
        case RunFinished(status=RunStatus.STOPPED):
            return "failed"
        case _:
            return ""


def message(repository: str, record: Recorded, standing: Standing) -> Message:
    """Of a record that `kind_of` names, and where its run is now."""
    delivery, kind = f"{standing.id}/{record.seq}", kind_of(record.event)
    waits = _waits_for(record.event, standing)
    told = {
        "version": VERSION,
        "delivery": delivery,
        "event": kind,
        "run": standing.id,
        "repository": repository,
        "pipeline": standing.pipeline,
        "phase": standing.phase,
        "seq": record.seq,
        "at": record.at,
        "waits": asdict(waits) if waits else None,
        "why": plain(standing.why, _TEXT_MAX) if kind == "failed" else "",
        "branch": standing.branch,
        "commit": standing.commit,
        "show": f"interlock show {standing.id}",
    }
    return Message(delivery, kind, json.dumps(told).encode())


def _waits_for(event: Event, standing: Standing) -> WaitView | None:
    """With the commands that answer it, none where somebody has done so meanwhile."""
    match event:
        case ApprovalAsked():
            wait = WaitView(event.subject.stage, str(event.subject), event.gate, "approval", event.question, ())
        case Paused():
            wait = WaitView(event.stage, "", "", event.reason, event.detail, ())
        case _:
            return None
    now = next((one for one in standing.waits if _is_same(one, wait)), wait)
    return replace(now, detail=plain(now.detail, _TEXT_MAX))


def _is_same(now: WaitView, then: WaitView) -> bool:
    same = (now.stage, now.gate, now.reason, now.detail) == (then.stage, then.gate, then.reason, then.detail)
    return same and then.subject in ("", now.subject)
