"""What travels between the workflow of a run, its workers and those who follow it. Pure.

Rule: events, records and effects travel as the text of `core/wire.py`; what is large lies among the blobs.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from interlock.core.admission import admit_report
from interlock.core.effects import Operation
from interlock.core.events import AnswerTaken, CandidateProduced, Event, InputPrepared, Recorded, Refused
from interlock.core.ids import AttemptId
from interlock.core.wire import decode_record, encode_event, encode_record, kind_of, told_event

EventRow = tuple[str, str]  # kind, body
PackRow = tuple[str, str]  # a commit, and the digest of a pack with all that the run's base has not

WAITS = "waits"  # the type of a failure that says for what an effect waits; its details are subject and gate
TAKEN_BY_ITS_MAKER = "taken-by-its-maker"  # the type of the failure of an effect that is for other workers
WORKFLOW, PERFORM, KEEP, ANSWER, HISTORY = "interlock-run", "perform", "keep", "answer", "history"

UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)  # what others wrote
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HISTORY_MAX = 1 << 28  # bytes: what some kilobytes grow to is bounded
_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)
PASSING, LASTING = "infrastructure", "permanent"  # types of errors: trying again may help, or cannot


@dataclass(frozen=True)
class Documents:
    """`execution.context.ContextReference` as it travels: what the run is made of, by digest."""

    run: str
    started: str
    pipeline: str
    started_at: float
    backoff_s: float
    sandbox: str


@dataclass(frozen=True)
class RunInput:
    """All that the workflow of a run begins with: the text of its pipeline, its first event and the pack of its base.
    `delivery` is the task queue of its repository. `records` is the history so far, packed, where a long run begins
    anew."""

    pipeline: str
    started: str
    documents: Documents
    base_pack: str
    delivery: str
    places: int = 4
    heartbeat_s: float = 10.0
    records: str = ""


@dataclass(frozen=True)
class EffectInput:
    """An effect, and where what else performing needs is. `claim` is the record of the attempt that was claimed.
    `packs` are of the commits that the effect names; the first is the base. The worker `not_by` may not perform it."""

    documents: Documents
    effect: str
    claim: str = ""
    packs: list[PackRow] = field(default_factory=list)
    not_by: str = ""


@dataclass(frozen=True)
class HistoryInput:
    """The history of a run so far, `packed`, for the blobs."""

    run: str
    records: str


def event_row(event: Event) -> EventRow:
    return kind_of(event), encode_event(event)


def reported(effect: Operation, rows: object) -> Event:
    """What became of the effect, as whoever performed it reports. Raises ValueError, TypeError, KeyError and what else
    reading raises where that is not one event of this effect."""
    if not isinstance(rows, list) or len(rows) != 1:
        raise ValueError("expected one event")
    event = told_event(*rows[0])
    if why := admit_report(effect, event):
        raise ValueError(why)
    _require_commit(event)
    return event


def answer_in(row: EventRow) -> AnswerTaken:
    """A person's answer. Raises as `reported` if it is none."""
    event = told_event(*row)
    if not isinstance(event, AnswerTaken):
        raise ValueError(f"no answer, but {row[0]}")
    if not _ID.fullmatch(event.answer):
        raise ValueError("its id is not one")
    _require_commit(event)
    return event


def _require_commit(event: Event) -> None:
    """Raises ValueError where what it made known is none: who follows the run would copy nothing more of it."""
    made = made_commit(event)
    if made is not None and not (COMMIT.fullmatch(made[0]) and _DIGEST.fullmatch(made[1])):
        raise ValueError(f"{made[0]!r:.80} with the pack {made[1]!r:.80} is no commit")


def packed(records: Iterable[Recorded]) -> str:
    """A history as text, compressed: about 400 characters for an attempt."""
    text = json.dumps([encode_record(record) for record in records])
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text: str) -> list[Recorded]:
    """The history again; none for an empty text. Raises ValueError and what else reading raises for what is none."""
    if not text:
        return []
    reader = zlib.decompressobj()
    rows = reader.decompress(base64.b64decode(text), _HISTORY_MAX)
    if reader.unconsumed_tail or not reader.eof:
        raise ValueError(f"it is no history of at most {_HISTORY_MAX:,} bytes")
    return [decode_record(row) for row in json.loads(rows)]


def made_commit(event: Event) -> PackRow | None:
    """The commit that an event made known, and the digest of its pack; None if it is no such event."""
    if isinstance(event, CandidateProduced | InputPrepared | AnswerTaken) and event.pack:
        return event.commit, event.pack
    return None


def made_by(event: Event) -> tuple[AttemptId, str] | None:
    """Whose candidate the event tells of, and which worker made it; None if it is no such event."""
    if isinstance(event, CandidateProduced) and event.worker:
        return event.attempt, event.worker
    return None


def answer_of(event: Event) -> str:
    """The answer that an event settles; empty if it settles none."""
    if isinstance(event, Refused) and event.what == "answer":
        return event.subject
    return event.answer if isinstance(event, AnswerTaken) else ""
