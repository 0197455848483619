"""Time, and being told that something is no longer wanted."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""

    def elapsed(self) -> float:
        """Seconds since some moment, which no setting of the clock changes."""


class Cancel(Protocol):
    """Set when an effect in flight is no longer wanted. threading.Event fits."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...
