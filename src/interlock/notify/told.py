"""Who was told what of which run, as the journal remembers it.

Rule: due is every such fact since the run was first driven with this channel; told is what is remembered as told. A
crash between telling and remembering tells it once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from interlock.core.events import Recorded
from interlock.notify.messages import kind_of
from interlock.ports import Journal

FAILURES_MAX = 50  # of one delivery, that are remembered


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Something that a channel could not be told. `why` is empty where nobody has tried to the end yet."""

    channel: str
    event: str
    seq: int
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class NotificationLog:
    """Of one run and one channel."""

    journal: Journal
    run: str
    channel: str
    events: frozenset[str]

    def begin(self) -> None:
        """From here on facts are due, unless it was said before."""
        if self._since() is None:
            records = self.journal.records(self.run)
            self.journal.remember("notify.since", self._key(), str(records[-1].seq if records else 0))

    def due(self, after: int = 0) -> Iterator[Recorded]:
        """What is to be told and was not, beyond seq `after`, in order."""
        since = self._since()
        if since is None:
            return
        for record in self.journal.records(self.run, max(since, after)):
            if kind_of(record.event) in self.events and not self._recall("told", record.seq):
                yield record

    def is_told(self, seq: int, at: float) -> None:
        self.journal.remember("notify.told", self._key(seq), json.dumps({"at": at}))

    def failed(self, seq: int, at: float, why: str) -> None:
        """It was tried to the end."""
        number = len(list(self._failures(seq))) + 1
        if number <= FAILURES_MAX:
            told = json.dumps({"at": at, "why": why})
            self.journal.remember("notify.failed", f"{self._key(seq)}/{number}", told)

    def untold(self) -> Iterator[Undelivered]:
        """What is due, with what stood in the way last."""
        for record in self.due():
            why = ["", *self._failures(record.seq)][-1]
            yield Undelivered(self.channel, kind_of(record.event), record.seq, record.at, why)

    def _failures(self, seq: int) -> Iterator[str]:
        for number in range(1, FAILURES_MAX + 1):
            found = self._recall("failed", seq, f"/{number}")
            if found is None:
                return
            yield str(json.loads(found)["why"])

    def _since(self) -> int | None:
        found = self.journal.recall("notify.since", self._key())
        return int(found) if found else None

    def _recall(self, kind: str, seq: int, more: str = "") -> str | None:
        return self.journal.recall(f"notify.{kind}", f"{self._key(seq)}{more}")

    def _key(self, seq: int | None = None) -> str:
        return f"{self.run}/{self.channel}" if seq is None else f"{self.run}/{seq}/{self.channel}"
