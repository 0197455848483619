"""Removing what somebody else removes at the same time, as the owner does that a run is taken from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from interlock.workspaces import layout


@pytest.mark.parametrize("gone", ["place", "place/a", "place/a/b"])
def test_what_another_one_removes_meanwhile_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    (tmp_path / "place/a/b").mkdir(parents=True)
    (tmp_path / "place/a/b/file").write_text("")
    entries = layout._entries

    def late(folder: bytes) -> list[os.DirEntry[bytes]]:
        if os.fsdecode(folder) == str(tmp_path / gone):
            shutil.rmtree(tmp_path / gone)
        return entries(folder)

    monkeypatch.setattr(layout, "_entries", late)
    layout.remove(tmp_path / "place")
    assert not (tmp_path / "place").exists()
