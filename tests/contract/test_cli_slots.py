"""The setting `slots`: what works at once, over all runs of a user."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

import pytest
from tests.contract.cli_world import new_world

from interlock.gates.locks import Slots, WaitingWork, hold_locks, show_waiting, waiting_work
from interlock.ports import Cancelled

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


def test_who_waits_for_a_slot_says_so(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"interlock.yaml": PIPELINE.format(log=tmp_path / "log")})
    home = world.environment()
    settings = Path(home["XDG_CONFIG_HOME"]) / "interlock/settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("slots: 1\n")
    with Slots(Path(home["XDG_STATE_HOME"]) / "interlock/slots", 1).acquire(threading.Event()):
        child = world.start("run", "-t", "x", "--plain")
        assert child.stderr is not None
        line = next(line for line in child.stderr if "waits for" in line)
        said, all_of_it, listed = (world.ask(verb) for verb in ("status", "show", "list"))
        child.terminate()
        child.communicate(timeout=60)
    assert " base         gate ok waits for a slot: the only one is taken, over all your runs (`slots` in" in line
    said.ended(0, "    base gate ok waits for a slot: the only one is taken")
    all_of_it.ended(0, "    base gate ok waits for a slot: the only one is taken")
    listed.ended(0, "  base gate ok waits for a slot: the only one is taken")
    assert "waits for a slot" not in world.ask("status").text


def test_who_waits_for_what_another_gate_has_says_so(tmp_path: Path) -> None:
    cancel, who = threading.Event(), WaitingWork("r1", "code/1.1", "test")
    seen: list[tuple[WaitingWork, ...]] = []

    def waits(name: str) -> AbstractContextManager[None]:
        seen.append(waiting_work(tmp_path, "r1"))
        cancel.set()
        return show_waiting(tmp_path, WaitingWork(who.run, who.subject, who.gate, f"waits for {name}"))

    with hold_locks(tmp_path, ["db"], threading.Event(), waits):
        assert seen == []  # nobody waited
        with pytest.raises(Cancelled), hold_locks(tmp_path, ["db"], cancel, waits):
            pass
    assert seen == [()]


def test_what_waits_is_told_while_its_waiter_lives(tmp_path: Path) -> None:
    waits = WaitingWork("r1", "code/1.1", "test", "waits for a slot")
    with show_waiting(tmp_path, waits):
        assert waiting_work(tmp_path, "r1") == (waits,)
        assert waiting_work(tmp_path, "r2") == ()
        (path,) = (tmp_path / "waiting").iterdir()
        content = path.read_bytes()
    assert waiting_work(tmp_path, "r1") == ()
    path.write_bytes(content)  # as of one that was killed
    assert waiting_work(tmp_path, "r1") == ()
    (tmp_path / "file").touch()
    with show_waiting(tmp_path / "file", waits):  # where none can be written, it goes on
        assert waiting_work(tmp_path / "file", "r1") == ()
