"""A log with a bound: the first part and the last part of what came, and a line that says how much is missing."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from interlock.ports import InfrastructureError

TAIL_BYTES = 65_536


class BoundedLog:
    """Writes the first half of `bytes_max` at once, so that it can be followed, and the last half at the end."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        self._path = path
        self._head_left = bytes_max - bytes_max // 2
        self._keep = bytes_max // 2
        self._last = bytearray()  # what came after the head
        self._tail = bytearray()  # the end of all, head included
        self._after_head = 0
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)

    def __enter__(self) -> BoundedLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._file, _explained(self._path):
            if self.left_out:
                self._write(b"\n[... %d bytes left out ...]\n" % self.left_out)
            self._write(_end(self._last, self._keep))

    @property
    def left_out(self) -> int:
        """Bytes that are not in the log."""
        return max(0, self._after_head - self._keep)

    @property
    def tail(self) -> bytes:
        """The last 64 KiB of all that came."""
        return _end(self._tail, TAIL_BYTES)

    def add(self, chunk: bytes) -> None:
        """Raises InfrastructureError where the disk is full."""
        _append(self._tail, chunk, TAIL_BYTES)
        head, rest = chunk[: self._head_left], chunk[self._head_left :]
        if head:
            self._head_left -= len(head)
            with _explained(self._path):
                self._write(head)
        if rest:
            self._after_head += len(rest)
            _append(self._last, rest, self._keep)

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]


def _append(buffer: bytearray, chunk: bytes, keep: int) -> None:
    """Trim seldom: moving the whole buffer for every chunk would make a long output slow."""
    buffer += chunk
    if len(buffer) > 2 * keep + 1_000_000:
        del buffer[: len(buffer) - keep]


def _end(buffer: bytearray, count: int) -> bytes:
    return bytes(buffer[max(0, len(buffer) - count) :])


class _explained:
    """Turns an OSError into what a person can act on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise InfrastructureError(f"cannot write the log {self._path}: {error.strerror}") from error
