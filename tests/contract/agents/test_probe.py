"""What `probe` finds out about programs without spending."""

from __future__ import annotations

import os
from pathlib import Path

from interlock.agents.probe import probe, startable


def test_path_version_and_what_gives_access(tmp_path: Path) -> None:
    for name in ("codex", "claude"):
        (tmp_path / name).write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} 1.2.3"\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "auth.json").write_text("{}")
    environ = {
        "PATH": f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin",
        "HOME": str(tmp_path),
        "ANTHROPIC_API_KEY": "k",
    }
    told = {one.name: one for one in probe(environ)}
    assert (told["codex"].path, told["codex"].version) == (str(tmp_path / "codex"), "1.2.3")
    assert "auth.json" in told["codex"].access
    assert "login: true" in told["codex"].advice
    assert told["claude"].access == "ANTHROPIC_API_KEY is set"
    assert told["aider"].path == ""
    assert "PATH" in told["aider"].advice


def test_a_kind_can_be_started_where_its_program_is_or_where_it_needs_none(tmp_path: Path) -> None:
    (tmp_path / "goose").write_text("#!/bin/sh\n")
    (tmp_path / "goose").chmod(0o755)
    here, nowhere = startable({"PATH": str(tmp_path)}), startable({"PATH": str(tmp_path / "none")})
    assert here - nowhere == {"goose"}
    assert nowhere >= {"acp", "command", "scripted"}
    assert "codex" not in here
