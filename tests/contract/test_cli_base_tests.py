"""What fails on the base and may go on failing is told alike on the base and on the candidate."""

from __future__ import annotations

from pathlib import Path

from tests.contract.cli_world import new_world

PIPELINE = """\
version: 1
name: one
agents: {coder: {use: command, run: "echo x > src/new.txt"}}
stages:
  code:
    agent: coder
    writes: [src/**]
    gates:
      - id: old
        run: python -m pytest -q tests --continue-on-collection-errors --junitxml="$REPORT"
        report: junit
        canary: pytest
        tests: base
"""


def test_a_file_that_cannot_be_loaded_is_one_thing_before_and_after(tmp_path: Path) -> None:
    files = {"tests/test_a.py": "def test_a(): pass\n", "tests/test_b.py": "import nothing_of_that_name\n"}
    world = new_world(tmp_path / "user", {"interlock.yaml": PIPELINE, "src/a.txt": "a\n", **files})
    said = world.ask("run", "-t", "x").ended(0, "code/1.1     gate old passed")
    base = [line for line in said.text.splitlines() if " base " in line]
    assert base
    assert all("passed" in line for line in base), said.text
    assert "1 test or file fails before any work, and may keep failing: " in world.ask("show", "-v").out
