"""What dies or hangs in the middle of a run on Temporal: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.contract.cli_world import World
from tests.contract.temporal.world import Cluster, Server, cluster_in, history, run_in, until

from interlock.core.events import AttemptLost, AttemptStarted, Delivered, HandoffAccepted

SLOW = """\
version: 1
agents:
  slow:
    use: command
    env: [HERE]
    run: [bash, -c, 'echo $$ >> "$HERE/at-work"; until [ -e "$HERE/go" ]; do sleep 0.05; done; echo x > a.txt']
stages:
  code: {agent: slow, gates: [{id: g, run: "test -s a.txt"}]}
"""


def at_work(folder: Path) -> list[int]:
    path = folder / "at-work"
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def slow(tmp_path: Path, server: Server) -> object:
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        yield many, many.submitter(tmp_path / "far", {"interlock.yaml": SLOW}, HERE=str(tmp_path))


def started(far: World, folder: Path) -> subprocess.Popen[str]:
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    until(lambda: len(at_work(folder)) == 1, "no agent began")
    return process


def ended(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return run_in(said)


def test_a_worker_that_is_killed_loses_its_attempt_and_another_takes_the_next(
    tmp_path: Path, slow: tuple[Cluster, World]
) -> None:
    many, far = slow
    process = started(far, tmp_path)
    many.machines[1].kill()
    many.machines[1].communicate()
    until(lambda: not is_alive(at_work(tmp_path)[0]), "the agent outlived its worker")
    many.start("other", HERE=str(tmp_path))
    until(lambda: len(at_work(tmp_path)) == 2, "no other attempt began")
    (tmp_path / "go").touch()
    events = [record.event for record in history(far, ended(process))]
    assert [str(event.attempt) for event in events if isinstance(event, AttemptLost)] == ["code/1.1"]
    assert [str(event.attempt) for event in events if isinstance(event, HandoffAccepted)] == ["code/1.2"]


def test_a_controller_that_is_killed_is_replaced_and_the_attempt_goes_on(
    tmp_path: Path, slow: tuple[Cluster, World]
) -> None:
    many, far = slow
    process = started(far, tmp_path)
    many.machines[0].kill()
    many.machines[0].communicate()
    many.start("other", "--controller", HERE=str(tmp_path))
    (tmp_path / "go").touch()
    events = [record.event for record in history(far, ended(process))]
    assert len([event for event in events if isinstance(event, AttemptStarted)]) == 1
    assert len([event for event in events if isinstance(event, Delivered)]) == 1


def test_a_server_that_is_killed_comes_back_with_all_that_was_recorded(
    tmp_path: Path, slow: tuple[Cluster, World]
) -> None:
    many, far = slow
    process = started(far, tmp_path)
    many.server.kill()
    many.server.start()
    (tmp_path / "go").touch()
    events = [record.event for record in history(far, ended(process))]
    assert len([event for event in events if isinstance(event, HandoffAccepted)]) == 1


def test_who_follows_may_be_killed_and_resume_delivers(tmp_path: Path, slow: tuple[Cluster, World]) -> None:
    _, far = slow
    process = started(far, tmp_path)
    process.kill()
    process.communicate()
    (tmp_path / "go").touch()
    said = far.ask("resume", "--plain").ended(0, "accepted")
    assert "interlock/" in far.git("branch", "--list", "interlock/*"), said.text


def test_a_cancelled_run_ends_its_agent(tmp_path: Path, slow: tuple[Cluster, World]) -> None:
    _, far = slow
    process = started(far, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    far.ask("cancel", "--plain")
    until(lambda: not is_alive(at_work(tmp_path)[0]), "the agent outlived its run")
    assert far.show()["phase"] == "cancelled"
