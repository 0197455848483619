"""The limits of a program in a room, as the supervisor holds them: by control groups where they can be had, else by
looking again and again. Who passes a limit is ended, with all that it started.

Rule: only the standard library, as for the supervisor. The supervisor itself is outside of all limits, at any time.
"""

# pathlib alone would double the start time of the supervisor.
# ruff: noqa: PTH116
from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import suppress

from interlock.process.cgroups import Group
from interlock.process.usage import Disk, Limits, in_room

_LOOK_S, _LOOK_MAX_S = 0.1, 0.5  # between two looks, by what one took
_SHARE = 5
_OF_ROOM = 2  # processes that make the room
_POLLED = "polling"
_FULL = 0.9  # of what was free when it began: who wrote that much has filled the disk


class Bounds:
    """The limits of one program. `group` is None where no control group can be had."""

    def __init__(self, limits: Limits, group: Group | None) -> None:
        """Raises OSError if the group cannot be set."""
        self._limits = limits
        self._group = group
        if group is not None:
            group.set({"memory": limits.memory, "pids": limits.processes + _OF_ROOM if limits.processes else 0})
        bounds = group.bounds if group is not None else {}
        self.means = {"memory": bounds.get("memory", _POLLED), "processes": bounds.get("pids", _POLLED)}
        self._room = int(_free(limits.places) * _FULL)
        most = min(limits.disk, self._room) if self._room else limits.disk
        self._disk = Disk(limits._replace(disk=most)) if limits.disk or limits.files else None
        self._next = time.monotonic() + _LOOK_S

    def wait_s(self) -> float:
        return max(0.0, self._next - time.monotonic())

    def passed(self, first: int) -> str:
        """The limit that was passed, if it is time to look; empty if none was. `first` is the first process of the
        room, 0 if there is none yet."""
        began = time.monotonic()
        if began < self._next:
            return ""
        found = self._refused() or self._seen(first)
        took_s = time.monotonic() - began
        found = found or self._wrote(first)  # it minds its own time
        self._next = time.monotonic() + min(_LOOK_MAX_S, max(_LOOK_S, _SHARE * took_s))
        return found

    def passed_at_end(self, code: int) -> str:
        """The same for a program that has ended by itself, with this code."""
        if code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ):
            return "file_size"
        return self._refused() or self._wrote(0, whole=True)

    def _refused(self) -> str:
        if self._group is None:
            return ""
        return next((name for name, kind in _KINDS.items() if self._group.refused(kind)), "")

    def _seen(self, first: int) -> str:
        most = self._limits
        wanted = {name: most._asdict()[name] for name, means in self.means.items() if means == _POLLED}
        if not first or not any(wanted.values()):
            return ""
        found = in_room(first, wanted.get("memory", 0))
        if 0 < wanted.get("memory", 0) < found.memory:
            return "memory"
        return "processes" if 0 < wanted.get("processes", 0) < found.tasks - _OF_ROOM else ""

    def _wrote(self, first: int, *, whole: bool = False) -> str:
        if self._disk is None:
            return ""
        found = self._disk.look(first, whole=whole)
        if 0 < self._limits.disk < found.bytes:
            return "disk"
        if 0 < self._room < found.bytes and _free(self._limits.places) < self._room * (1 - _FULL):
            return "full"
        if 0 < self._limits.files < found.files:
            return "files"
        return "file_size" if 0 < self._limits.file_size <= found.largest else ""


def _free(places: tuple[str, ...]) -> int:
    """Bytes on the disks of all places together; 0 if that is not known."""
    free = {}
    for place in places:
        with suppress(OSError):
            found = os.statvfs(place)
            free[os.stat(place).st_dev] = found.f_bavail * found.f_frsize
    return sum(free.values())


_KINDS = {"memory": "memory", "processes": "pids"}


def limits_in(wanted: tuple[object, ...] | None) -> Limits | None:
    """As they come from the controller."""
    return Limits(*wanted) if wanted is not None else None  # type: ignore[arg-type]


def bound_files(limits: Limits) -> None:
    """In the process that becomes the program: how large it may make a file."""
    if limits.file_size:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        most = limits.file_size if hard == resource.RLIM_INFINITY else min(hard, limits.file_size)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
