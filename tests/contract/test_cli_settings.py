"""A settings file that is wrong: who looks is warned, who would work is stopped, doctor says it once."""

from __future__ import annotations

from pathlib import Path

from tests.contract.cli_world import new_world

PIPELINE = "version: 1\nname: one\nstages:\n  code:\n    run: date > made.txt\n"


def test_wrong_settings_stop_what_works_alone(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"interlock.yaml": PIPELINE})
    world.ask("run", "-t", "x").ended(0)
    file = Path(world.environment()["XDG_CONFIG_HOME"]) / "interlock/settings.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("slotz: 3\nslots: true\n")
    wrong = (f"{file}: slotz: no such setting: did you mean slots?", f"{file}: slots: true is not valid")
    for words in (["list"], ["status"], ["show"]):
        world.ask(*words).ended(0, f"warning: {wrong[0]}", f"warning: {wrong[1]}", "accepted")
    for words in (["run", "-t", "x"], ["run", "--dry-run"]):
        world.ask(*words).ended(2, f"error: {wrong[0]}", wrong[1])
    said = world.ask("doctor").ended(2, "✓ journal: 1 run").text
    assert said.count("slotz") == 1
