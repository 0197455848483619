"""Gates with an `exclusive` name in common, of two runs on several workers: they never work at once."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.contract.cli_world import World
from tests.contract.temporal.world import Cluster, Server, cluster_in, run_in, until

PIPELINE = """\
version: 1
stages:
  code:
    run: "echo x > a.txt"
    gates:
      - id: g
        env: [HERE]
        exclusive: [db, again]
        cache: none
        run: 'mkdir "$HERE/held" || echo overlapped >> "$HERE/said"; echo $$ >> "$HERE/said"; sleep 0.5;
              [ ! -e "$HERE/stay" ] || sleep 600; rmdir "$HERE/held"'
"""


@pytest.fixture
def two(tmp_path: Path, server: Server) -> object:
    """Two workers, and two machines with a repository of their own."""
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        many.start("other", HERE=str(tmp_path))
        files = {"interlock.yaml": PIPELINE}
        yield many, [many.submitter(tmp_path / name, files, HERE=str(tmp_path)) for name in ("one", "two")]


def said(folder: Path) -> list[str]:
    path = folder / "said"
    return path.read_text().split() if path.exists() else []


def started(world: World) -> subprocess.Popen[str]:
    return world.start("run", "--engine", "temporal", "--plain", "-t", "x")


def test_they_take_turns(tmp_path: Path, two: tuple[Cluster, list[World]]) -> None:
    for process in [started(world) for world in two[1]]:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert len(said(tmp_path)) == 4  # each on the base, and on its candidate
    assert "overlapped" not in said(tmp_path)


def test_a_run_that_is_cancelled_holds_nothing(tmp_path: Path, two: tuple[Cluster, list[World]]) -> None:
    """Another one waits meanwhile, and is cancelled itself in between."""
    _, (first, second) = two
    (tmp_path / "stay").touch()
    holder = started(first)
    until(lambda: len(said(tmp_path)) == 1, "no gate began")
    waiting = started(second)
    assert waiting.stderr is not None
    run = run_in(next(line for line in waiting.stderr if line.startswith("run ")))
    words = f"waits for again, which a gate of {first.show()['id']} has (`exclusive`)"
    until(lambda: words in second.ask("status", run).text, "it did not wait")
    second.ask("cancel", run, "--plain")
    waiting.communicate(timeout=60)
    assert second.show(run)["phase"] == "cancelled"
    third = started(second)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    (tmp_path / "stay").unlink()
    first.ask("cancel", "--plain")
    until(lambda: not _is_alive(int(said(tmp_path)[0])), "the gate outlived its run")
    (tmp_path / "held").rmdir()
    _, err = third.communicate(timeout=300)
    assert third.returncode == 0, err
    assert "overlapped" not in said(tmp_path)


def test_a_worker_that_is_killed_frees_it(tmp_path: Path, two: tuple[Cluster, list[World]]) -> None:
    many, (first, _) = two
    (tmp_path / "stay").touch()
    process = started(first)
    until(lambda: len(said(tmp_path)) == 1, "no gate began")
    (tmp_path / "stay").unlink()
    for machine in many.machines[1:]:
        machine.kill()
        machine.communicate()
    until(lambda: not _is_alive(int(said(tmp_path)[0])), "the gate outlived its worker")
    (tmp_path / "held").rmdir()
    many.start("third", HERE=str(tmp_path))
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert len(said(tmp_path)) == 3
    assert "overlapped" not in said(tmp_path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
