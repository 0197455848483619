"""Who owns a run, among real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interlock.ports import InfrastructureError
from interlock.settings import Owned, Owner, RunLock, lock, owner_of

ME = Owner(1, "here", "now")
HOLD = """
import os, sys
from pathlib import Path
from interlock.settings import Owner, RunLock
with RunLock(Path(sys.argv[1]), Owner(os.getpid(), "there", "earlier")):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_lock_is_taken_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "r1.lock"
    assert owner_of(path) is None
    with RunLock(path, ME):
        assert owner_of(path) == ME
    assert owner_of(path) is None
    with RunLock(path, ME):
        pass


def test_the_second_is_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "r1.lock"
    with _holder(path) as process:
        owner = Owner(process.pid, "there", "earlier")
        with pytest.raises(Owned, match=f"r1 is being run by process {process.pid} on there, since earlier") as raised:
            RunLock(path, ME).__enter__()
        assert raised.value.owner == owner == owner_of(path)


def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "r1.lock"
    with _holder(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert owner_of(path) is None
        with RunLock(path, ME):
            assert owner_of(path) == ME


def test_a_stopped_owner_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "r1.lock"
    with _holder(path) as process:
        process.send_signal(signal.SIGSTOP)
        assert owner_of(path) is not None
        with pytest.raises(Owned):
            RunLock(path, ME).__enter__()


def test_who_seizes_it_holds_it_and_the_one_before_is_told(tmp_path: Path) -> None:
    path, former = tmp_path / "r1.lock", RunLock(tmp_path / "r1.lock", Owner(7, "there", "earlier"))
    with former:
        former.check()
        with RunLock(path, ME, seize=True):
            assert owner_of(path) == ME
            with pytest.raises(Owned, match="r1 is being run by process 1 on here, since now"):
                former.check()
            with pytest.raises(Owned, match="process 1 on here"):
                RunLock(path, ME).__enter__()
        assert owner_of(path) is None
        with RunLock(path, ME) as next_one:
            next_one.check()
    assert [found.name for found in tmp_path.iterdir()] == ["r1.lock"]


def test_who_waited_for_a_lock_that_was_seized_meanwhile_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner ended after another file was put in the place of the one that is waited for."""
    path, real = tmp_path / "r1.lock", lock._try_lock
    with RunLock(path, ME, seize=True) as seized:

        def try_lock(descriptor: int, wait_s: float) -> bool:
            monkeypatch.setattr(lock, "_try_lock", real)
            lock._replace(path, "{}")  # by a second person, who takes it from the first
            return True

        monkeypatch.setattr(lock, "_try_lock", try_lock)
        with pytest.raises(Owned):
            RunLock(path, ME).__enter__()
        with pytest.raises(Owned):
            seized.check()


def test_a_lock_without_a_name_is_still_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "r1.lock"
    with _holder(path):
        path.write_text("not json")
        assert owner_of(path) == Owner(0, "an unknown host", "an unknown time")
        with pytest.raises(Owned, match="another process"):
            RunLock(path, ME).__enter__()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file")
    with pytest.raises(InfrastructureError, match="INTERLOCK_STATE_HOME"):
        RunLock(tmp_path / "locks" / "r1.lock", ME).__enter__()
