"""What a controller observes of a program: its output, in a log of bounded size, and its activity (output, file writes,
CPU time).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from interlock.ports import InfrastructureError
from interlock.process.table import descendants, process

TAIL_BYTES = 65_536
_FULL_MAX_S = 5.0  # longer than it takes to see who filled the disk


class BoundedLog:
    """A log of at most about `bytes_max` bytes. The first half is written at once, so that people can follow it; the
    last half is written at the end, after a line that says how many bytes are missing. `patient`: on a full disk it
    waits a few seconds for the limit that the program has passed."""

    def __init__(self, path: Path, bytes_max: int, *, patient: bool = False) -> None:
        self._path = path
        self._patient = patient
        self._head_free = bytes_max - bytes_max // 2
        self._keep = bytes_max // 2
        self._last = bytearray()  # the end of the output after the head
        self._tail = bytearray()  # the end of all output, including the head
        self._after_head = 0
        self._notes = b""
        self._full = ""  # what the system said of the disk
        self._full_until = 0.0
        self.excused = False  # output may be missing: the program was ended for what it wrote
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)

    def __enter__(self) -> BoundedLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._file, self._on_disk():
            if self.left_out:
                self._write(b"\n[... %d bytes left out ...]\n" % self.left_out)
            self._write(_end(self._last, self._keep) + self._notes)
        if self._full and kind is None and not self.excused:
            raise self._unwritten()

    @property
    def left_out(self) -> int:
        """Bytes that are not in the log."""
        return max(0, self._after_head - self._keep)

    @property
    def tail(self) -> bytes:
        """The last 64 KiB of the output."""
        return _end(self._tail, TAIL_BYTES)

    def note(self, line: str) -> None:
        """A line of ours, behind all output: it is not in the tail."""
        self._notes += f"{line}\n".encode("utf-8", "backslashreplace")

    def add(self, chunk: bytes) -> None:
        """Add output. On a full disk a patient log only keeps it for the tail, for some seconds: the program that
        filled it may be about to be ended for that. Then raises InfrastructureError."""
        _append(self._tail, chunk, TAIL_BYTES)
        head, rest = chunk[: self._head_free], chunk[self._head_free :]
        if head:
            self._head_free -= len(head)
            with self._on_disk():
                self._write(head)
        if rest:
            self._after_head += len(rest)
            _append(self._last, rest, self._keep)

    def check(self) -> None:
        """Raises InfrastructureError if the disk was full for too long."""
        if self._full and time.monotonic() > self._full_until:
            raise self._unwritten()

    def _unwritten(self) -> InfrastructureError:
        return InfrastructureError(f"cannot write the log {self._path}: {self._full}")

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        with _explained(self._path):
            try:
                yield
            except OSError as error:
                if not self._patient or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._full_until = self._full_until if self._full else time.monotonic() + _FULL_MAX_S
                self._full = os.strerror(error.errno)
                self.check()

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]


def _append(buffer: bytearray, chunk: bytes, keep: int) -> None:
    """Append, and trim rarely: moving the whole buffer for every chunk would be slow."""
    buffer += chunk
    if len(buffer) > 2 * keep + 1_000_000:
        del buffer[: len(buffer) - keep]


def _end(buffer: bytearray, count: int) -> bytes:
    return bytes(buffer[max(0, len(buffer) - count) :])


class _explained:
    """Turns an OSError into an InfrastructureError with the path of the log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise InfrastructureError(f"cannot write the log {self._path}: {error.strerror}") from error


# --- signs of life ---------------------------------------------------------------------------


CPU_SHARE_MIN = 0.01  # of one core; a hung program that polls uses less, a working one more
WATCH_ENTRIES_MAX = 200_000  # files looked at, about a second's worth, once per idle timeout


class Pulse:
    """The activity of the tree below `supervisor`. CPU time is checked four times per idle timeout, files only when the
    timeout is over."""

    def __init__(self, supervisor: int, idle_timeout_s: float, watch: Sequence[Path]) -> None:
        self._supervisor = supervisor
        self._idle_s = idle_timeout_s
        self._watch = watch
        self._life = self._looked = time.monotonic()
        self._cpu_s = 0.0

    def beat(self) -> None:
        """Record output."""
        self._life = time.monotonic()

    def has_stopped(self) -> bool:
        """Whether there was no activity for the idle timeout. Never if that is 0."""
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
        """A smaller sum is activity too: a process ended and nobody inherited its time."""
        used_s = _cpu_s(self._supervisor)
        if abs(used_s - self._cpu_s) >= CPU_SHARE_MIN * (now - self._looked):
            self._life = now
        self._cpu_s, self._looked = used_s, now


def _cpu_s(supervisor: int) -> float:
    """The CPU time of the whole tree, including ended processes that were waited for."""
    root = process(supervisor)
    return sum(each.cpu_s for each in descendants({supervisor})) + (root.cpu_s if root else 0.0)


def _newest_change(folders: Sequence[Path]) -> float:
    """The time of the newest change, in unix seconds; 0 if there is none. By ctime: unpacking can reset an mtime."""
    newest = 0.0
    for count, entry in enumerate(_entries([str(folder) for folder in folders])):
        if count >= WATCH_ENTRIES_MAX:
            break
        try:
            newest = max(newest, entry.stat(follow_symlinks=False).st_ctime)
        except OSError:  # removed meanwhile
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
        except OSError:  # removed meanwhile, or not readable
            continue
