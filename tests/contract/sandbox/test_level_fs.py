"""Runs at the level `fs`: what is confined, what is recorded, and where it is offered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of, verdicts_of
from tests.contract.sandbox.test_levels import levels, too_old
from tests.rooms_here import needs_fences

from interlock.process import behind
from interlock.process.landlock import EVERY_ACCESS
from interlock.sandbox.seccomp import fence_filter

__all__ = ["too_old"]

pytestmark = needs_fences

PIPELINE = """\
version: 1
name: one
agents:
  coder:
    use: command
    run: |
      (pwd; echo $HOME) > where.txt
      cp $BRIEF brief.txt
      cat {outside}/key > key.txt || true
      (echo x > {outside}/new) || true
setup:
  - {{run: "mkdir out && pwd > out/made && ! cat {outside}/key", paths: [out]}}
stages:
  code:
    agent: coder
    gates:
      - id: ok
        run: sh seen.sh
      - id: none
        run: |
          ! python3 -c 'import socket; socket.create_connection(("127.0.0.1", 9))' 2> said
          grep Permission said
        cache: none
"""
SEEN = "test -s where.txt && test ! -s key.txt && test -s out/made && ! cat {outside}/key\n"
FS = {"INTERLOCK_SANDBOX": "fs"}
NOTHING = {"INTERLOCK_SANDBOX": ""}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "key").write_text("TOPSECRET")
    return folder


@pytest.fixture
def world(tmp_path: Path, outside: Path) -> World:
    return new_world(
        tmp_path / "user", {"interlock.yaml": PIPELINE.format(outside=outside), "seen.sh": SEEN.format(outside=outside)}
    )


@pytest.mark.parametrize("way", ["option", "settings", "variable"])
def test_agents_gates_and_setup_are_behind_a_fence_where_somebody_says_so(
    way: str, world: World, outside: Path
) -> None:
    words = ["run", "-t", "Look.", "--plain", *(["--sandbox=fs"] if way == "option" else [])]
    if way == "settings":
        folder = world.root / "home/.config/interlock"
        folder.mkdir(parents=True)
        (folder / "settings.yaml").write_text("sandbox: fs\n")
    said = world.ask(*words, INTERLOCK_SANDBOX="fs" if way == "variable" else "").ended(0)
    assert "warning: sandbox" not in said.text
    view = world.show()
    assert view["sandbox"] == "fs"
    attempt = stage_of(view, "code")["attempts"][0]
    assert {name: verdict["sandbox"] for name, verdict in verdicts_of(attempt).items()} == {
        "code/scope": "fs", "code/ok": "fs", "code/none": "fs",
    }  # fmt: skip
    assert levels(world) == ["fs"]
    assert sorted(path.name for path in outside.iterdir()) == ["key"]
    tree, home = world.git("show", f"{view['branch']}:where.txt").split()
    assert tree.endswith("/tree")
    assert home.endswith("/home")


def test_it_is_offered_where_rooms_cannot_be_made_and_never_taken_by_itself(
    world: World, too_old: dict[str, str]
) -> None:
    offer = ("With `--sandbox fs`, which holds here", "but they see your processes", "With `--sandbox none`")
    world.ask("run", "-t", "Look.", **too_old).ended(2, "sandbox full is not in force", "is too old", *offer)
    world.ask("show", **too_old).ended(2, "no runs")
    world.ask("doctor", **too_old).ended(5, "Until then runs are refused", *offer)
    world.ask("doctor", **{**too_old, **FS}).ended(0, "sandbox: fs: a fence takes", "bubblewrap 0.8.0 is too old")
    world.ask("doctor", **{**too_old, "INTERLOCK_SANDBOX": "none"}).ended(0, "fs holds here")
    world.ask("run", "-t", "Look.", "--plain", "--sandbox=fs", **too_old).ended(0)
    assert levels(world) == ["fs"]


def test_it_holds_where_namespaces_are_forbidden(world: World) -> None:
    """As in a container: a filter of system calls is in force already."""
    forbidden = (((b"/", EVERY_ACCESS),), None, fence_filter(all_sockets=True, nested=False))
    said = []
    for words in (["doctor"], ["run", "-t", "Look.", "--plain", "--sandbox=fs"]):
        argv = behind(forbidden, (sys.executable, "-m", "interlock", *words))
        env = {**world.environment(), **NOTHING}
        said.append(subprocess.run(argv, cwd=world.repository, env=env, capture_output=True, text=True))
    assert "no sandbox could be made for it: bwrap: " in said[0].stdout
    assert "With `--sandbox fs`, which holds here" in said[0].stdout
    assert said[1].returncode == 0, said[1]
    assert levels(world) == ["fs"]


def test_a_shell_is_behind_the_same_fence(world: World, outside: Path) -> None:
    world.ask("run", "-t", "Look.", "--plain", **FS).ended(0)
    script = f"pwd; cat {outside}/key; echo x > {outside}/new; grep NoNewPrivs /proc/self/status; exit 7"
    said = world.ask("shell", "code", "-c", script, **NOTHING).ended(7)
    assert said.out.split()[1:] == ["NoNewPrivs:", "1"]
    assert said.err.count("Permission denied") == 2


def test_a_check_is_behind_one_where_that_was_asked_for(world: World) -> None:
    world.commit({"where.txt": "here\n"})
    world.ask("check", **FS).ended(0)
    world.ask("check", INTERLOCK_SANDBOX="none").ended(5, "TOPSECRET")
