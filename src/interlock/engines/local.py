"""The local engine: one process owns the run, effects are performed on threads.

Rule: this loop decides nothing. It starts what the planner wants, cancels what it no longer wants,
and leaves when only a human can move the run.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass, field, replace

from interlock.core.commands import AskApproval, Command, FinishRun, Pause, SendBack, StartAttempt, key
from interlock.core.events import Event, Recorded, TimeReached
from interlock.engines.reconcile import Turn, reconcile
from interlock.engines.waits import Alarm, NoEarlier
from interlock.execution.context import Context
from interlock.execution.ledger import Ledger
from interlock.execution.perform import perform
from interlock.ports import Cancelled, Damaged, Fenced, InfrastructureError, Permit, World, started

INBOX_S = 0.2  # how often the inbox is looked at
REPEATS_MAX = 20  # of one command without its fact being taken: a defect of ours, not of the run's

LAUNCHES_MAX = 50  # tries to get a thread for an effect, one each turn while nothing else is at work
NO_THREAD = (
    "no thread can be started: is there room for more processes and threads (ulimit -u, or the container's limit)?"
    " Make room, then resume the run"
)

_AT_ONCE = (Pause, SendBack, AskApproval, FinishRun)


@dataclass(slots=True)
class _Flight:
    command: Command
    cancel: Permit
    effects: Generator[Event, Recorded | None, None]
    claim: Recorded | None = None  # of an attempt whose work has not begun
    thread: threading.Thread | None = None
    refused: int = 0  # how often the machine had no thread for it
    keeps: bool = False  # its work is done, and the fact could not be recorded so far


@dataclass(slots=True)
class LocalEngine:
    """Drives one run in this process. `places` bounds attempts and gates at work at once."""

    ledger: Ledger
    world: World
    context: Context
    places: int = 4
    stop: threading.Event = field(default_factory=threading.Event)
    _flights: dict[str, _Flight] = field(default_factory=dict)  # by the key of their command
    _moved: threading.Condition = field(default_factory=threading.Condition)
    _errors: list[BaseException] = field(default_factory=list)
    _repeats: dict[str, int] = field(default_factory=dict)
    _events: int = 0
    _alarm: Alarm = field(default_factory=Alarm)

    def drive(self) -> None:
        """Go on until the run is finished, waits for a human, or `stop` is set. All effects have ended
        when this returns. Raises Fenced where another process took the run; InfrastructureError where
        the journal cannot be written, or the machine has no thread: what was at work has ended by itself then, and
        was recorded where that was possible at last."""
        clock = NoEarlier(self.world.clock, lambda: self.ledger.state.now)
        ledger = self.ledger
        self.world = replace(self.world, holds_fence=ledger.holds_fence, clock=clock)
        self.ledger.listen(self._on_event)
        try:
            while not self.stop.is_set() and self._turn():
                pass
            self._land()
        finally:
            self._end_all()
        if self._errors:
            raise self._errors[0]

    def _turn(self) -> bool:
        """One round; false where there is nothing left to do without a human, or something failed."""
        try:
            return self._round()
        except Exception as error:  # noqa: BLE001 - it is raised again by drive, once what is at work has ended
            self._errors.append(error)
            return False

    def _round(self) -> bool:
        if self._errors:
            return False
        self.ledger.take_answers(self.world.blobs)
        seen = self._events
        turn = self._reconciled()
        self._launch_again()
        for command in turn.start:
            if self._errors or self._lacks_threads():
                break  # nothing new is begun where what was begun cannot go on
            self._start(command)
        if self._errors or self.ledger.state.finished is not None:
            return False
        if turn.rests and turn.alarm is None and self._is_idle(seen):
            return False
        self._sleep(turn, seen)
        return True

    def _reconciled(self) -> Turn:
        """What is to start; what is no longer wanted is told so."""
        with self._moved:
            in_flight = tuple(flight.command for flight in self._flights.values())
            turn = reconcile(self.ledger.next_commands(), in_flight, self.places)
            for command in turn.cancel:
                self._flights[key(command)].cancel.set()
        return turn

    def _land(self) -> None:
        """Something failed: what is at work comes to its own end and is recorded, unless nothing can be any more. What
        only waits for a slot or a lock is not begun."""
        while self._errors and not self.stop.is_set() and not any(map(_ends_all, self._errors)):
            with self._moved:
                if all(flight.thread is None for flight in self._flights.values()):
                    return
                for flight in self._flights.values():
                    flight.cancel.withhold()
                self._moved.wait(INBOX_S)
            try:
                self.ledger.take_answers(self.world.blobs)  # a person may end it
                self._reconciled()
            except Exception as error:  # noqa: BLE001 - the first one is raised by drive
                self._errors.extend([error] if _ends_all(error) else ())

    def _is_idle(self, seen: int) -> bool:
        """Whether nothing is in flight, and nothing landed since the planner was asked."""
        with self._moved:
            return not self._flights and self._events == seen

    def _start(self, command: Command) -> None:
        name = key(command)
        self._repeats[name] = self._repeats.get(name, 0) + 1
        if self._repeats[name] > REPEATS_MAX:
            raise RuntimeError(f"the planner wants {command} again and again")
        cancel = Permit()
        flight = _Flight(command, cancel, perform(self.world, self.context, command, cancel))
        if isinstance(command, _AT_ONCE):
            self._perform(flight)
            return
        if isinstance(command, StartAttempt) and not self._claim(flight):
            return
        with self._moved:
            self._flights[name] = flight
        self._launch(flight)

    def _launch(self, flight: _Flight) -> None:
        """On a thread of its own. Where the machine has none, the flight waits, and the next turn tries again: for as
        long as others are at work, since each that ends makes room."""
        thread = threading.Thread(target=self._perform, args=(flight,), name=type(flight.command).__name__)
        if started(thread):
            flight.thread = thread
            return
        with self._moved:
            alone = all(other.thread is None for other in self._flights.values())
        flight.refused += alone
        if flight.refused >= LAUNCHES_MAX:
            raise InfrastructureError(NO_THREAD)

    def _lacks_threads(self) -> bool:
        with self._moved:
            return any(flight.thread is None for flight in self._flights.values())

    def _launch_again(self) -> None:
        """What waits for a thread and is still wanted; the rest is given up before it began."""
        with self._moved:
            waiting = [flight for flight in self._flights.values() if flight.thread is None]
        for flight in waiting:
            if flight.cancel.is_set():
                with self._moved:
                    self._flights.pop(key(flight.command), None)
            else:
                self._launch(flight)

    def _claim(self, flight: _Flight) -> bool:
        """The loop itself claims, in the turn that decided it, so that nothing comes between the two."""
        flight.claim = self._record(flight.command, next(flight.effects))
        return flight.claim is not None

    def _record(self, command: Command, event: Event) -> Recorded | None:
        record = self.ledger.record(event)
        if record is not None:
            self._repeats.pop(key(command), None)
        return record

    def _perform(self, flight: _Flight) -> None:
        try:
            event = flight.effects.send(flight.claim)
            while True:
                event = flight.effects.send(self._recorded(flight, event))
        except (StopIteration, Cancelled):
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised again by drive, on the owner's thread
            self._errors.append(error)
        finally:
            with self._moved:
                self._flights.pop(key(flight.command), None)
                self._events += 1
                self._moved.notify_all()

    def _recorded(self, flight: _Flight, event: Event) -> Recorded | None:
        """Its record. Where the journal cannot be written, the event is kept and tried again while others are at work,
        and once after them: what was paid for is not lost to a moment."""
        while True:
            last = isinstance(flight.command, _AT_ONCE) or self._is_last(flight)
            try:
                return self._record(flight.command, event)
            except InfrastructureError as error:
                if last or self.stop.is_set() or _ends_all(error):
                    raise
                if not flight.keeps:
                    self._errors.append(error)  # so that nothing new is begun
            with self._moved:
                flight.keeps = True
                self._moved.notify_all()
                self._moved.wait(INBOX_S)

    def _is_last(self, flight: _Flight) -> bool:
        with self._moved:
            others = [other for other in self._flights.values() if other is not flight]
            return all(other.keeps or other.thread is None for other in others)

    def _on_event(self, record: Recorded) -> None:
        with self._moved:
            self._events += 1
            self._moved.notify_all()

    def _sleep(self, turn: Turn, seen: int) -> None:
        """Until something moved, the next alarm, or the next look at the inbox."""
        timeout = INBOX_S if turn.alarm is None else min(INBOX_S, self._left_s(turn.alarm))
        with self._moved:
            self._moved.wait_for(lambda: self._events != seen, timeout)
        if turn.alarm is not None and self._left_s(turn.alarm) <= 0:
            self.ledger.record(TimeReached(turn.alarm))

    def _left_s(self, at: float) -> float:
        return self._alarm.left_s(at, self.world.clock.now(), self.ledger.state.now)

    def _end_all(self) -> None:
        with self._moved:
            flights = tuple(self._flights.values())
        for flight in flights:
            flight.cancel.set()
        for flight in flights:
            if flight.thread is not None:
                flight.thread.join()


def _ends_all(error: BaseException) -> bool:
    """Whether nothing can be recorded after it, so that no work is worth waiting for."""
    return isinstance(error, Fenced | Damaged) or not isinstance(error, Exception)
