"""Who a process is, beyond its pid, and its end with all that came of it.

What a dead controller may have left at work: a supervisor that somebody stopped, with the program below it.

Rule: a supervisor ends its program when its controller is gone, unless it is stopped itself. So who it is stands in a
file beside the program's log, and whoever clears that place away ends it first.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from interlock.ports import InfrastructureError
from interlock.process.table import Process, descendants, process, send_signal

_KILLS_MAX_S = 20.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def identity(pid: int) -> str:
    """When `pid` started, in a form that no other process shares, on this machine since it booted or before.

    Empty where there is no such process, or a dead one that nobody waited for yet.
    """
    found = process(pid)
    if found is None or found.dead:
        return ""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    return f"{boot}:{found.started}"


def alive(pid: int, started: str) -> bool:
    """Whether `pid` is still the process that `identity` named `started`. A stopped one is alive."""
    return bool(started) and identity(pid) == started


def kill_tree(pid: int) -> bool:
    """End `pid` and its descendants at once, without asking. Whether none is left.

    What left the tree before (a daemon) is not found; only a supervisor finds those.
    """
    root = process(pid)
    if root is None or pid in (0, 1, os.getpid()):
        return root is None
    targets: dict[int, Process] = {}
    until = time.monotonic() + _KILLS_MAX_S
    while fresh := [each for each in [root, *descendants({pid})] if each.pid not in targets]:
        send_signal(fresh, signal.SIGSTOP)  # so that none dies or forks while its children are looked for
        targets.update({each.pid: each for each in fresh})
        if time.monotonic() > until:
            return False
    send_signal(list(targets.values()), signal.SIGKILL)
    while any(_is_there(each) for each in targets.values()):
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def _is_there(known: Process) -> bool:
    found = process(known.pid)
    return found is not None and not found.dead and found.started == known.started


# --- supervisors that a dead controller left -------------------------------------------------


_NAME = "supervisor"


def note_supervisor(folder: Path, pid: int) -> None:
    """Write down who supervises the program whose log lies in `folder`. A full disk is no reason not to start it."""
    with suppress(OSError):
        (folder / _NAME).write_text(f"{pid} {identity(pid)}", encoding="ascii")


def end_left(place: Path) -> None:
    """End every program below `place` that still has its supervisor. Raises InfrastructureError where one stays."""
    for note in place.glob(f"*/{_NAME}"):
        try:
            pid, _, started = note.read_text(encoding="ascii").partition(" ")
        except (OSError, UnicodeError):
            continue
        if pid.isdigit() and alive(int(pid), started) and not kill_tree(int(pid)):
            raise InfrastructureError(f"process {pid} is still at work in {place} and cannot be ended: end it by hand")
