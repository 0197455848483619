"""What `probe` finds out about programs without spending."""

from __future__ import annotations

import os
from pathlib import Path

from tests.contract.cli_world import new_world

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


def test_doctor_tells_what_it_has_found_while_a_program_is_slow(tmp_path: Path) -> None:
    go, folder = tmp_path / "go", tmp_path / "bin"
    folder.mkdir()
    (folder / "goose").write_text(f"#!/bin/sh\nuntil [ -e {go} ]; do sleep 0.1; done\necho 1.2.3\n")
    (folder / "goose").chmod(0o755)
    world = new_world(tmp_path, {"a.txt": "a\n"})
    process = world.start("doctor", PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert process.stdout is not None
    for line in process.stdout:
        if "goose (" in line:
            go.touch()
            break
    assert "agent goose: 1.2.3" in process.communicate()[0]
