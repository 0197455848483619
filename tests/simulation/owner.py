"""One owner of a simulated run: the local engine's loop, without threads.

Effects are generators that are moved on in a random order, one half-step at a time: a fact that an effect
has yielded lies in its flight until some later step records it, so that others overtake it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from tests.simulation.chance import Chance
from tests.simulation.fate import require

from interlock.core.commands import (
    AskApproval,
    Command,
    DeliverBranch,
    FinishRun,
    Pause,
    SendBack,
    StartAttempt,
    WaitUntil,
    key,
)
from interlock.core.events import Event, Recorded, TimeReached
from interlock.core.fold import fold
from interlock.core.pipeline import Pipeline
from interlock.core.wire import decode_command, encode_command
from interlock.engines.reconcile import Turn, reconcile
from interlock.execution.context import Context
from interlock.execution.ledger import Ledger
from interlock.execution.perform import perform
from interlock.ports import Cancelled, Clock, Journal, World

AT_ONCE = (Pause, SendBack, AskApproval, FinishRun)
REPEATS_MAX = 25


class _Flag:
    """Fits ports.Cancel, at a tenth of the price of an Event of threading."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        return self._set


@dataclass(slots=True)
class Flight:
    effects: Generator[Event, Recorded | None, None]
    cancel: _Flag = field(default_factory=_Flag)
    begun: bool = False
    claim: Recorded | None = None  # of an attempt whose work has not begun
    fact: Event | None = None  # yielded and not recorded yet


@dataclass(slots=True)
class Owner:
    ledger: Ledger
    world: World
    context: Context
    places: int
    chance: Chance  # of the order of things
    duplicates: Chance
    flights: dict[Command, Flight] = field(default_factory=dict)
    gone: bool = False  # fenced off
    _wanted: tuple[int, tuple[Command, ...]] = (-1, ())
    _starts: dict[Command, tuple[int, int]] = field(default_factory=dict)

    def turn(self) -> Turn:
        """One round of the engine's loop: start what is wanted, cancel what is not."""
        self.ledger.take_answers(self.world.blobs)
        turn = reconcile(self._next_commands(), tuple(self.flights), self.places)
        for command in turn.cancel:
            self.flights[command].cancel.set()
        ended = [command for command in turn.cancel if not self.flights[command].begun]
        for command in ended:
            del self.flights[command]
        for command in turn.start:
            self._start(command)
        return self.turn() if ended else turn  # an effect that ended is a reason to look again, as in the engine

    def step(self) -> None:
        """Move one random effect on by half a step."""
        command = self.chance.choice(list(self.flights))
        flight = self.flights[command]
        try:
            if flight.fact is None:
                claim, flight.begun, flight.claim = flight.claim, True, None
                flight.fact = flight.effects.send(claim)
            else:
                self._record(flight)
        except (StopIteration, Cancelled):
            self.flights.pop(command, None)

    def land(self) -> None:
        """As the engine does at its end: nothing is wanted any more, and what has begun comes to its own end."""
        for command in list(self.flights):
            self.flights[command].cancel.set()
            if not self.flights[command].begun:
                del self.flights[command]
        while self.flights:
            self.step()

    def reach(self, at: float) -> None:
        self.ledger.record(TimeReached(at))

    def delivers(self) -> bool:
        """Whether a delivery is in flight."""
        return any(isinstance(command, DeliverBranch) for command in self.flights)

    def facts(self) -> list[Event]:
        """What was done and not recorded."""
        return [flight.fact for flight in self.flights.values() if flight.fact is not None]

    def _record(self, flight: Flight) -> None:
        fact = flight.fact
        if fact is None:
            return
        record = self.ledger.record(fact)
        flight.fact = None
        if self.duplicates.happens():
            self.ledger.record(fact)
        flight.fact = flight.effects.send(record)

    def _next_commands(self) -> tuple[Command, ...]:
        seq = self.ledger.state.seq
        if self._wanted[0] != seq:
            wanted = self.ledger.next_commands()
            keys = [key(command) for command in wanted if not isinstance(command, WaitUntil)]
            require(len(set(keys)) == len(keys), "S6", lambda: f"two effects of one key: {sorted(keys)}")
            self._wanted = (seq, wanted)
        return self._wanted[1]

    def _start(self, command: Command) -> None:
        self._count(command)
        command = travelled(command)
        flag = _Flag()
        flight = Flight(perform(self.world, self.context, command, flag), flag)
        if isinstance(command, StartAttempt):
            self._claim(command, flight)
            return
        if not isinstance(command, AT_ONCE):
            self.flights[command] = flight
            return
        for fact in flight.effects:
            self.ledger.record(fact)

    def _claim(self, command: Command, flight: Flight) -> None:
        """The loop itself claims, in the turn that decided it; the work comes in its own time."""
        record = self.ledger.record(next(flight.effects))
        if record is not None:
            flight.claim = record
            self.flights[command] = flight

    def _count(self, command: Command) -> None:
        """The same command again and again, with nothing else between, is a loop without a bound."""
        count, seq = self._starts.get(command, (0, 0))
        now = self.ledger.state.seq
        count = count + 1 if now - seq <= 3 else 1
        require(count < REPEATS_MAX, "L1", lambda: f"wanted again and again: {command}")
        self._starts[command] = (count, now)


def travelled(command: Command) -> Command:
    """As another machine would get it: written down and read again."""
    again = decode_command(encode_command(command))
    require(again == command, "S6", lambda: f"{command} is read as {again}")
    return again


def take_run(
    run: str,
    pipeline: Pipeline,
    journal: Journal,
    clock: Clock,
    owner: str,
) -> Ledger:
    """A new owner's ledger, its claim appended."""
    fence = journal.take(run)
    ledger = Ledger(fold(journal.records(run)), pipeline, journal, clock, fence)
    if ledger.state.finished is None:
        ledger.claim(owner)
    return ledger
