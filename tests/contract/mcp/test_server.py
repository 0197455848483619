"""The MCP server over stdio with the SDK's own client: a run from its start to its approval, and every refusal."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from tests.contract.cli_world import World, new_world

PIPELINE = """\
version: 1
name: quick
agents:
  own: {use: command, run: [bash, -c, 'echo "# Plan" > "$ARTIFACTS/plan.md"; seq 9000 | tee a.txt']}
stages:
  code:
    agent: own
    produces:
      plan: {file: plan.md}
    gates:
      - id: there
        run: test -s a.txt
      - id: merge
        approve: Merge it?
    on_reject: [{pause: true}]
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path / "w", {"interlock.yaml": PIPELINE})


def talk(world: World, said: Callable[[Client], Awaitable[None]], *options: str) -> None:
    async def all_of_it() -> None:
        argv = ["-m", "interlock", "mcp", *options]
        started = StdioServerParameters(
            command=sys.executable, args=argv, env=world.environment(), cwd=str(world.repository)
        )
        with anyio.fail_after(120):
            async with Client(started) as client:
                await said(client)

    anyio.run(all_of_it)


async def ask(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found = result.structured_content
    assert isinstance(found, dict)
    return found


async def refused(client: Client, tool: str, **arguments: object) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return " ".join(getattr(part, "text", "") for part in result.content)


def test_a_run_from_its_start_to_its_approval(world: World) -> None:
    async def said(client: Client) -> None:
        listed = await ask(client, "list_pipelines")
        assert [one["name"] for one in listed["pipelines"]] == ["quick"]
        assert (await ask(client, "validate_pipeline", pipeline="interlock"))["valid"] is True
        assert (await ask(client, "check", stage="code"))["passed"] is False  # there is no a.txt yet
        run = (await ask(client, "start_run", task="--do it"))["run"]
        waiting = await ask(client, "wait_run", run=run, timeout_s=100)
        assert (waiting["phase"], waiting["timed_out"], waiting["task"]) == ("waiting", False, "--do it")
        assert waiting["waits"][0]["reason"] == "approval"
        assert [one["id"] for one in (await ask(client, "list_runs"))["runs"]] == [run]
        stage = await ask(client, "get_stage", run=run, stage="code")
        assert stage["stage"]["attempts"][0]["outcome"] == "completed"
        verdicts = (await ask(client, "get_verdicts", run=run, attempt="code/1.1"))["verdicts"]
        assert "code/there" in [one["verdict"]["gate"] for one in verdicts]
        assert (await ask(client, "get_artifact", run=run, subject="code/1.1", file="plan.md"))["text"] == "# Plan\n"
        assert "## How to finish" in (await ask(client, "get_brief", run=run, attempt="code/1.1"))["text"]
        await pages(client, run)
        answered = await ask(client, "answer", run=run, action="approve", comment="fine")
        assert answered["run"] == run
        assert (await ask(client, "wait_run", run=run, timeout_s=100))["phase"] == "accepted"
        assert (await ask(client, "get_artifact", run=run, subject="code", file="plan.md"))["text"] == "# Plan\n"
        resource = await client.read_resource(f"artifact://{run}/code/plan.md")
        assert "# Plan" in str(resource.contents[0])

    talk(world, said, "--allow-answers")
    answers = world.show()["answers"]
    assert [(one["action"], one["by"].endswith("(MCP)")) for one in answers] == [("approve", True)]


async def pages(client: Client, run: str) -> None:
    """A long log and diff come whole, a page at a time."""
    text, offset = "", 0
    while offset is not None:
        piece = await ask(client, "read_log", run=run, attempt="code/1.1", offset=offset)
        text, offset = text + piece["text"], piece["next_offset"]
    assert "\n9000" in text
    assert len(text) == piece["total"] > 16_000
    assert "9000" in (await ask(client, "read_log", run=run, attempt="code/1.1", offset=-100))["text"]
    assert "+8000" not in (await ask(client, "get_diff", run=run, attempt="code/1.1"))["text"]


def test_what_does_not_fit_is_refused_with_a_word_on_what_would(world: World) -> None:
    async def said(client: Client) -> None:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert "answer" not in tools
        assert {"list_pipelines", "start_run", "wait_run", "get_verdicts", "check"} <= tools
        assert "interlock run" in await refused(client, "get_run")
        assert "nothere" in await refused(client, "start_run", task="x", pipeline="nothere")
        assert "nothere" in await refused(client, "get_run", run="nothere")
        for evil in ("--help", "--json", "-C/"):
            assert evil in await refused(client, "get_run", run=evil)
        assert "--task-file" not in await refused(client, "start_run", task="")
        assert {prompt.name for prompt in (await client.list_prompts()).prompts} == {
            "work_under_interlock",
            "mend_a_rejection",
        }

    talk(world, said)


def test_files_outside_the_artifacts_are_none(world: World) -> None:
    async def said(client: Client) -> None:
        run = (await ask(client, "start_run", task="x"))["run"]
        await ask(client, "wait_run", run=run, timeout_s=100)
        for file in ("../../../interlock.yaml", "/etc/passwd", "nothere.md"):
            why = await refused(client, "get_artifact", run=run, subject="code/1.1", file=file)
            assert "plan.md" in why
        assert "comment" in await refused(client, "answer", run=run, action="reject")
        await ask(client, "answer", run=run, action="cancel")
        assert (await ask(client, "wait_run", run=run, timeout_s=100))["phase"] == "cancelled"

    talk(world, said, "--allow-answers")
