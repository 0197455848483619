"""The evidence that an event names. What it names must be there, and whole."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.core.events import AnswerTaken, CandidateRejected, Event, Evidence, HandoffAccepted, SentBack


def digests_of(event: Event) -> Iterator[str]:
    for item in getattr(event, "evidence", ()):
        if isinstance(item, Evidence):
            yield item.digest
    match event:
        case CandidateRejected() | AnswerTaken() | SentBack():
            named = event.feedback
        case HandoffAccepted():
            named = event.record
        case _:
            named = ""
    if named:
        yield named
