"""The setting `slots`: what works at once, over all runs of a user."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tests.contract.cli_world import new_world

PIPELINE = """\
version: 1
name: one
agents:
  coder:
    use: command
    run: [bash, -c, 'echo "begins $INTERLOCK_SLOT" >> {log}; sleep 1; echo ends >> {log}; date > made.txt']
stages:
  code:
    agent: coder
    gates:
      - {{id: ok, run: 'echo "begins $INTERLOCK_SLOT" >> {log}; sleep 0.5; echo ends >> {log}'}}
"""


def test_one_slot_is_shared_by_the_runs_of_two_repositories(tmp_path: Path) -> None:
    """Agents and gates alike: whatever begins has ended before anything else begins."""
    log = tmp_path / "log"
    worlds = [new_world(tmp_path / name, {"interlock.yaml": PIPELINE.format(log=log)}) for name in ("one", "two")]
    home = worlds[0].environment()
    for world in worlds:
        world.environ |= {name: home[name] for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")}
    settings = Path(home["XDG_CONFIG_HOME"]) / "interlock/settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("slots: 1\n")
    children = [world.start("run", "-t", "x", "--plain") for world in worlds]
    for child in children:
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, out + err
    lines = log.read_text().splitlines()
    assert len(lines) == 2 * 2 * 3, "two runs, each of an agent, its gate, and the gate on the base"
    assert all({first, second} == {"begins 0", "ends"} for first, second in pairwise(lines)), lines
