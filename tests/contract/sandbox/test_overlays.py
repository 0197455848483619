"""Runs at `full`: checkouts are overlays, and no trace of them is left, however a run ends."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of
from tests.rooms_here import needs_rooms

from interlock.process import mounts

pytestmark = needs_rooms

PIPELINE = """\
version: 1
name: one
agents:
  coder:
    use: command
    run: |
      grep " /w/tree " /proc/self/mountinfo | grep -c overlay >> mounted.txt
      echo changed > a.txt; rm -r folder; mkdir folder; echo new > folder/new
      test -e /w/tree/b.txt; git status --short | sort > status.txt
      touch /w/home/begun; sleep @
stages:
  code:
    agent: coder
    gates:
      - id: ok
        run: |
          grep " /w/tree " /proc/self/mountinfo | grep -q overlay
          test "$(git status --porcelain)" = "" && test ! -e folder/old && grep -q changed a.txt
"""
FULL = {"INTERLOCK_SANDBOX": ""}
FILES = {"a.txt": "a\n", "b.txt": "b\n", "folder/old": "old\n"}


def _world(tmp_path: Path, sleeps: str) -> World:
    if why := mounts.apart(lambda: ""):
        pytest.skip(f"no overlays here: {why}")
    return new_world(tmp_path / "user", {"interlock.yaml": PIPELINE.replace("@", sleeps), **FILES})


def _begun(world: World) -> list[Path]:
    """The checkouts in which the agent is at work."""
    with suppress(OSError):  # another one is removed at that moment
        return [path.parents[1] for path in world.root.rglob("home/begun")]
    return []


def _left(world: World) -> list[Path]:
    return [path for path in world.root.rglob("upper") if path.is_dir() and "home" not in path.parts[-3:]]


def test_attempts_and_gates_are_overlays(tmp_path: Path) -> None:
    world = _world(tmp_path, "0")
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0)
    branch = world.show()["branch"]
    assert world.git("show", f"{branch}:mounted.txt") == "1"
    assert world.git("show", f"{branch}:status.txt").splitlines()[1:3] == [" M a.txt", "?? folder/new"]
    listed = world.git("ls-tree", "-r", "--name-only", branch).split()
    assert "folder/new" in listed
    assert "folder/old" not in listed
    assert _left(world) == []
    assert "each is an overlay" in world.ask("doctor", **FULL).text


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """The mounts of the killed process are gone with it; its attempt is made again."""
    world = _world(tmp_path, "60")
    run = world.start("run", "-t", "Look.", "--plain", **FULL)
    until = time.monotonic() + 60
    while not (begun := _begun(world)) and time.monotonic() < until:
        time.sleep(0.05)
    (tree,) = (root / "tree" for root in begun)
    assert list(tree.iterdir()) == []  # seen from here
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    resumed = world.start("resume", "--plain", **FULL)
    until = time.monotonic() + 60
    while not [root for root in _begun(world) if root != tree.parent]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not tree.exists()
    resumed.send_signal(signal.SIGINT)
    resumed.communicate()
    assert stage_of(world.show(), "code")["attempts"]


def test_verify_judges_again_in_overlays(tmp_path: Path) -> None:
    world = _world(tmp_path, "0")
    world.ask("run", "-t", "it", "--plain", **FULL).ended(0)
    world.ask("verify", "--rerun", **FULL).ended(0, "2 hard verdicts again")
