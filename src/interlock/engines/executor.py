"""Where effects in flight are moved on: on threads, or step by step in the simulation.

Rule: what an effect does and what becomes of its facts is the engine's; an executor decides only when.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from interlock.core.effects import Operation
from interlock.core.events import Event, Recorded
from interlock.ports import Permit, started

INBOX_S = 0.2  # how often the inbox is looked at


@dataclass(slots=True, eq=False)
class InFlight:
    """An operation in flight. Facts that it yields are recorded one after the other."""

    effect: Operation
    facts: Generator[Event, Recorded | None, None]
    cancel: Permit
    record: Recorded | None = None  # of its newest fact, to be sent back: None where that came too late
    fact: Event | None = None  # yielded, and not recorded yet
    launched: bool = False
    begun: bool = False
    refused: int = 0  # how often there was no room for it
    keeps: bool = False  # its work is done, and the fact could not be recorded so far


Advance = Callable[[InFlight], bool]


class Executor(Protocol):
    def permit(self) -> Permit:
        """The cancel of a new flight. Who waits for it spends the time of this executor."""

    def launch(self, flight: InFlight, advance: Advance) -> bool:
        """Call `advance` with it until that says False, in its own time. False where there is no room for it now."""

    def wait(self, moved: Callable[[], bool], left_s: float | None) -> None:
        """Until something has `moved`, the inbox is to be looked at again, or `left_s` seconds have passed."""

    def notify(self) -> None:
        """Something has moved."""

    def join(self, flights: Sequence[InFlight]) -> None:
        """Until all of these that were launched have ended."""


class Threads:
    """Each effect on a thread of its own."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._threads: dict[InFlight, threading.Thread] = {}

    def permit(self) -> Permit:
        return Permit()

    def launch(self, flight: InFlight, advance: Advance) -> bool:
        thread = threading.Thread(target=self._perform, args=(flight, advance), name=type(flight.effect).__name__)
        self._threads[flight] = thread
        if started(thread):
            return True
        del self._threads[flight]
        return False

    def wait(self, moved: Callable[[], bool], left_s: float | None) -> None:
        with self._moved:
            self._moved.wait_for(moved, INBOX_S if left_s is None else min(INBOX_S, left_s))

    def notify(self) -> None:
        with self._moved:
            self._moved.notify_all()

    def join(self, flights: Sequence[InFlight]) -> None:
        threads = [self._threads.get(flight) for flight in flights]
        for thread in threads:
            if thread is not None:
                thread.join()

    def _perform(self, flight: InFlight, advance: Advance) -> None:
        with suppress(BaseException):  # the engine has taken note of it, and raises it on the owner's thread
            while advance(flight):
                pass
        self._threads.pop(flight, None)
