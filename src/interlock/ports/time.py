"""Time, and being told that something is no longer wanted."""

from __future__ import annotations

import threading
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


class Permit(threading.Event):
    """A Cancel of one effect that can also be told not to begin: what waits for a place then is no longer wanted, and
    what is at work comes to its own end."""

    withheld = False
    used = False

    def withhold(self) -> None:
        self.withheld = True


def may_begin(cancel: Cancel) -> bool:
    """Whether work that only waits so far may still begin."""
    return not isinstance(cancel, Permit) or cancel.used or not cancel.withheld


def has_worked(cancel: Cancel) -> None:
    """Something of the effect was done: the rest of it is waited for."""
    if isinstance(cancel, Permit):
        cancel.used = True
