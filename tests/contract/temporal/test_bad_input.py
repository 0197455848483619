"""What people are told of bad input, and of machines that do not fit: what happened, where, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import new_world
from tests.contract.temporal.test_doctor import settle
from tests.contract.temporal.world import cluster_in, server_in

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

QUICK = """\
version: 1
stages:
  code: {run: "echo x > a.txt", gates: [{id: g, run: "test -s a.txt"}]}
"""


def test_a_repository_without_commits_is_told_before_the_server_is_asked(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"interlock.yaml": QUICK})
    settle(world, temporal={"address": "127.0.0.1:1"})
    world.git("checkout", "--quiet", "--orphan", "empty")
    said = world.ask("run", "--engine", "temporal", "-t", "x").ended(2, "the repository has no commits yet")
    assert "Temporal" not in said.err


def test_a_worker_says_that_it_lost_its_server_and_that_it_is_back(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with server_in(tmp_path / "server") as server, cluster_in(tmp_path, server, without="worker") as many:
        stderr = many.machines[0].stderr
        assert stderr is not None
        server.kill()
        address = f"127.0.0.1:{server.port}"
        assert stderr.readline() == f"{address} does not answer (no connection): tried again until it does\n"
        server.start()
        assert stderr.readline() == "the server answers again\n"
