"""A run ends on the build of Interlock that it began with, whatever is started meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from temporalio.client import Client
from tests.contract.temporal.world import Cluster, Server, cluster_in, other_build, run_on

from interlock import __version__
from interlock.engines.temporal.builds import build

PIPELINE = """\
version: 1
agents:
  writer: {use: command, run: [bash, -c, 'echo "$INTERLOCK_ATTEMPT" >> a.txt']}
stages:
  code: {agent: writer, gates: [{id: ok, approve: "Is it good?"}]}
"""


def began_with(many: Cluster, run: str) -> str:
    async def ask() -> str:
        client = await Client.connect(f"127.0.0.1:{many.server.port}")
        told = await client.get_workflow_handle(f"interlock-{run}").describe()
        return told.raw_description.workflow_execution_info.versioning_info.deployment_version.build_id

    return asyncio.run(ask())


def test_a_controller_that_is_older_says_which_runs_it_takes(tmp_path: Path, server: Server) -> None:
    newer = other_build(tmp_path / "other", "__init__.py", f'"{__version__}"', '"99.0.0"')
    with cluster_in(tmp_path / "many", server, without="worker", PYTHONPATH=newer) as many:
        older = many.machine("older").start("worker", "--controller")
        many.machines.append(older)
        assert older.stderr is not None
        warning, ready, said = (older.stderr.readline() for _ in range(3))
        assert f" has interlock 99.0.0, and this is {__version__}: upgrade all machines" in warning
        assert ready.startswith("worker ")
        assert said.startswith("new runs begin with Interlock 99.0.0-")
        assert f"and this is {build()}: this controller takes only runs that began with its own build" in said


def test_a_run_ends_on_the_build_it_began_with(tmp_path: Path, server: Server) -> None:
    with cluster_in(tmp_path / "many", server) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": PIPELINE})
        old, older = run_on(far, code=3), run_on(far, code=3)
        many.start(
            "newer",
            "--controller",
            PYTHONPATH=other_build(tmp_path / "other", "core/plan.py", "", "# another planner\n"),
        )
        new = run_on(far, code=3)
        assert began_with(many, old) == began_with(many, older) == build()
        assert began_with(many, new) not in ("", build())
        far.ask("approve", old, "--plain").ended(0, "accepted")
        many.machines[0].kill()
        many.machines[0].communicate()
        far.ask("approve", new, "--plain").ended(0, "accepted")
        another = run_on(far, code=3)
        shown = {each["id"]: each for each in far.ask("list", "--json").ended(0).json()["runs"]}
        assert f"began with Interlock {build()}, and no controller of that build" in shown[older]["behind"]
        assert shown[another]["behind"] == "", "one run that nobody tells of made all others old"
        said = far.ask("approve", older, "--plain")
        assert said.code == 5, said.text
        assert f"began with Interlock {build()}" in said.text
        many.start("again", "--controller")
        far.ask("resume", older, "--plain").ended(0, "accepted")
        assert began_with(many, older) == build()
