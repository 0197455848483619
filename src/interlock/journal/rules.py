"""What every journal holds to, whatever it is kept in."""

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


def check_place(run: str, fences: tuple[int, int], seqs: tuple[int, int]) -> None:
    """Whether an event may be appended; each pair is what the writer believes and what is so. Raises Fenced."""
    fence, newest_fence = fences
    if fence != newest_fence:
        raise Fenced(f"another process has taken run {run}: this one stops here")
    after, newest = seqs
    if after != newest:
        raise Fenced(f"the history of run {run} has {newest} events where {after} were expected: read it again")


def settles(event: Event) -> str:
    """The id of the answer that the event puts out of the inbox, taken or refused; empty where there is none."""
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
    return UsageError(f"there is no run {run} in this journal: `interlock list` shows the runs there are")


def missing(digest: str, place: object) -> InfrastructureError:
    """Evidence that the history names is gone from `place`."""
    return InfrastructureError(
        f"the evidence {digest} is missing in {place}: put a copy back, or start a new run", permanent=True
    )
