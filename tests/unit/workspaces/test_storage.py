"""A lock of another process is waited for, and not without end."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from interlock.ports import InfrastructureError
from interlock.workspaces.storage import lock_file


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_it_is_taken_when_the_other_lets_go(tmp_path: Path) -> None:
    mine, other = opened(tmp_path / "l"), opened(tmp_path / "l")
    fcntl.flock(other, fcntl.LOCK_EX)
    waiting = threading.Thread(target=lock_file, args=(mine, tmp_path / "l"))
    waiting.start()
    os.close(other)
    waiting.join()
    with pytest.raises(BlockingIOError):
        fcntl.flock(opened(tmp_path / "l"), fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.close(mine)


def test_one_that_is_never_let_go_is_told(tmp_path: Path) -> None:
    mine, other = opened(tmp_path / "l"), opened(tmp_path / "l")
    fcntl.flock(other, fcntl.LOCK_SH)
    lock_file(mine, tmp_path / "l", shared=True, wait_max_s=0.0)
    with pytest.raises(InfrastructureError, match="held by another process"):
        lock_file(mine, tmp_path / "l", wait_max_s=0.0)


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_fd: int, _mode: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(InfrastructureError, match="does not support locks"):
        lock_file(opened(tmp_path / "l"), tmp_path / "l")
