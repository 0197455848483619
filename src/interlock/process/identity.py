"""The identity of a process beyond its pid, and how to end it with all its descendants.

Rule: a supervisor ends its program when its controller has ended, unless somebody stopped the supervisor. So its
identity is written to a file beside the program's log, and whoever removes that checkout ends the supervisor first.
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
    """The start of process `pid`, in a form that is unique on this machine, also across reboots.

    Empty if there is no such process, or if it is a zombie.
    """
    found = process(pid)
    if found is None or found.dead:
        return ""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    return f"{boot}:{found.started}"


def alive(pid: int, started: str) -> bool:
    """Whether `pid` is still the process whose `identity` was `started`. A stopped process is alive."""
    return bool(started) and identity(pid) == started


def kill_tree(pid: int) -> bool:
    """Kill `pid` and its descendants. Whether all of them ended.

    A process that left the tree before (a daemon) is not found; only a supervisor finds those.
    """
    root = process(pid)
    if root is None or pid in (0, 1, os.getpid()):
        return root is None
    targets: dict[int, Process] = {}
    until = time.monotonic() + _KILLS_MAX_S
    while fresh := [each for each in [root, *descendants({pid})] if each.pid not in targets]:
        send_signal(fresh, signal.SIGSTOP)  # so that none ends or forks while we look for its children
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


# --- supervisors of ended controllers ----------------------------------------------------------


_NAME = "supervisor"


def note_supervisor(folder: Path, pid: int) -> None:
    """Record the supervisor of the program whose log is in `folder`. If the disk is full, the program starts anyway."""
    with suppress(OSError):
        (folder / _NAME).write_text(f"{pid} {identity(pid)}", encoding="ascii")


def end_supervised(root: Path) -> None:
    """End every program in the checkout `root` whose supervisor still runs. Raises InfrastructureError if one stays."""
    for note in root.glob(f"*/{_NAME}"):
        try:
            pid, _, started = note.read_text(encoding="ascii").partition(" ")
        except (OSError, UnicodeError):
            continue
        if pid.isdigit() and alive(int(pid), started) and not kill_tree(int(pid)):
            raise InfrastructureError(f"process {pid} still runs in {root} and cannot be ended: end it by hand")
