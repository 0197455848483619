"""The server as the public inspector's command line sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.contract.agents.world import bin_of
from tests.contract.cli_world import World, new_world

_PIPELINE = """\
version: 1
stages:
  code:
    run: echo done > a.txt
    gates:
      - {id: there, run: test -s a.txt}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = new_world(tmp_path_factory.mktemp("inspected"), {"interlock.yaml": _PIPELINE})
    made.ask("run", "-t", "Do it.", "--plain").ended(0)
    return made


def inspect(world: World, method: str, *words: str) -> dict[str, Any]:
    program = Path(bin_of("mcp-inspector")) / "mcp-inspector"
    server = [sys.executable, "-m", "interlock", "mcp"]
    env = world.environment()
    env["PATH"] = os.pathsep.join((str(program.parent), os.environ["PATH"], env.get("PATH", "")))
    argv = [str(program), "--cli", *server, "--method", method, *words]
    done = subprocess.run(argv, cwd=world.repository, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_it_lists_tools_resources_and_prompts(world: World) -> None:
    tools = {one["name"]: one for one in inspect(world, "tools/list")["tools"]}
    assert {"start_run", "get_attempt", "check"} <= set(tools)
    assert "answer" not in tools
    assert all(one["description"] and one["annotations"] for one in tools.values())
    assert [name for name, one in tools.items() if "outputSchema" not in one] == ["read"]
    templates = inspect(world, "resources/templates/list")["resourceTemplates"]
    assert {one["uriTemplate"] for one in templates} == {"run://{run}", "artifact://{run}/{stage}/{file}"}
    assert {one["name"] for one in inspect(world, "prompts/list")["prompts"]} == {
        "work_under_interlock",
        "mend_a_rejection",
    }


def test_it_calls_tools_and_reads_a_resource(world: World) -> None:
    found = inspect(world, "tools/call", "--tool-name", "get_run")
    assert found["isError"] is False
    run = found["structuredContent"]
    assert run["phase"] == "accepted"
    read = inspect(world, "resources/read", "--uri", f"run://{run['id']}")
    assert json.loads(read["contents"][0]["text"])["phase"] == "accepted"


def test_an_error_says_what_to_do_next(world: World) -> None:
    refused = inspect(world, "tools/call", "--tool-name", "get_run", "--tool-arg", "run=nothing")
    assert refused["isError"] is True
    assert "`list_runs`" in refused["content"][0]["text"]
