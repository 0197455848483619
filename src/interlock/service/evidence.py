"""Whether the evidence that the newest events name is there. It is looked at, and not read: its digest is checked
whenever it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
    Refused,
    RunFinished,
    RunStarted,
    SentBack,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    WhenHeld,
)
from interlock.ports import Blobs, Journal

LOOKED_MAX = 2_000


@dataclass(frozen=True, slots=True)
class EvidenceCheck:
    """`looked` files, of which these are gone or cut short, each with its run."""

    looked: int
    missing: tuple[tuple[str, str], ...]  # run, digest


def look(journal: Journal, blobs: Blobs, runs: Iterable[str]) -> EvidenceCheck:
    """Of `runs`, newest first, that can be read; the newest LOOKED_MAX digests."""
    seen: set[str] = set()
    missing = []
    for run, digest, size in _named(journal, runs):
        if digest in seen:
            continue
        if len(seen) == LOOKED_MAX:
            break
        seen.add(digest)
        if not _is_there(blobs, digest, size):
            missing.append((run, digest))
    return EvidenceCheck(len(seen), tuple(missing))


def _named(journal: Journal, runs: Iterable[str]) -> Iterator[tuple[str, str, int | None]]:
    for run in runs:
        for recorded in reversed(journal.records(run)):
            yield from ((run, digest, size) for digest, size in _digests(recorded.event) if digest)


def _digests(event: Event) -> Iterator[tuple[str, int | None]]:
    match event:
        case AttemptErrored() | CandidateProduced() | VerdictGiven():
            yield from ((item.digest, item.size) for item in event.evidence)
        case CandidateRejected() | SentBack() | AnswerTaken():
            yield event.feedback, None
        case HandoffAccepted():
            yield event.record, None
        case (
            RunStarted() | OwnerChanged() | InputPrepared() | StageSkipped() | WhenHeld() | AttemptStarted()
            | AttemptLost() | ApprovalAsked() | Paused() | Refused() | TimeReached() | EffectErrored()
            | DeliveryBegun() | Delivered() | RunFinished()
        ):  # fmt: skip
            pass
        case _:
            assert_never(event)


def _is_there(blobs: Blobs, digest: str, size: int | None) -> bool:
    try:
        found = blobs.path(digest).stat().st_size
    except (KeyError, OSError):
        return False
    return size is None or found == size
