"""What gets its name is whole, and nothing else is left beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.ports import disk


def test_the_last_one_is_put_in_the_place_of_what_is_there(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        disk.put_file(tmp_path / "a", content)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"two")]


def test_the_first_one_stays(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        disk.put_first(tmp_path / "a", content)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"one")]


@pytest.mark.parametrize("put", [disk.put_file, disk.put_first])
def test_what_cannot_be_put_to_stay_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: object) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        put(tmp_path / "a", b"one")  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []
