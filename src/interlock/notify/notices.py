"""Sending notifications: a thread for each channel of a run that is driven, and what is noted of them.

Rule: every event since the run was first driven with a channel is due; delivered is what is noted as such.
A crash between sending and noting sends it once more. The threads read in the journal what is due, at the start
and whenever something happened. The owner of the run waits for them at its end only, and then `CLOSE_S` at most.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from interlock.core.events import Recorded
from interlock.notify.channels import Channel, Refusal, kind_of, message
from interlock.ports import Clock, InterlockError, Notes, started
from interlock.readmodel.run import RunSummary

CLOSE_S = 5.0
_ENDS_S = 1.0  # of CLOSE_S: to end what is being sent and to note that it failed
_WAIT_MAX_S = 60.0
Records = Callable[[str, int], Sequence[Recorded]]  # the events of a run after a seq


@dataclass(frozen=True, slots=True)
class Notices:
    """The channels of one repository's runs. `locate` gives the state of a run now; `backoff_s` doubles with each
    of at most `attempts` tries."""

    channels: tuple[Channel, ...]
    events: frozenset[str]
    attempts: int
    backoff_s: float
    repository: str
    records: Records
    notes: Notes
    clock: Clock
    locate: Callable[[str], RunSummary]

    def attend(self, run: str) -> NotifyObserver:
        """Send what is due of the run, from now until it is closed. Raises InfrastructureError (journal)."""
        senders = tuple(_Sender(self, channel, self._log(run, channel)) for channel in self.channels)
        for sender in senders:
            sender.log.begin()
        at_work = tuple(sender for sender in senders if started(sender.thread))  # for the others it stays due
        return NotifyObserver(at_work, self.events)

    def undelivered(self, run: str) -> tuple[Undelivered, ...]:
        """What is due and was not delivered. A channel has the name that people see."""
        return tuple(
            replace(item, channel=channel.shown)
            for channel in self.channels
            for item in self._log(run, channel).undelivered()
        )

    def _log(self, run: str, channel: Channel) -> NotificationLog:
        return NotificationLog(self.records, self.notes, run, channel.name, self.events)


@dataclass(frozen=True, slots=True)
class NotifyObserver:
    """The senders of one run. `hear` never blocks."""

    senders: tuple[_Sender, ...]
    events: frozenset[str]

    def hear(self, record: Recorded) -> None:
        if kind_of(record.event) in self.events:
            for sender in self.senders:
                sender.wake.set()

    def close(self) -> None:
        """Send what is due for a moment longer; the rest stays due."""
        until = time.monotonic() + CLOSE_S - _ENDS_S
        for sender in self.senders:
            sender.closing.set()
            sender.wake.set()
        for sender in self.senders:
            sender.thread.join(max(0.0, until - time.monotonic()))
        for sender in self.senders:
            sender.end.set()
        for sender in self.senders:
            sender.thread.join(max(0.0, until + _ENDS_S - time.monotonic()))
            sender.stop_writing()


class _Sender:
    """Sends to one channel, in the order of the history."""

    def __init__(self, notices: Notices, channel: Channel, log: NotificationLog) -> None:
        self.log = log
        self.thread = threading.Thread(target=self._work, name=f"notify {channel.name}", daemon=True)
        self.wake, self.closing, self.end = threading.Event(), threading.Event(), threading.Event()
        self._notices, self._channel = notices, channel
        self._seen = 0  # up to this seq everything was delivered, or given up
        self._writing = threading.Lock()
        self._closed = False

    def stop_writing(self) -> None:
        """From now on nothing is written: the journal may be closed."""
        with self._writing:
            self._closed = True

    def _work(self) -> None:
        last = False
        while not last:
            last = self.closing.is_set()  # read first, so that what happened until then is sent
            try:
                self._send_due()
            except InterlockError:  # the journal cannot be read: it stays due
                return
            if not last:
                self.wake.wait()
                self.wake.clear()

    def _send_due(self) -> None:
        for record in self.log.due(self._seen):
            why = self._send(record)
            now = self._notices.clock.now()
            with self._writing:
                if self._closed:
                    return
                if why:
                    self.log.failed(record.seq, now, why)
                else:
                    self.log.delivered(record.seq, now)
            self._seen = record.seq

    def _send(self, record: Recorded) -> str:
        """Why it could not be delivered; empty if it was."""
        why = ""
        for number in range(self._notices.attempts):
            try:
                content = message(self._notices.repository, record, self._notices.locate(self.log.run))
                self._channel.send(content, self.end)
            except Refusal as refusal:
                why = str(refusal)
                pause_s = max(refusal.wait_s, self._notices.backoff_s * 2**number)
                is_last = refusal.lasting or number + 1 == self._notices.attempts
                if is_last or self.end.wait(min(_WAIT_MAX_S, pause_s)):
                    return why
            else:
                return ""
        return why


FAILURES_MAX = 50  # of one delivery, that are noted


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A notification that a channel did not receive. `why` is empty while it is being tried."""

    channel: str
    event: str
    seq: int
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class NotificationLog:
    """What is noted of one run and one channel."""

    records: Records
    notes: Notes
    run: str
    channel: str
    events: frozenset[str]

    def begin(self) -> None:
        """From now on events are due, unless this was called before."""
        if self._since() is None:
            records = self.records(self.run, 0)
            self.notes.note("notify.since", self._key(), str(records[-1].seq if records else 0))

    def due(self, after: int = 0) -> Iterator[Recorded]:
        """What is to be delivered and was not, after seq `after`, in order."""
        since = self._since()
        if since is None:
            return
        for record in self.records(self.run, max(since, after)):
            if kind_of(record.event) in self.events and not self._noted("told", record.seq):
                yield record

    def delivered(self, seq: int, at: float) -> None:
        self.notes.note("notify.told", self._key(seq), json.dumps({"at": at}))

    def failed(self, seq: int, at: float, why: str) -> None:
        """It was tried as often as allowed."""
        number = len(list(self._failures(seq))) + 1
        if number <= FAILURES_MAX:
            failure = json.dumps({"at": at, "why": why})
            self.notes.note("notify.failed", f"{self._key(seq)}/{number}", failure)

    def undelivered(self) -> Iterator[Undelivered]:
        """What is due, each with the reason why the last try failed."""
        for record in self.due():
            why = ["", *self._failures(record.seq)][-1]
            yield Undelivered(self.channel, kind_of(record.event), record.seq, record.at, why)

    def _failures(self, seq: int) -> Iterator[str]:
        for number in range(1, FAILURES_MAX + 1):
            found = self._noted("failed", seq, f"/{number}")
            if found is None:
                return
            yield str(json.loads(found)["why"])

    def _since(self) -> int | None:
        found = self.notes.noted("notify.since", self._key())
        return int(found) if found else None

    def _noted(self, kind: str, seq: int, more: str = "") -> str | None:
        return self.notes.noted(f"notify.{kind}", f"{self._key(seq)}{more}")

    def _key(self, seq: int | None = None) -> str:
        return f"{self.run}/{self.channel}" if seq is None else f"{self.run}/{seq}/{self.channel}"
