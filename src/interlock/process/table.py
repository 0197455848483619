"""The process table: which processes exist, their parents, and whether a pid is still the same process.

Rule: only the standard library, because the supervisor imports this module and must start fast.
"""

# pathlib alone would double the start time of the supervisor.
# ruff: noqa: PTH110, PTH208
from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple


class Process(NamedTuple):
    """One line of the process table. `cpu_s` includes children that were waited for. `started` distinguishes a process
    from a later one with the same pid."""

    pid: int
    parent: int
    group: int
    dead: bool
    cpu_s: float
    started: str


def processes() -> dict[int, Process]:
    """Every visible process, by pid."""
    if not os.path.exists("/proc/self/stat"):
        return _ps("-ax")
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {each.pid: each for each in found if each is not None}


def process(pid: int) -> Process | None:
    """The process `pid`; None if there is none. A zombie is `dead`."""
    if not os.path.exists("/proc/self/stat"):
        return _ps("-p", str(pid)).get(pid)
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(file, 4096)
    except OSError:  # it ended meanwhile
        return None
    finally:
        os.close(file)
    return _parse_stat(pid, text)


def descendants(roots: set[int], skip: frozenset[int] = frozenset()) -> list[Process]:
    """All processes below `roots`, without `roots` and without the trees of `skip`. Parents come before children."""
    children: dict[int, list[Process]] = {}
    for each in processes().values():
        children.setdefault(each.parent, []).append(each)
    found: list[Process] = []
    seen = roots | skip
    queue = list(roots)
    while queue:
        for each in children.get(queue.pop(0), ()):
            if each.pid not in seen:
                seen.add(each.pid)
                found.append(each)
                queue.append(each.pid)
    return found


def send_signal(targets: list[Process], number: int) -> None:
    """Send a signal to each process that still exists and is ours."""
    for each in targets:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each.pid, number)


def _parse_stat(pid: int, text: bytes) -> Process | None:
    """proc_pid_stat(5): the name is in brackets and may contain anything, so fields count from the last bracket."""
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    ticks = sum(int(field) for field in fields[11:15])
    cpu_s = ticks / os.sysconf("SC_CLK_TCK")
    return Process(pid, int(fields[1]), int(fields[2]), fields[0] in b"ZX", cpu_s, fields[19].decode())


def _ps(*which: str) -> dict[int, Process]:
    import subprocess  # slow to import, and needed only on macOS

    columns = "pid=,ppid=,pgid=,state=,time=,lstart="
    with subprocess.Popen(["/bin/ps", *which, "-o", columns], stdout=subprocess.PIPE, text=True) as ps:
        lines = ps.communicate()[0].splitlines()
    found = {}
    for line in lines:
        pid, parent, group, state, cpu, started = line.split(None, 5)
        found[int(pid)] = Process(int(pid), int(parent), int(group), state[0] == "Z", _seconds(cpu), started.strip())
    found.pop(ps.pid, None)  # it lists itself
    return found


def _seconds(text: str) -> float:
    """[DD-][HH:]MM:SS[.CC] of ps(1)."""
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return total + float(days or 0) * 86400
