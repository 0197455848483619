"""What people are told of bad input, and of machines that do not fit: what happened, where, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import new_world
from tests.contract.temporal.test_doctor import settle
from tests.contract.temporal.test_sizes import forget
from tests.contract.temporal.world import Cluster, Server, cluster_in, other_build, run_on, server_in, until

from interlock import __version__

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

QUICK = """\
version: 1
stages:
  code: {run: "echo x > a.txt", gates: [{id: g, run: "test -s a.txt"}]}
"""


ASK = """\
version: 1
stages:
  code: {run: "echo x > a.txt", gates: [{id: ok, approve: "Is it good?"}]}
"""


def test_a_run_that_the_server_forgot_is_shown_and_says_what_to_do(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": ASK})
    run = run_on(far, code=3)
    forget(many, run)
    for verb in ("status", "show", "list"):
        until(lambda verb=verb: f"has no run {run} any more" in far.ask(verb).err)  # type: ignore[misc]
    far.ask("verify", run).ended(5, "nothing was accepted")
    for words in (("approve", run), ("cancel", run), ("resume", "--plain", run)):
        said = far.ask(*words).ended(5, "correct temporal.address, namespace or blobs, or start a new run")
        assert "goes to the server" not in said.text


def test_a_worker_of_another_version_is_told_before_a_run_begins(tmp_path: Path, server: Server) -> None:
    other = other_build(tmp_path / "other", "__init__.py", f'"{__version__}"', '"0.0.1"')
    with cluster_in(tmp_path / "many", server) as many:
        process = many.machine("other", PYTHONPATH=other).start("worker", "--labels", "old")
        many.machines.append(process)
        far = many.submitter(tmp_path / "far", {"interlock.yaml": QUICK})
        until(lambda: "has interlock 0.0.1" in far.ask("doctor").text)
        said = far.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(0)
        assert f"{process.pid}@" in said.err
        assert f" has interlock 0.0.1, and this is {__version__}: upgrade all machines of the queue" in said.err


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
