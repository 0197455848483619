"""The page of a run with many attempts stays short."""

from __future__ import annotations

from pathlib import Path

from tests.contract.cli_world import new_world, stage_of
from tests.contract.web.world import served

_PIPELINE = """\
version: 1
agents:
  own: {use: command, run: 'echo $INTERLOCK_ATTEMPT | tr 0-9 a-j > a.txt'}
stages:
  code:
    agent: own
    attempts: 100
    gates:
      - {id: late, run: "grep -q /b.ce a.txt || { cat a.txt; false; }"}
"""


def test_the_newest_attempts_of_a_stage_are_shown(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"interlock.yaml": _PIPELINE})
    world.ask("run", "-t", "Try on.", "--plain").ended(0)
    view = world.show()
    assert len(stage_of(view, "code")["attempts"]) == 24
    with served(world) as site, site.client() as client:
        page = client.get(f"/runs/{view['id']}").text
    assert page.count("<article") == 20
    assert "the newest 20 of 24 attempts" in page
    assert "1.24</a>" in page
    assert page.count('id="attempt-') == 20
    assert "13 more" in page  # of those that did not pass
