"""The threads that tell: one for each channel of a run that is driven.

Rule: they look into the journal for what is due, at the beginning and whenever something happened. Whoever drives the
run waits for them at its end only, and then `CLOSE_S` at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from interlock.core.events import Recorded
from interlock.core.views import RunSummary
from interlock.notify.channels import Channel, Refusal
from interlock.notify.messages import kind_of, message
from interlock.notify.told import NotificationLog, Undelivered
from interlock.ports import Clock, InterlockError, Journal, started

CLOSE_S = 5.0
_ENDS_S = 1.0  # of it: what is under way is ended, and its failure remembered
_WAIT_MAX_S = 60.0


@dataclass(frozen=True, slots=True)
class Notices:
    """Who is told of the runs of one repository. `locate` says where a run is now; `backoff_s` doubles with each of
    at most `attempts` tries."""

    channels: tuple[Channel, ...]
    events: frozenset[str]
    attempts: int
    backoff_s: float
    repository: str
    journal: Journal
    clock: Clock
    locate: Callable[[str], RunSummary]

    def attend(self, run: str) -> NotifyObserver:
        """Tell what is due of the run from now on, until it is closed. Raises InfrastructureError (journal)."""
        tellers = tuple(_Teller(self, channel, self._told(run, channel)) for channel in self.channels)
        for teller in tellers:
            teller.told.begin()
        at_work = tuple(teller for teller in tellers if started(teller.thread))  # of the others it stays due
        return NotifyObserver(at_work, self.events)

    def untold(self, run: str) -> tuple[Undelivered, ...]:
        """What is due and was not told. A channel is named as people see it."""
        return tuple(
            replace(item, channel=channel.shown)
            for channel in self.channels
            for item in self._told(run, channel).untold()
        )

    def _told(self, run: str, channel: Channel) -> NotificationLog:
        return NotificationLog(self.journal, run, channel.name, self.events)


@dataclass(frozen=True, slots=True)
class NotifyObserver:
    """The tellers of one run. `hear` never waits."""

    tellers: tuple[_Teller, ...]
    events: frozenset[str]

    def hear(self, record: Recorded) -> None:
        if kind_of(record.event) in self.events:
            for teller in self.tellers:
                teller.wake.set()

    def close(self) -> None:
        """What is due is still told for a moment; then it stays due."""
        until = time.monotonic() + CLOSE_S - _ENDS_S
        for teller in self.tellers:
            teller.closing.set()
            teller.wake.set()
        for teller in self.tellers:
            teller.thread.join(max(0.0, until - time.monotonic()))
        for teller in self.tellers:
            teller.end.set()
        for teller in self.tellers:
            teller.thread.join(max(0.0, until + _ENDS_S - time.monotonic()))
            teller.leave()


class _Teller:
    """Tells one channel, in the order of the history."""

    def __init__(self, notices: Notices, channel: Channel, told: NotificationLog) -> None:
        self.told = told
        self.thread = threading.Thread(target=self._work, name=f"notify {channel.name}", daemon=True)
        self.wake, self.closing, self.end = threading.Event(), threading.Event(), threading.Event()
        self._notices, self._channel = notices, channel
        self._seen = 0  # up to here everything was told, or tried to the end
        self._writing = threading.Lock()
        self._left = False

    def leave(self) -> None:
        """From here on nothing is remembered: the journal may be closed."""
        with self._writing:
            self._left = True

    def _work(self) -> None:
        last = False
        while not last:
            last = self.closing.is_set()  # before the look, so that it sees all that happened until then
            try:
                self._look()
            except InterlockError:  # no journal: it stays due
                return
            if not last:
                self.wake.wait()
                self.wake.clear()

    def _look(self) -> None:
        for record in self.told.due(self._seen):
            why = self._tell(record)
            now = self._notices.clock.now()
            with self._writing:
                if self._left:
                    return
                if why:
                    self.told.failed(record.seq, now, why)
                else:
                    self.told.is_told(record.seq, now)
            self._seen = record.seq

    def _tell(self, record: Recorded) -> str:
        """Why it could not be told, empty where it was."""
        why = ""
        for number in range(self._notices.attempts):
            try:
                said = message(self._notices.repository, record, self._notices.locate(self.told.run))
                self._channel.tell(said, self.end)
            except Refusal as refusal:
                why = str(refusal)
                pause_s = max(refusal.wait_s, self._notices.backoff_s * 2**number)
                is_last = refusal.lasting or number + 1 == self._notices.attempts
                if is_last or self.end.wait(min(_WAIT_MAX_S, pause_s)):
                    return why
            else:
                return ""
        return why
