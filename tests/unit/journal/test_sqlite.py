"""What is written together: an interrupt, a defect or a passing error writes nothing twice and loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from interlock.journal import sqlite
from interlock.journal.sqlite import PAUSES_S, GroupCommit, _Write, with_retries
from interlock.ports import Fenced, InfrastructureError


class Interrupting:
    """A connection that is interrupted once, before or right after a statement."""

    def __init__(self, word: str, *, after: bool, error: BaseException | None = None) -> None:
        self.real = apsw.Connection(":memory:")
        self.real.execute("CREATE TABLE told (name)")
        self._word, self._after, self._error = word, after, error or KeyboardInterrupt()

    @property
    def in_transaction(self) -> bool:
        return self.real.in_transaction

    def execute(self, text: str, *values: object) -> object:
        strikes = text.startswith(self._word)
        self._word = "nothing more" if strikes else self._word
        if strikes and not self._after:
            raise self._error
        done = self.real.execute(text, *values)  # type: ignore[arg-type]
        if strikes:
            raise self._error
        return done

    def told(self) -> list[str]:
        return [row[0] for row in self.real.execute("SELECT name FROM told ORDER BY name")]


def group(connection: Interrupting) -> GroupCommit:
    return GroupCommit(connection, Path("journal.db"))  # type: ignore[arg-type]


def telling(name: str) -> Callable[[apsw.Connection], str]:
    def work(connection: apsw.Connection) -> str:
        connection.execute("INSERT INTO told VALUES (?)", (name,))
        return name

    return work


def queued(writes: GroupCommit, work: Callable[[apsw.Connection], object]) -> _Write[object]:
    """Of another thread, which waits for its turn."""
    write = _Write(work)
    writes._queue.append(write)
    return write


@pytest.mark.parametrize(("word", "after"), [
    ("BEGIN", False), ("BEGIN", True), ("INSERT", True), ("COMMIT", False), ("COMMIT", True),
])  # fmt: skip
def test_an_interrupt_costs_the_others_nothing(word: str, after: bool) -> None:
    connection = Interrupting(word, after=after)
    writes = group(connection)
    other = queued(writes, telling("other"))
    with pytest.raises(KeyboardInterrupt):
        writes.run(telling("mine"))
    assert not connection.in_transaction
    assert other.done is (word == "COMMIT" and after)
    writes.run(telling("third"))
    assert other.outcome() == "other"
    assert connection.told() == ["mine", "other", "third"]


def test_a_defect_is_raised_by_all_that_share_the_batch_and_by_no_later_one() -> None:
    connection = Interrupting("nothing", after=False)
    writes = group(connection)
    other = queued(writes, lambda _: [][0])
    with pytest.raises(IndexError):
        writes.run(telling("mine"))
    with pytest.raises(IndexError):
        other.outcome()
    writes.run(telling("third"))
    assert connection.told() == ["third"]


@pytest.mark.parametrize("error", [apsw.IOError("disk I/O error"), MemoryError()])
def test_what_passes_is_written_once(error: Exception) -> None:
    connection = Interrupting("COMMIT", after=False, error=error)
    writes, pauses = group(connection), list[float]()
    assert with_retries(lambda: writes.run(telling("mine")), pauses.append) == "mine"
    assert connection.told() == ["mine"]
    assert pauses == [PAUSES_S[0]]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (InfrastructureError("passing"), len(PAUSES_S) + 1),
        (InfrastructureError("full", permanent=True), 1),
        (Fenced("another owner"), 1),
    ],
)
def test_patience_has_an_end_and_is_for_what_may_pass(error: Exception, tries: int) -> None:
    asked: list[int] = []

    def fail() -> None:
        asked.append(1)
        raise error

    with pytest.raises(type(error)):
        with_retries(fail, lambda _: None)
    assert len(asked) == tries


def test_what_was_slow_by_itself_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter(range(0, 36_000, 3_600))
    monkeypatch.setattr(sqlite.time, "monotonic", lambda: next(hours))
    asked: list[int] = []

    def fail() -> None:
        asked.append(1)
        raise InfrastructureError("held by another process")

    with pytest.raises(InfrastructureError):
        with_retries(fail, lambda _: None)
    assert len(asked) == 1
