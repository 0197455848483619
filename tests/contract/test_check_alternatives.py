"""`check --base` without `-p`: pipelines are alternatives for what may be changed, and each asks all its gates."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

COMMON = """\
version: 1
agents: {coder: {use: command, run: "true"}}
protect: [checks/**]
"""
STAGES = """\
name: NAME
include: [../common.yaml]
stages:
  code:
    agent: coder
    writes: [WRITES]
    gates:
      - {id: lint, run: "! grep -rn BAD src tests docs"}
      - {id: look, approve: Fine?}
"""


def pipeline(name: str, writes: str, more: str = "") -> str:
    text = STAGES.replace("NAME", name).replace("WRITES", writes)
    return "version: 1\n" + text.replace("    gates:\n", f"{more}    gates:\n")


FILES = {
    ".interlock/common.yaml": COMMON,
    ".interlock/pipelines/chore.yaml": pipeline("chore", "src/**"),
    ".interlock/pipelines/quick.yaml": pipeline("quick", "src/**", "    adds: [tests/**]\n"),
    ".interlock/pipelines/words.yaml": pipeline("words", "docs/**"),
    "checks/x.sh": "exit 0\n",
    "src/a.py": "a\n",
    "tests/test_a.py": "a\n",
    "docs/a.md": "a\n",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return new_world(tmp_path_factory.mktemp("alternatives"), FILES)


def proposed(world: World, files: dict[str, str]) -> str:
    world.git("checkout", "-q", "-B", "proposal", "main")
    commit = world.commit(files)
    world.git("checkout", "-q", "-f", "main")
    return commit


def ask(world: World, files: dict[str, str], *words: str):
    return world.ask("check", "--base", "main", "--commit", proposed(world, files), *words)


def test_one_pipeline_that_allows_the_change_is_enough(world: World) -> None:
    said = ask(world, {"tests/test_b.py": "b\n"})
    said.ended(0, "✓ proposal/scope passed (allowed by quick)")
    assert "1 protected file judged as in main, not as proposed (for chore, words): tests/test_b.py" in said.err
    assert said.text.count("judged as in main") == 1


def test_what_is_skipped_is_one_line(world: World) -> None:
    said = ask(world, {"src/a.py": "b\n"}).ended(0, "✓ proposal/scope passed (allowed by chore, quick)")
    assert "- 6 skipped: add `--stage STAGE` to run it (3); a person decides (3)" in said.out
    assert said.text.count("skipped") == 2  # that, and the sum


def test_what_no_pipeline_allows_is_told_in_one_block(world: World) -> None:
    said = ask(world, {"checks/x.sh": "exit 1\n", "docs/a.md": "b\n"}).ended(1, "✗ proposal/scope failed")
    assert said.out.count("proposal/scope") == 1
    assert said.out.count("checks/x.sh") == 1, "what all of them say is said once"
    (line,) = [line for line in said.out.splitlines() if "docs/a.md" in line]
    assert line.endswith("(chore, quick)")


def test_parts_that_different_pipelines_allow_are_no_whole(world: World) -> None:
    said = ask(world, {"src/a.py": "b\n", "docs/a.md": "b\n"}).ended(1, "✗ proposal/scope failed")
    assert "src/a.py" in said.out
    assert "docs/a.md" in said.out


def test_hard_gates_of_every_pipeline_are_asked(world: World) -> None:
    said = ask(world, {"src/a.py": "BAD\n"}).ended(1, "chore: code/lint failed", "words: code/lint failed")
    assert said.out.count("src/a.py:1:BAD") == 1, "findings that were shown are not shown again"


def test_a_named_pipeline_has_no_alternative(world: World) -> None:
    ask(world, {"tests/test_b.py": "b\n"}, "-p", "chore").ended(1, "proposal/scope failed", "skipped: a person decides")


def test_machines_are_told_the_same(world: World, tmp_path: Path) -> None:
    commit = proposed(world, {"tests/test_b.py": "b\n"})
    junit = tmp_path / "r.xml"
    said = world.ask("check", "--base", "main", "--commit", commit, "--json", "--junit", str(junit)).ended(0)
    (scope,) = [gate for gate in said.json()["gates"] if gate["stage"] == "proposal"]
    assert (scope["pipeline"], scope["allowed_by"], scope["status"]) == ("", ["quick"], "passed")
    assert '<testsuite name="proposal"' in junit.read_text()
