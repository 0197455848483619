"""One transaction and one fsync for all that is written at the same time.

The first thread to get the turn carries what the others have queued; there is no thread of its own to
start, stop or lose. A write refuses by raising InterlockError *before* it changes anything, and that fails
it alone; what SQLite raises undoes and fails the whole batch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import apsw

from interlock.journal import faults
from interlock.journal.statements import statement
from interlock.ports import InterlockError, machine_trouble

T = TypeVar("T")

_BATCH_MAX = 256


class GroupCommit:
    """Holds the writing connection. Safe to share among threads."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._queue: deque[_Write[object]] = deque()
        self._turn = threading.Lock()

    def run(self, work: Callable[[apsw.Connection], T]) -> T:
        """Do `work` in a transaction; what it returns is on disk. Raises what it raises, or InfrastructureError. Where
        this thread is interrupted meanwhile, it may be done or not."""
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
        """What is queued stays so until it is done: an interrupt of this thread loses nothing of the others."""
        while self._queue and self._queue[0].done:
            self._queue.popleft()
        batch = [self._queue[place] for place in range(min(len(self._queue), _BATCH_MAX))]
        try:
            self._transact(batch)
        except apsw.Error as error:
            _fail(batch, faults.explain(error, self._path))
        except Exception as error:  # noqa: BLE001 - it is raised by each of them
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
    """One thread's wish, and what became of it."""

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
