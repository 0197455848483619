"""One owner of a simulated run: the local engine itself, its effects moved on one half-step at a time.

They are moved on in a random order: a fact that an effect has yielded lies in its flight until some later step records
it, so that others overtake it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.simulation.chance import Chance
from tests.simulation.fate import require

from interlock.core.admission import admit_report
from interlock.core.effects import DeliverBranch, Effect, WaitUntil, key
from interlock.core.events import AttemptStarted, Event, Recorded
from interlock.core.wire import decode_effect, decode_record, encode_effect, encode_record
from interlock.engines.executor import Advance, InFlight
from interlock.execution.ledger import Ledger
from interlock.ports import Permit


class Abandoned(BaseException):
    """Its owner is stopped for good: nothing of it goes on."""


class SimLedger(Ledger):
    """At times a fact comes twice. Each command is as another machine would get it, where `travels` is set."""

    travels = False
    stepping = False  # an effect is being moved on
    duplicates: Chance | None = None
    _wanted: tuple[int, tuple[Effect, ...]] = (-1, ())

    def record(self, event: Event) -> Recorded | None:
        record = super().record(event)
        if self.travels and record is not None and isinstance(event, AttemptStarted):
            record = decode_record(encode_record(record))  # the claim that goes with the effect
        if self.stepping and self.duplicates is not None and self.duplicates.happens():
            super().record(event)
        return record

    def next_effects(self) -> tuple[Effect, ...]:
        seq = self.state.seq
        if self._wanted[0] != seq:
            wanted = super().next_effects()
            keys = [key(effect) for effect in wanted if not isinstance(effect, WaitUntil)]
            require(len(set(keys)) == len(keys), "S6", lambda: f"two effects of one key: {sorted(keys)}")
            self._wanted = (seq, tuple(map(travelled, wanted)) if self.travels else wanted)
        return self._wanted[1]


class Flag(Permit):
    """Waiting for it takes no time. At a tenth of the price of an Event of threading."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        return self._set


class Times(Protocol):
    """What happens to an owner between two half-steps; the simulation."""

    def between(self, owner: Steps) -> None: ...
    def pass_time(self, seconds: float) -> None: ...


@dataclass(slots=True)
class Steps:
    """An executor that moves one random flight on whenever the engine waits. After `steps` of these it abandons the
    engine. What went up from a step (the owner died, a promise is broken) ends all of it at once."""

    times: Times
    ledger: SimLedger
    chance: Chance  # of the order of things
    steps: int
    flights: list[InFlight] = field(default_factory=list)  # that have not ended
    facts: list[Event] = field(default_factory=list)  # that were refused a place in the journal with their owner
    _advance: Advance | None = None
    _outer: BaseException | None = field(default_factory=lambda: sys.exc_info()[1])

    def permit(self) -> Permit:
        return Flag()

    def launch(self, flight: InFlight, advance: Advance) -> bool:
        self.flights.append(flight)
        self._advance = advance
        return True

    def wait(self, moved: Callable[[], bool], left_s: float | None) -> None:
        if self.flights:
            self._step()
        elif left_s is not None and not moved():
            self.times.pass_time(left_s)
        self.steps -= 1
        if self.steps < 0:
            raise Abandoned
        self.times.between(self)

    def notify(self) -> None: ...

    def join(self, flights: Sequence[InFlight]) -> None:
        if sys.exc_info()[1] is not self._outer:
            return  # it is no more
        while self.flights:
            self._step()

    def delivers(self) -> bool:
        """Whether a delivery is in flight."""
        return any(isinstance(flight.effect, DeliverBranch) for flight in self.flights)

    def lost(self) -> list[Event]:
        """What was done and not recorded."""
        return self.facts + [flight.fact for flight in self.flights if flight.fact is not None]

    def _step(self) -> None:
        flight = self.chance.choice(self.flights)
        if self._advance is None:
            raise AssertionError("nothing was launched")
        self.ledger.stepping, former = True, self.ledger.stepping
        try:
            goes_on = self._advance(flight)
        finally:
            self.ledger.stepping = former
        if flight.fact is not None:
            require(
                not admit_report(flight.effect, flight.fact), "S6", lambda: admit_report(flight.effect, flight.fact)
            )
        if not goes_on:
            self.flights.remove(flight)
            self.facts += [flight.fact] if flight.fact is not None else []


def travelled(effect: Effect) -> Effect:
    """As another machine would get it: written down and read again."""
    again = decode_effect(encode_effect(effect))
    require(again == effect, "S6", lambda: f"{effect} is read as {again}")
    return again
