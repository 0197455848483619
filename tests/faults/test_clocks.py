"""A clock that jumps while a run waits makes no wait endless. `OFFSET` names a file with what is added to the clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of
from tests.nightly import rest_at_night

SITE = Path(__file__).with_name("site")
PIPELINE = """\
version: 1
name: p
agents:
  a: {use: command, run: [bash, -c, 'test -e "$ONCE" && echo one > out.txt && exit; touch "$ONCE"; AGENT'],
      env: [ONCE, OFFSET]}
stages:
  code:
    agent: a
    gates: [{id: g, run: "GATE"}]
"""
DAY = 86_400


def world_of(folder: Path, offset: float, agent: str, gate: str = "test -s start.txt") -> World:
    (folder / "offset").write_text(str(offset))
    text = PIPELINE.replace("AGENT", agent).replace("GATE", gate)
    environ = {"PYTHONPATH": str(SITE), "OFFSET": str(folder / "offset"), "ONCE": str(folder / "once")}
    return new_world(folder, {".interlock/pipelines/p.yaml": text, "start.txt": "x\n"}, **environ)


@pytest.mark.parametrize(("before", "after"), rest_at_night([(DAY, 0), (0, DAY), (0, -DAY), (-DAY, 0)], 2))
def test_a_clock_that_jumps_while_an_attempt_is_waited_for(tmp_path: Path, before: int, after: int):
    world = world_of(tmp_path, before, f'echo {after} > "$OFFSET.new"; mv "$OFFSET.new" "$OFFSET"; exit 3')
    world.ask("run", "-t", "x", "--plain").ended(0, "infrastructure: crashed", "again at", "accepted")
    phases = [attempt["phase"] for attempt in stage_of(world.show(), "code")["attempts"]]
    assert phases == ["errored", "accepted"]


def test_a_run_that_was_killed_under_a_wrong_clock_goes_on_under_the_right_one(tmp_path: Path):
    world = world_of(tmp_path, DAY, "exit 3")
    work = world.start("run", "-t", "x", "--plain", INTERLOCK_BACKOFF_S="4")
    assert work.stderr is not None
    for line in work.stderr:
        if "again at" in line:
            break
    work.kill()
    work.communicate()
    (tmp_path / "offset").write_text("0")
    world.ask("resume", "--plain", INTERLOCK_BACKOFF_S="4").ended(0, "accepted")


def test_what_a_run_waits_for_is_shown_with_its_reason(tmp_path: Path):
    world = world_of(tmp_path, 0, "echo out of order >&2; exit 3")
    work = world.start("run", "-t", "x", "--plain", INTERLOCK_BACKOFF_S="600")
    try:
        assert work.stderr is not None
        next(line for line in work.stderr if "again at" in line)
        world.ask("status").ended(0, "waits until", "crashed")
        view = world.show()
        assert view["phase"] == "sleeping"
        assert "crashed" in view["why"]
    finally:
        work.terminate()
        work.communicate()
