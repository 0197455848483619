"""Trouble of the journal that may pass is waited for: a moment of it costs no work that was paid.

Rule: it is for what has changed nothing where it failed. What is permanent is not tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from interlock.ports import InfrastructureError

T = TypeVar("T")

PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.0, 2.0, 3.0)
_LONG_S = 10.0  # in all: what waits by itself, as for a lock of SQLite, is not asked again and again


def patiently(work: Callable[[], T], pause: Callable[[float], object] = time.sleep) -> T:
    """What `work` returns. Raises what it raises at last."""
    until = time.monotonic() + _LONG_S
    for pause_s in PAUSES_S:
        try:
            return work()
        except InfrastructureError as error:
            if error.permanent or time.monotonic() >= until:
                raise
        pause(pause_s)
    return work()
