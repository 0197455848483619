"""Locks that other processes hold for a while: waited for, and not without end.

Rule: the kernel frees a lock with its holder; one that is stopped and not dead holds it on.
"""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

from interlock.ports import InfrastructureError, as_infrastructure

WAIT_MAX_S = 4 * 3600.0  # longer than any setup is made or anything is imported
_FIRST_S = 0.002
_LAST_S = 0.1


def lock_file(fd: int, path: Path, *, shared: bool = False, wait_max_s: float = WAIT_MAX_S) -> None:
    """Lock the open file `fd`. Raises InfrastructureError where it is held too long or cannot be locked."""
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    until, pause = time.monotonic() + wait_max_s, _FIRST_S
    while True:
        try:
            with as_infrastructure():
                return _try(fd, mode)
        except _Held:
            if time.monotonic() >= until:
                raise InfrastructureError(
                    f"{path}: held by another process for {wait_max_s / 3600:g} hours: see who holds it (lsof), and end"
                    " or continue that one"
                ) from None
        time.sleep(pause)
        pause = min(_LAST_S, pause * 2)


class _Held(Exception):
    """Not now."""


def _try(fd: int, mode: int) -> None:
    try:
        fcntl.flock(fd, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _Held from None
