"""Transactions: one transaction and one fsync for all writes of the same moment, the named SQL, and retries.

The first thread that gets the lock executes the writes that the others have queued, so no separate thread is needed. A
write refuses by raising InterlockError *before* it changes anything, and then it fails alone. An error of SQLite rolls
back and fails the whole batch.

Rule: all SQL is in `queries.sql`.

Rule: temporary errors of the journal are retried, so that a short one loses no paid work. Only operations that change
nothing if they fail are retried, and permanent errors are not.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

import apsw

from interlock.journal import database
from interlock.ports import InfrastructureError, InterlockError, machine_trouble

T = TypeVar("T")

_BATCH_MAX = 256


class GroupCommit:
    """Owns the writing connection. Threads may share it."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._queue: deque[_Write[object]] = deque()
        self._turn = threading.Lock()

    def run(self, work: Callable[[apsw.Connection], T]) -> T:
        """Do `work` in a transaction; its changes are on disk when this returns. Raises what `work` raises, or
        InfrastructureError. If this thread is interrupted meanwhile, the work may be done or not."""
        write = _Write(work)
        self._queue.append(write)  # type: ignore[arg-type]
        with self._turn:
            while not write.done:
                self._carry_batch()
        return write.outcome()

    def close(self) -> None:
        with self._turn:
            self._connection.close()

    def _carry_batch(self) -> None:
        """Writes stay queued until they are done, so an interrupt of this thread loses no write of the others."""
        while self._queue and self._queue[0].done:
            self._queue.popleft()
        batch = [self._queue[place] for place in range(min(len(self._queue), _BATCH_MAX))]
        try:
            self._transact(batch)
        except apsw.Error as error:
            _fail(batch, database.explain_error(error, self._path))
        except Exception as error:  # noqa: BLE001 - each thread raises it
            _fail(batch, machine_trouble(error) or error)

    def _transact(self, batch: list[_Write[object]]) -> None:
        connection, begun = self._connection, False
        try:
            connection.execute(statement("begin"))
            begun = True
            for write in batch:
                write.attempt(connection)
            connection.execute(statement("commit"))
            _finish(batch)
        except BaseException as error:
            if connection.in_transaction:
                connection.execute(statement("rollback"))
            elif begun and not isinstance(error, Exception):  # an interrupt right after the commit
                _finish(batch)
            raise


def _finish(batch: list[_Write[object]]) -> None:
    for write in batch:
        write.done = True


def _fail(batch: list[_Write[object]], error: Exception) -> None:
    for write in batch:
        write.fail(error)


class _Write(Generic[T]):
    """One thread's write, and its result."""

    __slots__ = ("_error", "_value", "_work", "done")

    def __init__(self, work: Callable[[apsw.Connection], T]) -> None:
        self._work = work
        self._value: T | None = None
        self._error: Exception | None = None
        self.done = False

    def attempt(self, connection: apsw.Connection) -> None:
        try:
            self._value, self._error = self._work(connection), None
        except InterlockError as error:
            self._error = error

    def fail(self, error: Exception) -> None:
        self._error, self.done = error, True

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


# --- statements ------------------------------------------------------------------------------


_NAMED = re.compile(r"^-- name: (?P<name>\w+)\n(?P<text>.*?);$", re.MULTILINE | re.DOTALL)


def statement(name: str) -> str:
    """The text of one statement. Raises KeyError if there is none with that name."""
    return _statements()[name]


@cache
def _statements() -> dict[str, str]:
    text = Path(__file__).with_name("queries.sql").read_text(encoding="utf-8")
    return {match["name"]: match["text"].strip() for match in _NAMED.finditer(text)}


# --- retries ---------------------------------------------------------------------------------


PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.0, 2.0, 3.0)
_LONG_S = (
    10.0  # in total: an operation that itself waits, such as for a lock of SQLite, is not repeated again and again
)


def with_retries(work: Callable[[], T], pause: Callable[[float], object] = time.sleep) -> T:
    """Call `work` until it succeeds. Raises its last error."""
    until = time.monotonic() + _LONG_S
    for pause_s in PAUSES_S:
        try:
            return work()
        except InfrastructureError as error:
            if error.permanent or time.monotonic() >= until:
                raise
        pause(pause_s)
    return work()
