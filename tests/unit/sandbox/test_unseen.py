"""What a person is told of the files that a program says it misses."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.ports import Sandbox
from interlock.sandbox import unseen_in

PATH = "/usr/bin:/bin"
FULL = Sandbox("full")


@pytest.mark.parametrize(
    "line",
    [
        "FileNotFoundError: [Errno 2] No such file or directory: '{}'",
        "Error: ENOENT: no such file or directory, open '{}'",
        "cat: {}: No such file or directory",
        "sh: 0: cannot open {}: No such file",
        "PermissionError: [Errno 13] Permission denied: '{}'",
        "error: can't find {}",
    ],
)
def test_a_file_that_is_outside_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "words").touch()
    said = f"one\n{line.format(tmp_path / 'words')}\nit failed\n".encode()
    assert unseen_in(said, FULL, PATH).startswith(f"{tmp_path / 'words'} is not in the sandbox: add it to `read`")
    assert unseen_in(said, Sandbox("none"), PATH) == ""
    assert unseen_in(said, Sandbox("full", (str(tmp_path),)), PATH) == ""


def test_only_what_is_missed_is_named(tmp_path: Path) -> None:
    (tmp_path / "words").touch()
    lines = (
        f"read {tmp_path}/words",
        f"{tmp_path}/gone: No such file",
        "/usr/bin/env: not found",
        f"/{'x' * 300}: not found",
    )
    assert unseen_in("\n".join(lines).encode(), FULL, PATH) == ""
    late = "\n".join(["x"] * 50)
    assert unseen_in(f"{tmp_path / 'words'}: not found\n{late}".encode(), FULL, PATH) == ""


def test_nobody_is_told_to_show_a_home_or_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id").touch()
    (tmp_path / "data").touch()
    for name in ("", "/.ssh/id", "/data/../.ssh/id"):
        assert unseen_in(f"{tmp_path}{name}: No such file".encode(), FULL, PATH) == "", name
    assert unseen_in(f"{tmp_path}/data: No such file".encode(), FULL, PATH)
