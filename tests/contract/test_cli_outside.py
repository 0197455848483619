"""Whole runs that reach outside, through the program: an outside CI judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of
from tests.contract.outside_world import GitHub, run, served

PIPELINE = """\
version: 1
name: quick
agents:
  own: {use: command, run: [bash, -c, 'grep -q "it is red" "$BRIEF" && echo right > a.txt || echo wrong > a.txt']}
stages:
  code:
    agent: own
    attempts: 2
    gates:
      - id: outside
        ci: {checks: [test], repository: acme/app}
    on_reject: [{after: 2, pause: true}]
"""


@pytest.fixture
def github() -> GitHub:
    return GitHub()


@pytest.fixture
def world(tmp_path: Path, github: GitHub) -> Iterator[World]:
    made = new_world(tmp_path / "w", {"interlock.yaml": PIPELINE}, GITHUB_TOKEN=github.token)
    made.git("init", "-q", "--bare", "../remote.git")
    made.git("remote", "add", "origin", "../remote.git")
    with served(github.app()) as endpoint:
        settings(made, f"ci: {{endpoint: '{endpoint}', poll_s: 0.05, grace_s: 2}}\n")
        yield made


def settings(world: World, text: str) -> None:
    folder = Path(world.environment()["XDG_CONFIG_HOME"]) / "interlock"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.yaml").write_text(text)


def test_an_outside_ci_sends_work_back_and_then_takes_it(world: World, github: GitHub) -> None:
    def judged(commit: str, asked: int) -> list[dict[str, object]]:
        right = world.git("show", f"{commit}:a.txt", cwd=world.root / "remote.git") == "right"
        return [run("test", "success" if right else "failure", title="it is red")]

    github.runs = judged
    world.ask("run", "-t", "x", "--plain").ended(0, "accepted")
    stage = stage_of(world.show(), "code")
    assert [attempt["phase"] for attempt in stage["attempts"]] == ["rejected", "accepted"]
    assert world.git("for-each-ref", cwd=world.root / "remote.git") == ""
    world.ask("logs", "code/1.1", "outside").ended(0, "test: failure - it is red")


def test_a_ci_that_says_nothing_stops_the_run_and_it_goes_on_afterwards(world: World, github: GitHub) -> None:
    world.ask("run", "-t", "x", "--plain").ended(3, "gate outside errored", "there is no check test after 2 s")
    github.runs = lambda commit, asked: [run("test", "success")]
    world.ask("resume").ended(0, "accepted")


def test_check_says_that_it_is_not_asked(world: World) -> None:
    world.ask("check", "--stage", "code").ended(0, "an outside CI is asked only in a run")
    world.ask("validate", "--resolved").ended(0, "repository: acme/app", "timeout: 3600")
