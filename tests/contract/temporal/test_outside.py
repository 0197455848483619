"""Gates that an outside CI decides: they are judged from the repository of the run, which alone has the remote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.outside_world import GitHub, run, served
from tests.contract.temporal.world import Cluster, history, run_in, told, until

PIPELINE = """\
version: 1
agents:
  own: {use: command, run: [bash, -c, 'grep -q "it is red" "$BRIEF" && echo right > a.txt || echo wrong > a.txt']}
stages:
  code:
    agent: own
    gates: [{id: outside, ci: {checks: [test], repository: acme/app}}]
"""


@pytest.fixture
def github() -> Iterator[tuple[GitHub, str]]:
    made = GitHub()
    with served(made.app()) as endpoint:
        yield made, endpoint


def connected(world: World, github: GitHub, endpoint: str) -> World:
    """With a remote, and with what its settings say beside what they said."""
    world.environ["GITHUB_TOKEN"] = github.token
    world.git("init", "-q", "--bare", "../remote.git")
    world.git("remote", "add", "origin", "../remote.git")
    path = Path(world.environment()["XDG_CONFIG_HOME"], "interlock/settings.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    given = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**given, "ci": {"endpoint": endpoint, "poll_s": 0.05, "grace_s": 2}}))
    return world


def test_an_outside_ci_judges_as_on_one_machine(tmp_path: Path, many: Cluster, github: tuple[GitHub, str]) -> None:
    files = {"interlock.yaml": PIPELINE}
    there = connected(new_world(tmp_path / "local", files), *github)
    far = connected(many.submitter(tmp_path / "far", files), *github)
    seen = []
    for world, engine in ((there, "local"), (far, "temporal")):

        def judged(commit: str, asked: int, world: World = world) -> list[dict[str, object]]:
            right = world.git("show", f"{commit}:a.txt", cwd=world.root / "remote.git") == "right"
            return [run("test", "success" if right else "failure", title="it is red")]

        github[0].runs = judged
        said = world.ask("run", "--engine", engine, "-t", "x", "--plain").ended(0, "accepted")
        assert world.git("for-each-ref", cwd=world.root / "remote.git") == ""
        seen.append(told(history(world, run_in(said.err))))
    assert seen[0] == seen[1]
    clone = many.submitter(tmp_path / "clone", files)
    clone.ask("logs", run_in(said.err), "code/1.1", "outside").ended(0, "test: failure - it is red")


def test_it_waits_for_a_process_in_the_repository(tmp_path: Path, many: Cluster, github: tuple[GitHub, str]) -> None:
    far = connected(many.submitter(tmp_path / "far", {"interlock.yaml": PIPELINE}), *github)
    process = far.start("run", "--engine", "temporal", "-t", "x", "--plain")
    github[0].runs = lambda commit, asked: [run("test", None)]
    until(lambda: bool(github[0].asked), "it is not judged")
    process.kill()
    made = run_in(process.communicate()[1])
    until(lambda: "is judged from the repository" in far.ask("status", made).text, "nobody is told")
    far.ask("status", made).ended(0, "a gate is judged from its repository")
    clone = many.submitter(tmp_path / "clone", {"interlock.yaml": PIPELINE})
    clone.ask("resume", made, "--plain")
    github[0].runs = lambda commit, asked: [run("test", "success")]
    many.ready(far.start("worker", "--deliver"))
    until(lambda: far.ask("status", made, "--json").json()["run"]["phase"] == "accepted", "it is not judged")
    assert far.git("branch", "--list", f"interlock/{made}")
