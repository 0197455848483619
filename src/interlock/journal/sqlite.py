"""The journal in one SQLite file, for all runs of a repository.

Rule: an event that `append` has returned is on disk, and reading returns what was appended. Threads that write at once
share one transaction and one fsync, and several processes may use the same file. Each check is in the same transaction
as its write.

Rule: all SQL is in `queries.sql`.

Rule: temporary errors of the journal are retried, so that a short one loses no paid work. Only operations that change
nothing if they fail are retried, and permanent errors are not.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import apsw

from interlock.core.events import Event, Recorded
from interlock.core.inbox import Answer
from interlock.core.wire import encode_event, kind_of
from interlock.journal import chain, codec, database
from interlock.journal.chain import Heads
from interlock.journal.rules import check_append, no_such_run, settles
from interlock.ports import InfrastructureError, InterlockError, UsageError, machine_trouble

T = TypeVar("T")
_READ = 1_000  # events of one query
_PAGE = 200  # of them decoded at once: what is folded page by page stays in the processor's cache
_Event = tuple[int, float, str, int, str]  # seq, at, kind, version, body
_Value = str | int | float


class SqliteJournal:
    """Implements `ports.Journal`, `ports.Cache` and `ports.Notes`. Open one per process, share it between threads, and
    close it at the end."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. Raises InfrastructureError."""
        self._path = path
        self._writes = GroupCommit(with_retries(partial(database.open_journal, path)), path)
        self._reader = with_retries(partial(database.open_reader, path))
        self._reading = threading.Lock()
        self._heads = Heads(path.parent / "heads")
        if not self._heads.exists():
            self._heads.begin()
            for run, *head in self._read("heads", {}):
                self._heads.write(run, (head[0], head[1]))

    def __enter__(self) -> SqliteJournal:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        with self._reading:
            self._reader.close()
        self._writes.close()

    def create(self, run: str, at: float, event: Event) -> None:
        row = _row(Recorded(1, at, event))
        digest = chain.next_digest(chain.first_digest(run), row)

        def write(connection: apsw.Connection) -> None:
            if connection.execute(statement("run_number"), {"run": run}).get is not None:
                raise UsageError(f"run {run} already exists: a new run needs a new id")
            number = connection.execute(statement("create_run"), {"run": run}).get
            _insert(connection, number, row, digest)

        self._write(write)
        self._heads.write(run, (1, digest))

    def runs(self) -> list[str]:
        return [row[0] for row in self._read("run_ids", {})]

    def heads(self, most: int) -> dict[str, int]:
        return dict(self._read("newest_heads", {"most": most}))

    def records(self, run: str, after: int = 0) -> list[Recorded]:
        """Raises Damaged if the history is not as it was recorded."""
        return [record for page in self.pages(run, after) for record in page]

    def pages(self, run: str, after: int = 0) -> Iterator[list[Recorded]]:
        """Raises Damaged if the history is not as it was recorded."""
        head = self._heads.read(run)  # before the rows: the journal is never behind the head
        while rows := self._read("events_from", {"run": run, "after": after, "most": _READ}):
            last = len(rows) < _READ
            newer = chain.check_rows(run, after, rows, head, last=last)
            for at in range(0, len(newer), _PAGE):
                yield codec.decode_rows(newer[at : at + _PAGE])
            if last:
                return
            after = rows[-1][0]
        if head:
            chain.check_rows(run, after, rows, head)

    def lost(self, traces: Iterable[str] = ()) -> list[str]:
        """Runs that have a head or are in `traces`, and are not in the file. The file is read last, since a run is in
        the file before it leaves any trace."""
        named = {*traces, *self._heads.runs()}
        return sorted(named.difference(self.runs()))

    def runs_without_digests(self) -> int:
        """How many runs began before events had digests."""
        return int(self._read("adopted_runs", {})[0][0])

    def take(self, run: str) -> int:
        def write(connection: apsw.Connection) -> int:
            fence: int | None = connection.execute(statement("take_run"), {"run": run}).get
            if fence is None:
                raise no_such_run(run)
            return fence

        return self._write(write)

    def append(self, run: str, fence: int, after: int, at: float, event: Event) -> Recorded:
        recorded = Recorded(after + 1, at, event)
        row = _row(recorded)

        def write(connection: apsw.Connection) -> bytes:
            head = connection.execute(statement("run_head"), {"run": run}).get
            if head is None:
                raise no_such_run(run)
            number, newest_fence, newest, before = head
            check_append(run, (fence, newest_fence), (after, newest))
            digest = chain.next_digest(before, row)
            _insert(connection, number, row, digest)
            if answer := settles(event):
                connection.execute(statement("settle_answer"), {"id": answer, "run": number, "seq": recorded.seq})
            return digest

        self._heads.write(run, (recorded.seq, self._write(write)))
        return recorded

    def holds(self, run: str, fence: int) -> bool:
        return self._read("run_fence", {"run": run}) == [(fence,)]

    def put_answer(self, answer: Answer) -> None:
        body = codec.encode_answer(answer)

        def write(connection: apsw.Connection) -> None:
            number = connection.execute(statement("run_number"), {"run": answer.run}).get
            if number is None:
                raise no_such_run(answer.run)
            values = {"id": answer.id, "run": number, "version": codec.VERSION, "body": body}
            connection.execute(statement("put_answer"), values)

        self._write(write)

    def answers(self, run: str) -> list[Answer]:
        return [codec.decode_answer(*row) for row in self._read("unsettled_answers", {"run": run})]

    def remember(self, kind: str, key: str, value: str) -> None:
        values = {"kind": kind, "key": key, "value": value}
        self._write(lambda connection: connection.execute(statement("remember"), values).get)

    def recall(self, kind: str, key: str) -> str | None:
        return next((row[0] for row in self._read("recall", {"kind": kind, "key": key})), None)

    def note(self, kind: str, key: str, value: str) -> None:
        """As `remember`: nothing that is remembered here is ever removed."""
        self.remember(kind, key, value)

    def noted(self, kind: str, key: str) -> str | None:
        return self.recall(kind, key)

    def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        return with_retries(partial(self._writes.run, work))

    def _read(self, name: str, values: dict[str, _Value]) -> list[tuple[Any, ...]]:
        return with_retries(partial(self._rows, name, values))

    def _rows(self, name: str, values: dict[str, _Value]) -> list[tuple[Any, ...]]:
        try:
            with self._reading:
                return self._reader.execute(statement(name), values).fetchall()
        except apsw.Error as error:
            raise database.explain_error(error, self._path) from error


def _row(recorded: Recorded) -> _Event:
    event = recorded.event
    return recorded.seq, float(recorded.at), kind_of(event), codec.VERSION, encode_event(event)


def _insert(connection: apsw.Connection, number: int, row: _Event, digest: bytes) -> None:
    names = ("seq", "at", "kind", "version", "body")
    connection.execute(
        statement("append_event"), {"run": number, "digest": digest, **dict(zip(names, row, strict=True))}
    )


# --- transactions -------------------------------------------------------------------------------


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
