"""Who commits are by, who answered, and what a commit says of its task."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world
from tests.nightly import rest_at_night

PIPELINE = """\
version: 1
name: one
agents:
  coder: {use: command, run: [bash, -c, 'date > made.txt']}
stages:
  code:
    agent: coder
    gates:
      - {id: look, approve: Is it right?}
"""
EITHER = [f"GIT_{role}_{part}" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path, {"interlock.yaml": PIPELINE})


def delivered(world: World, task: str = "x") -> str:
    """The branch of a run that was approved."""
    world.ask("run", "-t", task).ended(3)
    world.ask("approve").ended(0, "accepted")
    branch: str = world.show()["branch"]
    return branch


def test_a_commit_is_by_whom_git_would_name(world: World, tmp_path: Path) -> None:
    """The environment first, role by role, then the configuration that it names."""
    named = tmp_path / "gitconfig"
    named.write_text("[user]\n\tname = Con Figured\n\temail = con@example.invalid\n")
    world.environ |= {"GIT_CONFIG_GLOBAL": str(named), "GIT_AUTHOR_NAME": "Au Thor"}
    branch = delivered(world)
    said = world.git("log", "-1", "--format=%an <%ae>, %cn <%ce>", branch)
    assert said == "Au Thor <somebody@example.invalid>, Somebody <somebody@example.invalid>"


def test_the_configuration_that_the_environment_names_is_seen(world: World, tmp_path: Path) -> None:
    named = tmp_path / "gitconfig"
    named.write_text("[user]\n\tname = Con Figured\n\temail = con@example.invalid\n")
    bare = world.environment
    world.environment = lambda **more: {  # type: ignore[method-assign]
        name: value for name, value in bare(GIT_CONFIG_GLOBAL=str(named), **more).items() if name not in EITHER
    }
    branch = delivered(world)
    assert world.git("log", "-1", "--format=%an <%ae>, %cn", branch) == "Con Figured <con@example.invalid>, Con Figured"


def test_who_is_nobody_to_git_is_told_before_the_work(world: World, tmp_path: Path) -> None:
    world.ask("doctor").ended(0, "identity: commits are by Somebody <somebody@example.invalid>")
    assert "git has no user name" not in world.ask("run", "-t", "x").ended(3).text
    named = tmp_path / "gitconfig"
    named.write_text("[user]\n\tuseConfigOnly = true\n")
    bare = world.environment
    world.environment = lambda **more: {  # type: ignore[method-assign]
        name: value for name, value in bare(GIT_CONFIG_GLOBAL=str(named), **more).items() if name not in EITHER
    }
    assert world.ask("run", "-t", "x").ended(3).err.count("warning: git has no user name and e-mail for you here") == 1
    world.ask("doctor").ended(0, "identity: git has no user name and e-mail for you here", "user.email MAIL")


def test_an_answer_names_the_user_and_who_that_is_to_git(world: World) -> None:
    delivered(world)
    (answer,) = world.show()["answers"]
    assert answer["by"] == f"{getpass.getuser()} (Somebody <somebody@example.invalid>)"
    world.ask("show", "--json").ended(0, "Somebody <somebody@example.invalid>")


@pytest.mark.parametrize(
    "task", rest_at_night(["title\n\n" + "line of the body\n" * 3_000, "word " * 10_000, "x" * 50_000])
)
def test_a_long_task_makes_a_bounded_message(world: World, task: str) -> None:
    branch = delivered(world, task)
    for message in world.git("log", "--format=%B%x00", f"main..{branch}").split("\0"):
        subject, *_ = message.strip().split("\n")
        assert len(subject) <= 72
        assert len(message) < 5_000
    body = world.git("log", "-1", "--format=%b", branch)
    assert body.strip().endswith(f"Interlock-Run: {world.show()['id']}") or "Run: " in body
