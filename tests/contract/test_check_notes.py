"""What `check` says of a gate that passed."""

from __future__ import annotations

from pathlib import Path

from tests.contract.cli_world import new_world

CORRECTS = """\
version: 1
name: quick
agents:
  own: {use: command, run: ["true"]}
stages:
  code:
    agent: own
    gates:
      - {id: fine, run: "echo y > a.py"}
"""


def test_a_gate_that_passes_and_corrects_files_says_so(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": CORRECTS, "a.py": "x\n"})
    page = tmp_path / "page.md"
    said = world.ask("check", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(page)).ended(0)
    note = "note: the command changed a.py in its checkout; nothing of it is kept: use a command that only checks, "
    assert f"code/fine passed\n    {note}" in said.text
    assert "the command changed a.py in its checkout" in page.read_text()
