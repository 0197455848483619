"""Remove folders with any content: read-only folders, deep ones, odd names.

Rule: a path that cannot be removed does not stop the removal of others. Mounted files are not removed.
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

_DEPTH_MAX = 64  # deeper folders are moved up, so that no path becomes too long


def remove(path: Path | bytes) -> None:
    """Remove a folder or a file. It is no error if it does not exist.

    Raises InfrastructureError if something cannot be removed; everything else is removed then.
    """
    root = os.fsencode(path)
    work = _Removal(root, _mounts_below(root))
    work.run()
    if work.first is not None:
        stays, why = work.first
        more = f" (and {work.stays - 1} more)" if work.stays > 1 else ""
        raise InfrastructureError(f"{os.fsdecode(stays)}: cannot be removed: {why}{more}: unmount or remove it by hand")


def is_folder(path: bytes) -> bool:
    """Whether the path is a folder. A link to a folder is none."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


@dataclass(slots=True)
class _Removal:
    """The state of one removal. `first` is the first path that cannot be removed, and why."""

    root: bytes
    mounts: frozenset[bytes]
    stays: int = 0
    first: tuple[bytes, str] | None = None
    _moved: list[bytes] = field(default_factory=list)

    def run(self) -> None:
        """Depth first. Folders deeper than `_DEPTH_MAX` are moved beside the root and removed later."""
        with self._noting(self.root):
            if not is_folder(self.root):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.root)
                return
        waiting = [self.root]
        while waiting:
            self._empty(waiting.pop(), waiting)

    def _empty(self, top: bytes, waiting: list[bytes]) -> None:
        stack = [(top, self._strip(top))]
        while stack:
            folder, below = stack[-1]
            if not below:
                stack.pop()
                self._try(folder, partial(os.rmdir, folder))
            elif len(stack) < _DEPTH_MAX:
                child = below.pop()
                stack.append((child, self._strip(child)))
            else:
                child = below.pop()
                aside = self.root + b".deep-%d" % (len(self._moved) + 1)
                self._moved.append(aside)
                if self._try(child, partial(os.rename, child, aside)):
                    waiting.append(aside)

    def _strip(self, folder: bytes) -> list[bytes]:
        """Remove the files in `folder` and return its folders. Mounted files stay."""
        if folder in self.mounts:
            self._note(folder, os.strerror(errno.EBUSY))
            return []
        below: list[bytes] = []
        with self._noting(folder):
            for entry in _entries(folder):
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                else:
                    self._try(entry.path, partial(os.unlink, entry.path))
        return below

    def _try(self, path: bytes, act: Callable[[], None]) -> bool:
        """Do `act`. If the parent folder forbids it, change that folder's mode and repeat. Whether it worked."""
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
        """Note errors of the system. A path that does not exist is no error."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or self.first is None:  # not empty because of a path noted before
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


def _mounts_below(root: bytes) -> frozenset[bytes]:
    """The mount points below `root`, if the system lists them."""
    try:
        with open("/proc/self/mountinfo", "rb") as table:  # noqa: PTH123
            points = [line.split(b" ", 5)[4] for line in table if line.count(b" ") > 4]
    except OSError:
        return frozenset()
    plain = (re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), point) for point in points)
    real = os.path.realpath(root)
    return frozenset(root + point[len(real) :] for point in plain if point.startswith(real + b"/"))
