"""Configuration above the checkouts: an agent leaves it there, and a tool of a later gate finds it."""

from __future__ import annotations

from pathlib import Path

from tests.contract.cli_world import World, new_world, stage_of, verdicts_of
from tests.rooms_here import needs_rooms

PIPELINE = """\
version: 1
name: fix
limits: {attempts: 2}
agents:
  coder:
    use: command
    run: |
      echo 'import os' > app.py
      for up in LEVELS; do echo 'lint.select = []' > "$up/ruff.toml"; done
stages:
  code:
    agent: coder
    attempts: 1
    writes: [app.py]
    gates: [{id: lint, use: python.lint}]
"""
OWN = ["..", "../..", "../../..", "../../../..", "../../../../.."]


def judged(root: Path, levels: list[str], sandbox: str = "none") -> tuple[World, dict[str, str], list[str]]:
    """The status of each gate, and the notes of the verdicts."""
    world = new_world(root, {"app.py": "", "interlock.yaml": PIPELINE.replace("LEVELS", " ".join(levels))})
    world.ask("run", "-t", "x", "--plain", INTERLOCK_SANDBOX=sandbox)
    verdicts = verdicts_of(stage_of(world.show(), "code")["attempts"][0])
    notes = [note for verdict in verdicts.values() for note in verdict["notes"]]
    return world, {name: verdict["status"] for name, verdict in verdicts.items()}, notes


def test_no_gate_obeys_what_an_agent_left_in_interlocks_own_folders(tmp_path: Path) -> None:
    world, statuses, notes = judged(tmp_path, OWN)
    assert statuses == {"code/scope": "passed", "code/lint": "failed"}
    cache = world.root / "home/.cache/interlock"
    assert [str(cache / "ruff.toml") in note for note in notes].count(True) == 1
    assert "Interlock did not make this" in " ".join(notes)
    (remaining,) = cache.rglob("ruff.toml")
    assert remaining.match("places/*/ruff.toml")  # the run's folder is above attempts only: the next one clears it


def test_configuration_in_the_users_own_folders_is_named_as_open(tmp_path: Path) -> None:
    _, statuses, notes = judged(tmp_path, ["../../../../../.."])
    assert (statuses, notes) == ({"code/scope": "passed", "code/lint": "passed"}, [])


@needs_rooms
def test_at_full_none_of_these_folders_is_there(tmp_path: Path) -> None:
    world, statuses, notes = judged(tmp_path, [*OWN, "../../../../../.."], "full")
    assert (statuses, notes) == ({"code/scope": "passed", "code/lint": "failed"}, [])
    assert not list(world.root.rglob("ruff.toml"))
