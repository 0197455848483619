"""`logs` for people: an agent's stream of JSON as words, and what the tests are that nobody wrote."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.cli_world import new_world

EVENT = '{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}'
PIPELINE = f"""\
version: 1
name: one
agents:
  coder:
    use: command
    run: |
      echo '{EVENT}'; echo 'def test_new(): pass' > tests/test_new.py
stages:
  code:
    agent: coder
    attempts: 1
    adds: [tests/**]
    gates:
      - {{id: test, run: 'python -m pytest -q tests --junitxml="$REPORT"', report: junit, canary: pytest}}
"""


def test_logs_are_words_and_name_the_tests_that_are_our_own(tmp_path: Path) -> None:
    world = new_world(
        tmp_path / "user", {"interlock.yaml": PIPELINE, "tests/test_a.py": "def test_a(): pass\n", "src/a.py": ""}
    )
    world.ask("run", "-t", "x").ended(0)

    assert world.ask("logs", "code/1.1").out == "> Bash: ls\n"
    assert world.ask("logs", "code/1.1", "--raw").out == EVENT + "\n"

    said = world.ask("logs", "code/1.1", "test").ended(0, "are Interlock's own")
    names = re.findall(r"\w{8,}", said.err.partition("named with ")[2].partition(" are Interlock")[0])
    assert names
    assert all(name in said.out for name in names[:1]), said.out
    assert "Interlock's own" not in said.out
    assert "Interlock's own" not in world.ask("logs", "code/1.1", "test", "--raw").text
