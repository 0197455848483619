"""The name of the delivered branch: checked before any work, and another one where it is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

PIPELINE = """\
version: 1
name: one
inputs:
  name: {type: string, default: mine}
deliver:
  branch: "work/{{ inputs.name }}"
stages:
  code:
    run: date > made.txt
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path, {"interlock.yaml": PIPELINE})


def test_inputs_that_make_no_branch_begin_no_run(world: World) -> None:
    world.ask("run", "-t", "x", "-i", "name=a b").ended(
        2, "with the task and the inputs filled in: 'work/a b' is not a valid branch name"
    )
    world.ask("list").ended(0, "no runs in this repository yet")
    world.ask("run", "-t", "x", "-i", "name=a b", "--until", "code").ended(0)  # it delivers none


def test_a_branch_that_is_taken_leads_to_another_name(world: World) -> None:
    world.git("branch", "work/mine")
    said = world.ask("run", "-t", "x").ended(3, "paused (delivery)", "branch work/mine exists at").text
    run = world.show()["id"]
    assert f"interlock resume {run} --branch NAME" in said
    world.ask("resume", "--branch", "a b").ended(2, "--branch: a b is not a valid branch name")
    world.ask("resume", "--branch", "").ended(2, "--branch: '' is not a valid branch name")
    world.ask("resume", "--branch", "refs/heads/x").ended(2, "refs/heads/x is the full name of a ref, and x that of")
    world.ask("resume", "--branch", "work/other").ended(
        0, "to deliver branch work/other", "delivered: branch work/other"
    )
    assert world.show()["branch"] == "work/other"
    assert world.git("rev-parse", "work/mine") == world.git("rev-parse", "main")
    named = "`git branch work/third work/other`"
    world.ask("resume", run, "--branch", "work/third").ended(2, "it is delivered as work/other", named)
