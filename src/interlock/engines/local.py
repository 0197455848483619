"""The local engine: one process owns the run, effects are performed by an executor: on threads, as a rule.

Rule: this loop decides nothing. It starts what the planner wants, cancels what it no longer wants,
and leaves when only a human can move the run.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from interlock.core import facts
from interlock.core.effects import Decision, Effect, Operation, StartAttempt, key
from interlock.core.events import Event, Recorded, TimeReached
from interlock.engines.executor import Executor, InFlight, Threads
from interlock.engines.reconcile import Reconciliation, reconcile
from interlock.engines.waits import Alarm, NoEarlier
from interlock.execution.attempt import hint
from interlock.execution.context import Context
from interlock.execution.ledger import Ledger
from interlock.execution.perform import perform
from interlock.ports import Cancelled, Damaged, Fenced, InfrastructureError, World

REPEATS_MAX = 20  # of one effect without its fact being taken: a defect of ours, not of the run's

LAUNCHES_MAX = 50  # tries to get a thread for an effect, one each turn while nothing else is at work
NO_THREAD = (
    "no thread can be started: raise the limit of processes and threads (ulimit -u, or the container's limit), then"
    " resume the run"
)


@dataclass(slots=True)
class LocalEngine:
    """Drives one run in this process. `places` bounds attempts and gates at work at once."""

    ledger: Ledger
    world: World
    context: Context
    places: int = 4
    stop: threading.Event = field(default_factory=threading.Event)
    executor: Executor = field(default_factory=Threads)
    _flights: dict[str, InFlight] = field(default_factory=dict)  # by the key of their effect
    _lock: threading.RLock = field(default_factory=threading.RLock)
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
        self._alarm = Alarm(clock.elapsed)
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
        for effect in turn.start:
            if self._errors or self._lacks_threads():
                break  # nothing new is begun where what was begun cannot go on
            self._start(effect)
        if self._errors or self.ledger.state.finished is not None:
            return False
        if turn.rests and turn.alarm is None and self._is_idle(seen):
            return False
        self._sleep(turn, seen)
        return True

    def _reconciled(self) -> Reconciliation:
        """What is to start; what is no longer wanted is told so."""
        with self._lock:
            in_flight = tuple(flight.effect for flight in self._flights.values())
            turn = reconcile(self.ledger.next_effects(), in_flight, self.places)
            for effect in turn.cancel:
                self._flights[key(effect)].cancel.set()
        return turn

    def _land(self) -> None:
        """Something failed: what is at work comes to its own end and is recorded, unless nothing can be any more. What
        only waits for a slot or a lock is not begun."""
        while self._errors and not self.stop.is_set() and not any(map(_ends_all, self._errors)):
            with self._lock:
                seen = self._events
                if not any(flight.launched for flight in self._flights.values()):
                    return
                for flight in self._flights.values():
                    flight.cancel.withhold()
            self._wait(seen)
            try:
                self.ledger.take_answers(self.world.blobs)  # a person may end it
                self._reconciled()
            except Exception as error:  # noqa: BLE001 - the first one is raised by drive
                self._errors.extend([error] if _ends_all(error) else ())

    def _is_idle(self, seen: int) -> bool:
        """Whether nothing is in flight, and nothing landed since the planner was asked."""
        with self._lock:
            return not self._flights and self._events == seen

    def _start(self, effect: Operation | Decision) -> None:
        """Decisions and claims are recorded in the turn that decided them, so that nothing comes between the two."""
        name = key(effect)
        self._repeats[name] = self._repeats.get(name, 0) + 1
        if self._repeats[name] > REPEATS_MAX:
            raise RuntimeError(f"the planner wants {effect} again and again")
        if isinstance(effect, Decision):
            self._record(effect, facts.decided(self.context.pipeline, effect))
            return
        claim = None
        if isinstance(effect, StartAttempt):
            claim = self._record(effect, facts.claim(self.context.pipeline, effect, self.context.level))
            if claim is None:
                return
        cancel = self.executor.permit()
        flight = InFlight(effect, perform(self.world, self.context, effect, cancel, claim), cancel)
        with self._lock:
            self._flights[name] = flight
        self._launch(flight)

    def _launch(self, flight: InFlight) -> None:
        """Where there is no room for it, the flight waits, and the next turn tries again: for as long as others are at
        work, since each that ends makes room."""
        flight.launched = True  # before it is: it may have ended when the executor returns
        if self.executor.launch(flight, self._advance):
            return
        flight.launched = False
        with self._lock:
            alone = not any(other.launched for other in self._flights.values())
        flight.refused += alone
        if flight.refused >= LAUNCHES_MAX:
            raise InfrastructureError(NO_THREAD)

    def _lacks_threads(self) -> bool:
        with self._lock:
            return not all(flight.launched for flight in self._flights.values())

    def _launch_again(self) -> None:
        """What waits for a thread and is still wanted; the rest is given up before it began."""
        with self._lock:
            waiting = [flight for flight in self._flights.values() if not flight.launched]
        for flight in waiting:
            if flight.cancel.is_set():
                with self._lock:
                    self._flights.pop(key(flight.effect), None)
            else:
                self._launch(flight)

    def _record(self, effect: Effect, event: Event) -> Recorded | None:
        record = self.ledger.record(event)
        if record is not None:
            self._repeats.pop(key(effect), None)
            hint(self.world.cache, event)
        return record

    def _advance(self, flight: InFlight) -> bool:
        """Half a step of an effect: on to its next fact, or the recording of that. False where it has ended; what ends
        more than the effect is raised here, and again by drive. What was cancelled before it began does not begin."""
        try:
            if not flight.begun and flight.cancel.is_set():
                raise Cancelled("it is no longer wanted")
            flight.begun = True
            if flight.fact is None:
                flight.fact = flight.facts.send(flight.record)
            else:
                flight.record, flight.fact = self._recorded(flight, flight.fact), None
            return True
        except (StopIteration, Cancelled):
            self._landed(flight)
        except BaseException as error:
            self._errors.append(error)
            self._landed(flight)
            if not isinstance(error, Exception):
                raise
        return False

    def _landed(self, flight: InFlight) -> None:
        with self._lock:
            self._flights.pop(key(flight.effect), None)
            self._events += 1
        self.executor.notify()

    def _recorded(self, flight: InFlight, event: Event) -> Recorded | None:
        """Its record. Where the journal cannot be written, the event is kept and tried again while others are at work,
        and once after them: what was paid for is not lost to a moment."""
        while True:
            last = self._is_last(flight)
            try:
                return self._record(flight.effect, event)
            except InfrastructureError as error:
                if last or self.stop.is_set() or _ends_all(error):
                    raise
                if not flight.keeps:
                    self._errors.append(error)  # so that nothing new is begun
            with self._lock:
                self._events += not flight.keeps  # others may wait for this one
                flight.keeps, seen = True, self._events
            self.executor.notify()
            self._wait(seen)

    def _is_last(self, flight: InFlight) -> bool:
        with self._lock:
            others = [other for other in self._flights.values() if other is not flight]
            return all(other.keeps or not other.launched for other in others)

    def _on_event(self, record: Recorded) -> None:
        with self._lock:
            self._events += 1
        self.executor.notify()

    def _sleep(self, turn: Reconciliation, seen: int) -> None:
        """Until something moved, the next alarm, or the next look at the inbox."""
        self._wait(seen, None if turn.alarm is None else self._left_s(turn.alarm))
        if turn.alarm is not None and self._left_s(turn.alarm) <= 0:
            self.ledger.record(TimeReached(turn.alarm))

    def _wait(self, seen: int, left_s: float | None = None) -> None:
        self.executor.wait(lambda: self._events != seen, left_s)

    def _left_s(self, at: float) -> float:
        return self._alarm.left_s(at, self.world.clock.now(), self.ledger.state.now)

    def _end_all(self) -> None:
        with self._lock:
            flights = tuple(self._flights.values())
        for flight in flights:
            flight.cancel.set()
        self.executor.join(flights)


def _ends_all(error: BaseException) -> bool:
    """Whether nothing can be recorded after it, so that no work is worth waiting for."""
    return isinstance(error, Fenced | Damaged) or not isinstance(error, Exception)
