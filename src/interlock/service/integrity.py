"""Runs and evidence that are lost, damaged or of another version. Rule: one such run never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
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
    SentBack,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    WhenHeld,
)
from interlock.ports import Blobs, Damaged, InfrastructureError

EVIDENCE_CHECKED_MAX = 2_000


@contextmanager
def naming_run(run: str) -> Iterator[None]:
    """Around what reads the history of `run`. Errors name the run: InfrastructureError, or Damaged if the history does
    not fit together."""
    try:
        yield
    except InfrastructureError as error:
        kind = Damaged if isinstance(error, Damaged) else InfrastructureError
        raise kind(f"run {run} cannot be read: {error}", permanent=error.permanent) from error
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise Damaged(f"run {run} cannot be read: its history is inconsistent ({what})") from error


def lost_run() -> Damaged:
    """The error for a run that was recorded and that the journal does not know."""
    return Damaged(
        "the journal does not contain it, although it was recorded: journal.db or its -wal was removed or"
        " replaced by an older copy: put the newest one back"
    )


def lost_journal(folder: Path) -> str:
    """What is wrong if the journal knows no run, although the folder was recorded, which the first run does."""
    return (
        f"the journal {folder / 'journal.db'} contains no runs, although some were recorded: it was removed or"
        f" replaced by an empty one: put the newest one back, with its -wal, or move the folder {folder} away to start"
        " with an empty journal"
    )


@dataclass(frozen=True, slots=True)
class EvidenceCheck:
    """The number of files that were checked, and those of them that are gone or cut short."""

    checked: int
    missing: tuple[tuple[str, str], ...]  # run, digest


def check_evidence(records_of: Callable[[str], Sequence[Recorded]], blobs: Blobs, runs: Iterable[str]) -> EvidenceCheck:
    """Whether the evidence that the newest events name is there: at most EVIDENCE_CHECKED_MAX files of readable `runs`,
    newest first. Files are not read: their digest is checked whenever they are."""
    seen: set[str] = set()
    missing = []
    for run, digest, size in _named(records_of, runs):
        if digest in seen:
            continue
        if len(seen) == EVIDENCE_CHECKED_MAX:
            break
        seen.add(digest)
        if not _exists(blobs, digest, size):
            missing.append((run, digest))
    return EvidenceCheck(len(seen), tuple(missing))


def _named(
    records_of: Callable[[str], Sequence[Recorded]], runs: Iterable[str]
) -> Iterator[tuple[str, str, int | None]]:
    for run in runs:
        for recorded in reversed(records_of(run)):
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


def _exists(blobs: Blobs, digest: str, size: int | None) -> bool:
    found = blobs.size(digest)
    return found is not None and size in (None, found)
