"""`resume --take-over`: the run is the new owner's from then on, to all who look and to all who would go on with it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

PIPELINE = """\
version: 1
agents:
  a: {use: command, run: [bash, -c, 'echo $$ >> "$HERE/at-work"; until [ -e "$HERE/go" ]; do sleep 0.05; done'],
      env: [HERE]}
stages:
  code: {agent: a, may_be_empty: true, gates: [{id: g, run: "true"}]}
"""
SOON_S = 60.0  # only a hang meets it


@pytest.mark.parametrize("detached", [False, True])
def test_the_new_owner_is_seen_and_nobody_takes_the_run_from_it(tmp_path: Path, detached: bool) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": PIPELINE}, HERE=str(tmp_path))
    former = world.start("run", "-t", "x", "--plain")
    try:
        until(lambda: at_work(tmp_path) == 1)
        taken_over(world, tmp_path, former, detached=detached)
    finally:
        (tmp_path / "go").touch()
        former.kill()
        former.communicate()


def taken_over(world: World, folder: Path, former: subprocess.Popen[str], *, detached: bool) -> None:
    former.send_signal(signal.SIGSTOP)
    world.ask("resume", "--plain").ended(5, "is being run by process", str(former.pid))
    later = world.start("resume", "--take-over", *(["-d"] if detached else ["--plain"]))
    until(lambda: at_work(folder) == 2)
    view = world.show()
    assert view["phase"] == "running"
    assert str(former.pid) not in view["owner"].split()
    assert detached or str(later.pid) in view["owner"].split()
    world.ask("resume", "--plain").ended(5, f"is being run by {view['owner']}")
    former.send_signal(signal.SIGCONT)
    (folder / "go").touch()
    for process, code in ((later, 0), (former, 5)):
        _, said = process.communicate(timeout=SOON_S)
        assert process.returncode == code, said
    until(lambda: world.show()["phase"] == "accepted")


def at_work(folder: Path) -> int:
    path = folder / "at-work"
    return len(path.read_text().split()) if path.exists() else 0


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
