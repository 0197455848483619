"""The journal on disks that are in the way: full, full for a moment, and read-only."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from interlock.core.events import TimeReached
from interlock.journal import SqliteJournal, database, sqlite
from interlock.ports import InfrastructureError

FIRST = TimeReached(0.5)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted as root only")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


def _append_many(journal: SqliteJournal, run: str, fence: int) -> None:
    for after in range(len(journal.records(run)), 1000):
        journal.append(run, fence, after, 0.0, FIRST)


@pytest.mark.root
def test_a_full_disk_is_said_and_nothing_is_lost(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PAUSES_S", (0.01,))
    journal = SqliteJournal(small_disk / "journal.db")
    journal.create("r1", 0.0, FIRST)
    fence = journal.take("r1")
    ballast = _fill(small_disk)
    with pytest.raises(InfrastructureError, match="full: free some space") as raised:
        _append_many(journal, "r1", fence)
    assert not raised.value.permanent
    after = len(journal.records("r1"))
    ballast.unlink()
    assert journal.append("r1", fence, after, 0.0, FIRST).seq == after + 1
    journal.close()


@pytest.mark.root
def test_a_disk_that_is_full_for_a_moment_is_waited_for(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteJournal(small_disk / "journal.db") as journal:
        journal.create("r1", 0.0, FIRST)
        fence = journal.take("r1")
        ballast = _fill(small_disk)
        monkeypatch.setattr(sqlite, "PAUSES_S", ())
        with pytest.raises(InfrastructureError, match="full"):
            _append_many(journal, "r1", fence)
        monkeypatch.setattr(sqlite, "PAUSES_S", (0.1,) * 20)
        after = len(journal.records("r1"))
        threading.Timer(0.3, ballast.unlink).start()
        assert journal.append("r1", fence, after, 0.0, FIRST).seq == after + 1


@pytest.mark.root
def test_a_full_disk_at_the_start_is_said(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PAUSES_S", (0.01,))
    _fill(small_disk)
    with pytest.raises(InfrastructureError, match="full"):
        SqliteJournal(small_disk / "journal.db")


@pytest.mark.root
def test_a_read_only_disk_is_said(small_disk: Path) -> None:
    SqliteJournal(small_disk / "journal.db").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for path in (small_disk / "journal.db", small_disk / "new" / "journal.db"):
        with pytest.raises(InfrastructureError, match=r"cannot be written.*INTERLOCK_STATE_HOME"):
            SqliteJournal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(InfrastructureError, match="cannot be written"):
        SqliteJournal(tmp_path / "state" / "journal.db")
    tmp_path.chmod(0o755)


def test_a_state_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(InfrastructureError, match="cannot be written"):
        SqliteJournal(tmp_path / "state" / "journal.db")


def test_a_journal_that_is_there_and_could_not_be_opened_may_be_opened_later(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "journal.db").close()
    refused = apsw.CantOpenError("unable to open database file")
    assert not database.explain_error(refused, tmp_path / "journal.db").permanent
    assert database.explain_error(refused, tmp_path / "nowhere" / "journal.db").permanent
