"""Rules that every journal follows, on disk or in memory, and all blobs."""

from __future__ import annotations

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
from interlock.ports import Fenced, InfrastructureError, UsageError

CONTENT_MAX = 4 << 30  # bytes of a blob that is read at once
FILE_MAX = 32 << 30  # of one that is read as a file
ENTRY_MAX = 1 << 20  # of an entry with a name


def check_append(run: str, fences: tuple[int, int], seqs: tuple[int, int]) -> None:
    """Check that an event may be appended. Each pair is the writer's value and the journal's. Raises Fenced."""
    fence, newest_fence = fences
    if fence != newest_fence:
        raise Fenced(f"another process has taken over run {run}: this process stops")
    after, newest = seqs
    if after != newest:
        raise Fenced(f"the history of run {run} has {newest} events where {after} were expected: read it again")


def settles(event: Event) -> str:
    """The id of the answer that the event removes from the inbox, taken or refused; empty if there is none."""
    match event:
        case AnswerTaken():
            return event.answer
        case Refused():
            return event.subject
        case (
            RunStarted() | OwnerChanged() | InputPrepared() | StageSkipped() | WhenHeld() | AttemptStarted()
            | AttemptLost() | AttemptErrored() | CandidateProduced() | VerdictGiven() | ApprovalAsked()
            | HandoffAccepted() | CandidateRejected() | SentBack() | Paused() | TimeReached() | EffectErrored()
            | DeliveryBegun() | Delivered() | RunFinished()
        ):  # fmt: skip
            return ""
        case _:
            assert_never(event)


def no_such_run(run: str) -> UsageError:
    return UsageError(f"there is no run {run} in this journal: `interlock list` shows all runs")


def missing(digest: str, where: object, *, shared: bool = False) -> InfrastructureError:
    """Evidence that the history names is missing, in the blobs of this machine or in those that machines share."""
    there = f"{where} (temporal.blobs)" if shared else where
    return InfrastructureError(
        f"the evidence {digest} is missing in {there}: restore it from a backup, or start a new run", permanent=True
    )


def require_small(where: object, size: int, most: int) -> None:
    """Others may write where machines share blobs. `size` and `most` are bytes. Raises InfrastructureError."""
    if size > most:
        raise InfrastructureError(
            f"{where} has {size:,} bytes, more than the {most:,} that are read: restore it from a backup",
            permanent=True,
        )
