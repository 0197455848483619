"""Control groups of Linux, which bound memory and processes, also for root. Groups are made below that of the fork
server, or, where version 2 forbids that, beside it.

Rule: only the standard library, as for the supervisor. Rule: whether a group bounds anything is tried, never taken from
what is mounted.

A group is used for one program after another, since what it made lives on in caches of files that are counted for it,
and the kernel keeps a removed group as long as it does. The fork server removes its groups when it ends, and those of
fork servers that were killed when it starts.
"""

# pathlib alone would double the start time of the supervisor.
# ruff: noqa: PTH102, PTH106, PTH110, PTH118, PTH120, PTH123, PTH208
from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

_PREFIX = "interlock-"
_KINDS = ("memory", "pids")
_TESTED = {"memory": 1 << 30, "pids": 1000}
_PROCS = "cgroup.procs"
_BUSY_MAX_S = 1.0
# By version: where the limit of a kind is written, and the file and the line that count what was refused.
_FILES = {
    ("memory", 1): ("memory.limit_in_bytes", "memory.oom_control", "oom_kill"),
    ("memory", 2): ("memory.max", "memory.events", "oom_kill"),
    ("pids", 1): ("pids.max", "pids.events", "max"),
    ("pids", 2): ("pids.max", "pids.events", "max"),
}


class Parent(NamedTuple):
    """A folder below which groups of a kind can be made."""

    kind: str  # memory | pids
    version: int
    folder: str


def find_parents(proc: str = "/proc/self") -> tuple[Parent, ...]:
    """At most one for each kind. What fork servers left that were killed is removed."""
    found = []
    for kind in _KINDS:
        for parent in _candidates(kind, proc):
            _remove_left(parent.folder)
            if _holds(parent):
                found.append(parent)
                break
    return tuple(found)


class Group:
    """A group of each kind that can be had, for one program at a time."""

    def __init__(self, parents: tuple[Parent, ...], name: str) -> None:
        self._folders = {one.kind: (one.version, os.path.join(one.folder, f"{_PREFIX}{name}")) for one in parents}
        self._refused: dict[str, int] = {}

    @property
    def bounds(self) -> dict[str, str]:
        """By which means each kind is bounded."""
        return {kind: f"cgroup v{version}" for kind, (version, _) in self._folders.items()}

    def make(self) -> None:
        """Raises OSError."""
        for _, folder in self._folders.values():
            with suppress(FileExistsError):
                os.mkdir(folder)

    def set(self, limits: dict[str, int]) -> None:
        """Before a program is started. Raises OSError."""
        self.make()
        for kind, (version, folder) in self._folders.items():
            self._refused[kind] = _count(kind, version, folder)  # first: a limit may end who waits in the group
            _limit(kind, version, folder, limits.get(kind, 0))

    def enter(self) -> None:
        """The calling process, and all that it will start. Raises OSError."""
        for folder in dict.fromkeys(folder for _, folder in self._folders.values()):
            _write(os.path.join(folder, _PROCS), "0")

    def refused(self, kind: str) -> bool:
        """Whether the kernel refused something since `set`: it ended a process for its memory, or started none."""
        if kind not in self._folders:
            return False
        version, folder = self._folders[kind]
        return _count(kind, version, folder) > self._refused.get(kind, 0)

    def is_empty(self) -> bool:
        return not any(_read(os.path.join(folder, _PROCS)).strip() for _, folder in self._folders.values())

    def remove(self) -> None:
        for _, folder in self._folders.values():
            with suppress(OSError):
                os.rmdir(folder)


def _candidates(kind: str, proc: str) -> Iterator[Parent]:
    """The group of this process, and for version 2 also those above it."""
    mounts = list(_mounts(proc))
    for line in _read(f"{proc}/cgroup").splitlines():
        number, kinds, path = line.split(":", 2)
        version = 2 if number == "0" and not kinds else 1
        if version == 1 and kind not in kinds.split(","):
            continue
        for mounted, options, root, at in mounts:
            right = mounted == "cgroup2" if version == 2 else mounted == "cgroup" and kind in options
            if not right or ".." in path or os.path.commonpath([root, path]) != root:
                continue
            folder = os.path.normpath(os.path.join(at, os.path.relpath(path, root)))
            yield Parent(kind, version, folder)
            while version == 2 and len(folder) > len(at):
                folder = os.path.dirname(folder)
                yield Parent(kind, version, folder)


def _mounts(proc: str) -> Iterator[tuple[str, list[str], str, str]]:
    """Type, options, root in the hierarchy, and place of each mount of control groups."""
    for line in _read(f"{proc}/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup"):
            fields = before.split()
            yield after.split()[0], after.split()[-1].split(","), fields[3], fields[4]


def _holds(parent: Parent) -> bool:
    """Whether a group can be made there, bounded, and entered."""
    if parent.version == 2 and parent.kind not in _read(os.path.join(parent.folder, "cgroup.controllers")).split():
        return False
    if parent.version == 2 and parent.kind not in _read(os.path.join(parent.folder, "cgroup.subtree_control")).split():
        with suppress(OSError):
            _write(os.path.join(parent.folder, "cgroup.subtree_control"), f"+{parent.kind}")
    group = Group((parent,), f"{os.getpid()}-tried")
    try:
        group.set({parent.kind: _TESTED[parent.kind]})
        return _can_enter(group)
    except OSError:
        return False
    finally:
        group.remove()


def _can_enter(group: Group) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            group.enter()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _remove_left(folder: str) -> None:
    """Groups of fork servers that are gone. One that is in use cannot be removed."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        pid = name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            with suppress(OSError):
                os.rmdir(os.path.join(folder, name))


def _limit(kind: str, version: int, folder: str, limit: int) -> None:
    """0: none. A lower limit than what a former program left in caches is reached by giving these up."""
    file = os.path.join(folder, _FILES[kind, version][0])
    none = "-1" if (kind, version) == ("memory", 1) else "max"
    together = os.path.join(folder, "memory.memsw.limit_in_bytes")  # with what is swapped out
    if kind == "memory" and version == 1 and os.path.exists(together):
        _write(together, none)  # must never be lower than the other
    _write_patiently(file, str(limit) if limit else none)
    if kind == "memory" and limit:
        with suppress(OSError):
            if version == 1:
                _write(together, str(limit))
            else:
                _write(os.path.join(folder, "memory.swap.max"), "0")
                _write(os.path.join(folder, "memory.oom.group"), "1")


def _count(kind: str, version: int, folder: str) -> int:
    _, file, name = _FILES[kind, version]
    for line in _read(os.path.join(folder, file)).splitlines():
        if line.startswith(f"{name} "):
            return int(line.split()[1])
    return 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _write_patiently(path: str, text: str) -> None:
    """What a former program has given back is counted for a moment longer, on each processor."""
    until = time.monotonic() + _BUSY_MAX_S
    while True:
        try:
            return _write(path, text)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > until:
                raise
        time.sleep(0.001)


def _write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY)  # it must be there already
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)
