"""Time, and cancellation."""

from __future__ import annotations

import threading
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""

    def elapsed(self) -> float:
        """Seconds of a monotonic clock."""


class Cancel(Protocol):
    """Set when an effect in flight is no longer wanted. A threading.Event is one."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Permit(threading.Event):
    """The Cancel of one effect. It can also be withheld: work that still waits for a slot must then not begin, and work
    that has begun continues to its end."""

    withheld = False
    used = False

    def withhold(self) -> None:
        self.withheld = True


def may_begin(cancel: Cancel) -> bool:
    """Whether work that has not begun may still begin."""
    return not isinstance(cancel, Permit) or cancel.used or not cancel.withheld


def has_worked(cancel: Cancel) -> None:
    """Record that the effect has begun, so that it is not withheld any more."""
    if isinstance(cancel, Permit):
        cancel.used = True
