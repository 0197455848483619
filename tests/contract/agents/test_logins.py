"""A lent login: what is written back, and what never is."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.agents.credentials import lent_login
from interlock.ports import Cancelled, InfrastructureError

_OLD = json.dumps({"tokens": {"refresh": "1", "access": "a1", "type": "oauth"}, "key": "own"})
_FRESH = {"tokens": {"refresh": "2", "access": "a2", "type": "oauth"}, "key": "own"}
_NEW = json.dumps(_FRESH, indent=2)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "auth.json"
    path.write_text(_OLD)
    return path


def lend(original: Path, left: str | None, meanwhile: str = "") -> str:
    copy = original.parent / "state" / "of" / "copy.json"  # its folder is created
    with lent_login(original, copy, threading.Event()):
        assert copy.read_text() == _OLD
        copy.unlink() if left is None else copy.write_text(left)
        if meanwhile:
            original.write_text(meanwhile)
    return original.read_text()


def test_a_refreshed_login_comes_back_for_its_owner_alone(original: Path) -> None:
    forged = {**_FRESH, "key": "theirs", "http://evil": {"type": "wellknown"}}
    assert lend(original, json.dumps(forged)) == _NEW
    assert original.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", [None, "", "{}", "[]", "garbage", '{"tokens": null, "last": "b"}'])
def test_what_is_no_login_never_comes_back(original: Path, left: str | None) -> None:
    assert lend(original, left) == _OLD


@pytest.mark.parametrize(
    "put", [os.mkfifo, lambda path: path.symlink_to(path.with_name("other"))], ids=["a pipe", "a link"]
)
def test_what_is_no_file_never_comes_back(original: Path, put: Callable[[Path], None]) -> None:
    copy = original.parent / "copy.json"
    (original.parent / "other").write_text(_NEW)
    with lent_login(original, copy, threading.Event()):
        copy.unlink()
        put(copy)
    assert original.read_text() == _OLD


def test_what_the_user_refreshed_meanwhile_stays(original: Path) -> None:
    newer = json.dumps({"tokens": {"refresh": "3"}, "last": "c"})
    assert lend(original, _NEW, meanwhile=newer) == newer


def test_one_attempt_at_a_time(original: Path) -> None:
    wanted = threading.Event()
    wanted.set()
    with (
        lent_login(original, original.parent / "one", threading.Event()),
        pytest.raises(Cancelled),
        lent_login(original, original.parent / "two", wanted),
    ):
        pass


def test_nobody_logged_in_is_for_good(tmp_path: Path) -> None:
    with (
        pytest.raises(InfrastructureError, match="log in with the program") as error,
        lent_login(tmp_path / "no" / "auth.json", tmp_path / "copy", threading.Event()),
    ):
        pass
    assert error.value.permanent
