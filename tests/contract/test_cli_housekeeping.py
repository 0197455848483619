"""What is left behind: disk, merged branches, and which run is meant where several fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import new_world

from interlock.cli.verbs.gc import freed
from interlock.service.formats import count
from interlock.workspaces import Collected

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
    said = world.ask("gc", "--dry-run").ended(0, f"1 delivered branch is merged into HEAD: git branch -d {branch}")
    assert "at most" not in said.out
    assert "Nothing to remove: the rest is less than a day old" in said.out
    world.git("branch", "-q", "-d", branch)
    assert "git branch -d" not in world.ask("gc").text


@pytest.mark.parametrize(
    ("gone", "dry_run", "said"),
    [
        (
            Collected(2_000, 1, 2, 0),
            True,
            "would free about 2.0 kB (1 object, 2 refs), and more by packing the rest",
        ),
        (Collected(2_000, 1, 0, 3), False, "freed 2.0 kB (1 object, 3 checkouts)"),
        (Collected(2_000), False, "freed 2.0 kB (by packing)"),
        (Collected(), False, "Nothing to remove: the rest is less than a day old"),
    ],
)
def test_gc_tells_what_goes_and_not_what_there_is_none_of(gone: Collected, dry_run: bool, said: str) -> None:
    assert freed(gone, dry_run=dry_run).startswith(said)


def test_words_in_plural() -> None:
    assert [count(2, thing) for thing in ("branch", "finding", "pass")] == ["2 branches", "2 findings", "2 passes"]
    assert count(1, "branch") == "1 branch"


def test_runs_that_fit_are_told_with_state_and_task(tmp_path: Path) -> None:
    world = new_world(tmp_path / "user", {"interlock.yaml": PIPELINE})
    for task in ("mend the lamp", "paint the door"):
        world.ask("run", "-t", task).ended(3)
    said = world.ask("resume").ended(2, "name a run:")
    first, wait, second, same_wait = said.err.splitlines()[-4:]
    assert [line.split(None, 2)[1:] for line in (first, second)] == [
        ["waiting", "paint the door"],
        ["waiting", "mend the lamp"],
    ]
    assert wait == same_wait == "    code/1.1 waits for an approval of gate look"
