"""Removing folders whatever is in them: read-only folders, deep ones, odd names.

Rule: what cannot be removed keeps nothing else from being removed, and nothing is removed that is mounted there.
"""

# Paths are bytes here, which pathlib cannot hold.
# ruff: noqa: PTH101, PTH108, PTH120

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from interlock.ports import InfrastructureError

_DEPTH_MAX = 64  # folders are moved up when they lie deeper, so that no path grows too long


def remove(place: Path | bytes) -> None:
    """Remove a folder or a file. No error where it is gone.

    Raises InfrastructureError where something stays; all else is removed then.
    """
    root = os.fsencode(place)
    work = _Removal(root, _mounts_below(root))
    work.run()
    if work.first is not None:
        path, why = work.first
        more = f" (and {work.stays - 1} more)" if work.stays > 1 else ""
        raise InfrastructureError(f"{os.fsdecode(path)}: cannot be removed: {why}{more}: unmount or remove it by hand")


def is_folder(path: bytes) -> bool:
    """Whether there is a folder, and not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


@dataclass(slots=True)
class _Removal:
    """One removal at work. `first` is what stayed first, and why."""

    place: bytes
    mounts: frozenset[bytes]
    stays: int = 0
    first: tuple[bytes, str] | None = None
    _moved: list[bytes] = field(default_factory=list)

    def run(self) -> None:
        """Depth first; folders below `_DEPTH_MAX` are moved up beside the place and removed later."""
        with self._noting(self.place):
            if not is_folder(self.place):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.place)
                return
        waiting = [self.place]
        while waiting:
            self._empty(waiting.pop(), waiting)

    def _empty(self, top: bytes, waiting: list[bytes]) -> None:
        stack = [(top, self._strip(top))]
        while stack:
            folder, below = stack[-1]
            if not below:
                stack.pop()
                self._insisting(folder, partial(os.rmdir, folder))
            elif len(stack) < _DEPTH_MAX:
                child = below.pop()
                stack.append((child, self._strip(child)))
            else:
                child = below.pop()
                aside = self.place + b".deep-%d" % (len(self._moved) + 1)
                self._moved.append(aside)
                if self._insisting(child, partial(os.rename, child, aside)):
                    waiting.append(aside)

    def _strip(self, folder: bytes) -> list[bytes]:
        """Remove all in `folder` but folders, which are returned. What is mounted stays as it is."""
        if folder in self.mounts:
            self._note(folder, os.strerror(errno.EBUSY))
            return []
        below: list[bytes] = []
        with self._noting(folder):
            for entry in _entries(folder):
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                else:
                    self._insisting(entry.path, partial(os.unlink, entry.path))
        return below

    def _insisting(self, path: bytes, act: Callable[[], None]) -> bool:
        """Do it; where the folder around `path` forbids it, give us the right and do it again. Whether it is done."""
        before = self.stays
        with self._noting(path):
            try:
                act()
            except FileNotFoundError:
                pass
            except PermissionError:
                os.chmod(os.path.dirname(path), 0o700)
                act()
        return self.stays == before

    @contextlib.contextmanager
    def _noting(self, path: bytes) -> Iterator[None]:
        """What the system refuses is noted, and no more than that: what is gone is removed, whoever did it."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or self.first is None:  # it is not empty for what was noted before
                self._note(path, error.strerror or str(error))

    def _note(self, path: bytes, why: str) -> None:
        self.first = self.first or (path, why)
        self.stays += 1


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        os.chmod(folder, 0o700)
        with os.scandir(folder) as entries:
            return list(entries)


def _mounts_below(place: bytes) -> frozenset[bytes]:
    """Where something is mounted in it, as far as the system says so."""
    try:
        with open("/proc/self/mountinfo", "rb") as table:  # noqa: PTH123
            points = [line.split(b" ", 5)[4] for line in table if line.count(b" ") > 4]
    except OSError:
        return frozenset()
    plain = (re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), point) for point in points)
    real = os.path.realpath(place)
    return frozenset(place + point[len(real) :] for point in plain if point.startswith(real + b"/"))
