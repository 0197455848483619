"""Whether a program is still at it: output, file writes and CPU time all count as life."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from interlock.process.table import descendants, process

CPU_SHARE_MIN = 0.01  # of one core; a hung program that polls uses less, a working one more
WATCH_ENTRIES_MAX = 200_000  # files looked at, about a second's worth, once per idle timeout


class Pulse:
    """Looks at the tree below `supervisor` four times per idle timeout, at files only when that is over."""

    def __init__(self, supervisor: int, idle_timeout_s: float, watch: Sequence[Path]) -> None:
        self._supervisor = supervisor
        self._idle_s = idle_timeout_s
        self._watch = watch
        self._life = self._looked = time.monotonic()
        self._cpu_s = 0.0

    def beat(self) -> None:
        """There was output."""
        self._life = time.monotonic()

    def has_stopped(self) -> bool:
        """No sign of life for the idle timeout; never where that is 0."""
        if not self._idle_s:
            return False
        now = time.monotonic()
        if now - self._looked >= self._idle_s / 4:
            self._look_at_cpu(now)
        if now - self._life >= self._idle_s:
            age_s = max(0.0, time.time() - _newest_change(self._watch))
            self._life = max(self._life, now - age_s)
        return now - self._life >= self._idle_s

    def _look_at_cpu(self, now: float) -> None:
        """A sum that fell is life too: a process ended whose time nobody inherited."""
        used_s = _cpu_s(self._supervisor)
        if abs(used_s - self._cpu_s) >= CPU_SHARE_MIN * (now - self._looked):
            self._life = now
        self._cpu_s, self._looked = used_s, now


def _cpu_s(supervisor: int) -> float:
    """Of the whole tree, the dead that were waited for included."""
    root = process(supervisor)
    return sum(each.cpu_s for each in descendants({supervisor})) + (root.cpu_s if root else 0.0)


def _newest_change(folders: Sequence[Path]) -> float:
    """Unix seconds, 0 where there is nothing. By ctime, which unlike mtime no unpacking sets back."""
    newest = 0.0
    for count, entry in enumerate(_entries([str(folder) for folder in folders])):
        if count >= WATCH_ENTRIES_MAX:
            break
        try:
            newest = max(newest, entry.stat(follow_symlinks=False).st_ctime)
        except OSError:  # removed in between
            continue
    return newest


def _entries(folders: list[str]) -> Iterator[os.DirEntry[str]]:
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                for entry in found:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:  # removed in between, or not for us to read
            continue
