"""The journal on disk: several processes, kill -9, older and newer files, and disks that are in the way."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from interlock.core.events import TimeReached
from interlock.journal import SqliteJournal, database, sqlite
from interlock.ports import Damaged, InfrastructureError

FIRST = TimeReached(0.5)

APPEND = """
import sys
from pathlib import Path
from interlock.core.events import TimeReached
from interlock.journal import SqliteJournal
from interlock.ports import Fenced
path, run, count, mode = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
sys.stdin.read(1)
journal = SqliteJournal(path)
if mode == "create":
    journal.create(run, 0.0, TimeReached(0.0))
fence = journal.take(run)
after = len(journal.records(run))
print("fence", fence, flush=True)
for _ in range(count):
    try:
        after = journal.append(run, fence, after, 0.0, TimeReached(float(fence))).seq
    except Fenced:
        print("fenced", after, flush=True)
        break
    print(after, flush=True)
"""


@contextmanager
def _writer(path: Path, run: str, count: int, mode: str = "take") -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", APPEND, str(path), run, str(count), mode]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("g")
    process.stdin.flush()


def test_processes_share_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.db"
    with _writer(path, "a", 100, "create") as one, _writer(path, "b", 100, "create") as other:
        _go(one)
        _go(other)
        told = [process.communicate()[0].split() for process in (one, other)]
    assert [each[-1] for each in told] == ["101", "101"]
    with SqliteJournal(path) as journal:
        assert sorted(journal.runs()) == ["a", "b"]
        assert [each.seq for each in journal.records("a")] == list(range(1, 102))


def test_of_two_owners_in_two_processes_the_later_wins(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with SqliteJournal(path) as journal:
        journal.create("r1", 0.0, FIRST)
    with _writer(path, "r1", 100_000) as former, _writer(path, "r1", 20) as later:
        assert former.stdout is not None
        assert later.stdout is not None
        _go(former)
        while former.stdout.readline().strip() != "10":
            pass
        _go(later)
        assert later.stdout.readline().split() == ["fence", "2"]
        tail = former.communicate()[0].split("\n")
        assert any(line.startswith("fenced") for line in tail)
        later.communicate()
    with SqliteJournal(path) as journal:
        owners = [each.event.at for each in journal.records("r1")[1:]]  # type: ignore[union-attr]
    # The later one may itself be beaten to a place by the last append of the former, and then stops too.
    assert owners == sorted(owners)
    assert owners.count(1.0) >= 9


def test_a_killed_writer_tears_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    chance = random.Random(11)
    with SqliteJournal(path) as journal:
        journal.create("r1", 0.0, FIRST)
    for _ in range(12):
        with _writer(path, "r1", 100_000) as process:
            assert process.stdout is not None
            _go(process)
            told = process.stdout.readline()
            for _ in range(chance.randrange(60)):
                told = process.stdout.readline()
            process.kill()
            told = (told + process.stdout.read()).rpartition("\n")[0].split("\n")[-1]
        with SqliteJournal(path) as journal:
            history = journal.records("r1")
        assert [each.seq for each in history] == list(range(1, len(history) + 1))
        assert told.startswith("fence") or len(history) >= int(told)
    assert apsw.Connection(str(path)).pragma("integrity_check") == "ok"


def test_appends_at_once_share_a_transaction(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "journal.db") as journal:
        runs = [f"r{number}" for number in range(16)]
        for run in runs:
            journal.create(run, 0.0, FIRST)
        fences = {run: journal.take(run) for run in runs}
        before = _transactions(tmp_path)
        turn = journal._writes._turn
        with ThreadPoolExecutor(len(runs)) as pool, turn:
            appends = [pool.submit(journal.append, run, fences[run], 1, 0.0, FIRST) for run in runs]
            queued = journal._writes._queue
            while len(queued) < len(runs):
                threading.Event().wait(0.001)
            turn.release()
            assert [append.result().seq for append in appends] == [2] * len(runs)
            turn.acquire()
        assert _transactions(tmp_path) - before == 1


def _transactions(folder: Path) -> int:
    """Commits in the write-ahead log: the frames that carry a database size (bytes 4 to 8 of their header)."""
    log = (folder / "journal.db-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    frames = range(32, len(log), 24 + page)
    return sum(int.from_bytes(log[frame + 4 : frame + 8], "big") > 0 for frame in frames)


def test_what_sqlite_refuses_undoes_the_whole_batch(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "journal.db") as journal:
        journal.create("r1", 0.0, FIRST)
        fence = journal.take("r1")
        with pytest.raises(InfrastructureError):
            journal._writes.run(lambda connection: connection.execute("DELETE FROM event; SELECT nothing").get)
        assert journal.append("r1", fence, 1, 0.0, FIRST).seq == 2


def test_history_cannot_be_changed(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "journal.db") as journal:
        journal.create("r1", 0.0, FIRST)
    with pytest.raises(apsw.ConstraintError, match="never changed"):
        apsw.Connection(str(tmp_path / "journal.db")).execute("UPDATE event SET at = 0")


def test_history_cannot_be_removed_nor_appended_to_unchained(tmp_path: Path) -> None:
    """An earlier version may have the file open while it is brought up to date; it knows no digests."""
    with SqliteJournal(tmp_path / "journal.db") as journal:
        journal.create("r1", 0.0, FIRST)
        connection = apsw.Connection(str(tmp_path / "journal.db"))
        with pytest.raises(apsw.ConstraintError, match="never removed"):
            connection.execute("DELETE FROM event")
        with pytest.raises(apsw.ConstraintError, match="a newer Interlock has brought it up to date"):
            connection.execute("INSERT INTO event (run, seq, at, kind, version, body) VALUES (1, 2, 0, 'a', 1, '[]')")
        assert len(journal.records("r1")) == 1


def test_what_a_process_appends_another_reads_whole(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "journal.db") as journal, SqliteJournal(tmp_path / "journal.db") as other:
        journal.create("r1", 0, FIRST)
        fence = journal.take("r1")
        for after in range(1, 6):
            journal.append("r1", fence, after, float(after), FIRST)
            assert [each.seq for each in other.records("r1", after - 1)] == [after, after + 1]
            assert [each.seq for each in other.records("r1", after)] == [after + 1]
        assert other.records("r1", 6) == []
        assert other.lost() == []


def test_a_run_that_begins_meanwhile_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteJournal(tmp_path / "journal.db") as journal:
        known = journal.runs

        def then_one_begins() -> list[str]:
            found = known()
            journal.create("new", 0.0, FIRST)
            return found

        monkeypatch.setattr(journal, "runs", then_one_begins)
        assert journal.lost() == []


def test_a_history_that_ends_before_its_head_is_damaged(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "journal.db") as journal:
        journal.create("a/b", 0.0, FIRST)
        journal._heads.write("a/b", (3, bytes(32)))
        journal._heads.write("gone", (1, bytes(32)))
        assert journal.lost() == ["gone"]
        for after in (0, 1):
            with pytest.raises(Damaged, match="its history ends at event 1, but 3 were recorded"):
                journal.records("a/b", after)
        journal._heads.write("a/b", (1, bytes(32)))
        with pytest.raises(Damaged, match="event 1 is not the one that was recorded"):
            journal.records("a/b")
        with pytest.raises(Damaged, match="event 4 is no longer in the journal"):
            journal.records("a/b", 4)
        (tmp_path / "heads" / "a%2Fb").write_bytes(b"")  # as a loss of power may leave it
        assert len(journal.records("a/b")) == 1


def test_a_long_history_is_read_and_checked_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_READ", 3)
    monkeypatch.setattr(sqlite, "_PAGE", 2)
    with SqliteJournal(tmp_path / "journal.db") as journal:
        journal.create("a", 0.0, FIRST)
        fence = journal.take("a")
        for after in range(1, 9):
            journal.append("a", fence, after, 0.0, TimeReached(float(after)))
            whole = journal.records("a")
            assert [each.seq for each in whole] == list(range(1, after + 2))
            for known in range(after + 2):
                pages = list(journal.pages("a", known))
                assert [each for page in pages for each in page] == whole[known:]
                assert all(len(page) <= 2 for page in pages)
        for head in (2, 5, 9):  # in a page that others follow, and in the last one
            journal._heads.write("a", (head, bytes(32)))
            with pytest.raises(Damaged, match=f"event {head} is not the one that was recorded"):
                journal.records("a")
        journal._heads.write("a", (12, bytes(32)))
        with pytest.raises(Damaged, match="its history ends at event 9, but 12 were recorded"):
            journal.records("a")
        pages = journal.pages("a")
        assert [[each.seq for each in next(pages)] for _ in range(2)] == [[1, 2], [3]]
        with apsw.Connection(str(tmp_path / "journal.db")) as another:
            another.execute("DROP TRIGGER event_is_never_changed; UPDATE event SET body = '[7.0]' WHERE seq = 5")
        with pytest.raises(Damaged, match="event 5 was changed"):
            next(pages)


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    connection = apsw.Connection(str(path))
    database.migrate(connection, path, database.migrations()[:1])
    connection.execute("INSERT INTO run (id, fence) VALUES ('old', 4)")
    connection.execute("INSERT INTO event VALUES (1, 1, 2.5, 'TimeReached', 1, '[0.5]')")
    connection.close()
    with SqliteJournal(path) as journal:
        assert [(each.at, each.event) for each in journal.records("old")] == [(2.5, FIRST)]
        assert journal.take("old") == 5
        assert journal.recall("verdict", "none") is None
        assert journal.runs_without_digests() == 1
        assert journal.append("old", 5, 1, 3.0, FIRST).seq == 2
        assert [each.seq for each in journal.records("old")] == [1, 2]


def test_migrations_are_numbered_without_a_gap() -> None:
    known = database.migrations()
    assert [migration.number for migration in known] == list(range(1, len(known) + 1))


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    with pytest.raises(InfrastructureError, match=r"newer Interlock \(its schema is 9999.*upgrade"):
        SqliteJournal(path)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_none_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(InfrastructureError, match="damaged"):
        SqliteJournal(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    apsw.Connection(str(path)).execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(InfrastructureError, match="another program"):
        SqliteJournal(path)


def test_a_damaged_page_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with SqliteJournal(path) as journal:
        journal.create("r1", 0.0, FIRST)
        fence = journal.take("r1")
        for after in range(1, 1000):
            journal.append("r1", fence, after, 0.0, FIRST)
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = os.urandom(len(content) - 4096 * 3)
    path.write_bytes(content)
    with pytest.raises(InfrastructureError, match=r"damaged|cannot be read"):
        _read_all(path)


def _read_all(path: Path) -> None:
    with SqliteJournal(path) as journal:
        for run in journal.runs():
            journal.records(run)


def test_a_passing_error_costs_no_write_and_no_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteJournal(tmp_path / "journal.db") as journal:
        journal.create("r1", 0.0, FIRST)
        for name in ("_writes", "_reader"):
            monkeypatch.setattr(journal, name, _FailsOnce(getattr(journal, name)))
        fence = journal.take("r1")
        assert journal.append("r1", fence, 1, 0.0, FIRST).seq == 2
        assert journal.holds("r1", fence)
        assert [each.seq for each in journal.records("r1")] == [1, 2]


class _FailsOnce:
    """Stands for a disk: each of its calls fails the first time."""

    def __init__(self, real: Any) -> None:
        self._real, self._failed = real, set[str]()

    def run(self, work: Any) -> Any:
        self._fail("run", database.explain_error(apsw.IOError("disk I/O error"), Path("/")))
        return self._real.run(work)

    def execute(self, text: str, values: Any) -> Any:
        self._fail(text, apsw.IOError("disk I/O error"))
        return self._real.execute(text, values)

    def close(self) -> None:
        self._real.close()

    def _fail(self, call: str, error: Exception) -> None:
        if call not in self._failed:
            self._failed.add(call)
            raise error


# --- disks that are in the way -----------------------------------------------------------------


def test_a_library_that_can_lose_what_was_recorded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(InfrastructureError, match=r"SQLite 3\.51\.2 can lose .* install `apsw>=3\.51\.3`"):
        SqliteJournal(tmp_path / "journal.db")
    assert not (tmp_path / "journal.db").exists()
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.100.0")
    SqliteJournal(tmp_path / "journal.db").close()
