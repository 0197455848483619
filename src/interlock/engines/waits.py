"""Times of a run's waits, on a clock that may jump.

Rule: a wait is told by an absolute time, and is never longer than it was meant to be. What is meant follows from the
newest fact of the run: a clock that was ahead when the wait began, or goes back meanwhile, adds nothing to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from interlock.core.limits import WAIT_MAX_S
from interlock.ports import Clock


@dataclass(slots=True)
class Alarm:
    """One wait at a time. `elapsed` gives seconds that no clock setting changes."""

    elapsed: Callable[[], float] = time.monotonic
    _at: float = 0.0
    _until: float = 0.0

    def left_s(self, at: float, now: float, newest: float) -> float:
        """How long to wait for the time `at`, 0 where that is over. `newest` is the time of the newest fact."""
        if at != self._at:
            self._at, self._until = at, self.elapsed() + min(WAIT_MAX_S, max(0.0, at - newest))
        return max(0.0, min(at - now, self._until - self.elapsed()))


@dataclass(frozen=True, slots=True)
class NoEarlier:
    """A clock that is never before the newest fact of a run: what comes next is told from there on."""

    clock: Clock
    newest: Callable[[], float]

    def now(self) -> float:
        return max(self.clock.now(), self.newest())

    def elapsed(self) -> float:
        return self.clock.elapsed()
