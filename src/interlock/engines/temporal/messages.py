"""What travels between the workflow, its workers and those who look. Pure.

Rule: events and effects travel as the text of `core/wire.py`; what is large lies in blobs, and its digest travels.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from interlock.core.events import CandidateProduced, Event, InputPrepared, Recorded
from interlock.core.wire import decode_event, encode_event, kind_of

EventRow = tuple[str, str]  # kind, body
RecordRow = tuple[int, float, str, str]  # seq, at, kind, body
PackRow = tuple[str, str]  # a commit, and the digest of a pack with all that the run's base has not

WORKFLOW, PERFORM, ANSWER, HISTORY = "interlock-run", "perform", "answer", "history"


@dataclass(frozen=True)
class RunInput:
    """All that the workflow of a run begins with: the text of its pipeline, its first event and the pack of its base.
    `documents` are the digests of the first two, `delivery` is the task queue of its repository. `records` is the
    history so far, packed, where a long run begins anew."""

    run: str
    pipeline: str
    started: str
    documents: tuple[str, str]
    at: float
    base_pack: str
    delivery: str
    places: int = 4
    heartbeat_s: float = 10.0
    records: str = ""


@dataclass(frozen=True)
class EffectInput:
    """An effect, and the digests of what else performing needs. `claim` is the record of the attempt that was claimed.
    `packs` are of the commits that the effect names; the first is the base."""

    run: str
    documents: tuple[str, str]
    started_at: float
    effect: str
    claim: RecordRow | None = None
    packs: list[PackRow] = field(default_factory=list)


def event_row(event: Event) -> EventRow:
    return kind_of(event), encode_event(event)


def record_row(record: Recorded) -> RecordRow:
    return (record.seq, record.at, *event_row(record.event))


def record_of(row: Sequence[object]) -> Recorded:
    """Raises ValueError and the like for a row that a newer version wrote."""
    seq, at, kind, body = row
    return Recorded(int(str(seq)), float(str(at)), decode_event(str(kind), str(body)))


def packed(records: Iterable[Recorded]) -> str:
    text = json.dumps([record_row(record) for record in records], separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text: str) -> list[Recorded]:
    if not text:
        return []
    return [record_of(row) for row in json.loads(zlib.decompress(base64.b64decode(text)))]


def made_commit(event: Event) -> tuple[str, str] | None:
    """The commit that an event made known, and the digest of its pack; None if it is no such event."""
    if isinstance(event, CandidateProduced | InputPrepared) and event.pack:
        return event.commit, event.pack
    return None
