"""What is left behind: disk, merged branches, and which run is meant where several fit."""

from __future__ import annotations

from pathlib import Path

from tests.contract.cli_world import new_world

PIPELINE = """\
version: 1
name: one
agents: {coder: {use: command, run: "echo made >> made.txt"}}
stages:
  code:
    agent: coder
    gates:
      - {id: look, approve: Fine?}
"""


def test_gc_names_merged_branches_and_promises_no_bound(tmp_path: Path) -> None:
    world = new_world(tmp_path / "user", {"interlock.yaml": PIPELINE})
    world.ask("run", "-t", "x").ended(3)
    world.ask("approve").ended(0)
    branch = world.show()["branch"]
    assert "git branch -d" not in world.ask("gc").text
    world.git("merge", "-q", branch)
    said = world.ask("gc", "--dry-run").ended(0, f"1 delivered branch merged into HEAD: git branch -d {branch}")
    assert "at most" not in said.out
    assert "and what packing the rest saves" in said.out
    world.git("branch", "-q", "-d", branch)
    assert "git branch -d" not in world.ask("gc").text


def test_runs_that_fit_are_told_with_state_and_task(tmp_path: Path) -> None:
    world = new_world(tmp_path / "user", {"interlock.yaml": PIPELINE})
    for task in ("mend the lamp", "paint the door"):
        world.ask("run", "-t", task).ended(3)
    said = world.ask("resume").ended(2, "say which run:")
    told = [line.split(None, 2)[1:] for line in said.err.splitlines()[-2:]]
    assert told == [["waiting", "paint the door"], ["waiting", "mend the lamp"]]
