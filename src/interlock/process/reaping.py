"""What the fork server and its supervisors do with processes that end.

Rule: only the standard library, as for the supervisor.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36


def become_reaper() -> bool:
    """Become the parent of all orphans below us (PR_SET_CHILD_SUBREAPER, Linux). Whether it worked."""
    return sys.platform == "linux" and bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def make_bell() -> int:
    """A descriptor that is readable after a child has ended."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    os.set_blocking(writes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    return reads


def drain(bell: int) -> None:
    with suppress(BlockingIOError):
        os.read(bell, 65536)


def reap() -> tuple[int, int] | None:
    """A child that has ended, and its code (-N for signal N). None if there is none."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, os.waitstatus_to_exitcode(status)) if pid else None
