"""The MCP server over stdio and HTTP with the SDK's own client: a run from its start to its approval, every refusal,
and how much an agent has to read."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import httpx
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.contract.cli_world import World, new_world
from tests.contract.mcp.world import ask, refused, talk, text_of
from tests.contract.web.world import served

PIPELINE = """\
version: 1
name: quick
agents:
  own: {use: command, run: [bash, -c, 'echo "# Plan" > "$ARTIFACTS/plan.md"; seq 5000 | tee a.txt']}
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


def test_a_run_from_its_start_to_its_approval(world: World) -> None:
    async def said(client: Client) -> None:
        listed = await ask(client, "list_pipelines")
        assert [one["name"] for one in listed["pipelines"]] == ["quick"]
        assert (await ask(client, "list_pipelines", pipeline="interlock"))["valid"] is True
        checked = await ask(client, "check", stage="code")
        assert checked["passed"] is False  # there is no a.txt yet
        assert checked["gates"][0]["gate"] == "code/there"
        assert checked["skipped"]["a person decides"] == ["code/merge"]
        run = (await ask(client, "start_run", task="--do it"))["run"]
        waiting = await ask(client, "get_run", run=run, wait_s=100)
        assert list(waiting)[:3] == ["id", "phase", "who_acts"]
        assert (waiting["phase"], waiting["who_acts"], waiting["timed_out"]) == ("waiting", "person", False)
        assert waiting["waits"][0]["reason"] == "approval"
        assert waiting["waits"][0]["detail"] == "Merge it?"
        assert "`answer`" in waiting["next"]
        assert 'what="change"' in waiting["next"]
        assert [one["id"] for one in (await ask(client, "list_runs"))["runs"]] == [run]
        attempt = await ask(client, "get_attempt", run=run, attempt="code")
        assert (attempt["id"], "code/there" in attempt["passed"]) == ("code/1.1", True)
        full = await ask(client, "get_attempt", run=run, attempt="code/1.1", detail="full")
        assert (full["outcome"], full["verdicts"]) == ("completed", [])
        given = {"run": run, "what": "artifact", "name": "plan.md"}
        assert await text_of(client, "read", attempt="code/1.1", **given) == "# Plan\n"
        assert "## How to finish" in await text_of(client, "read", run=run, what="brief", attempt="code/1.1")
        assert "a.txt +5000 -0" in await text_of(client, "read", run=run, what="files")
        await pages(client, run)
        assert 'with attempt="code/1.1"' in waiting["next"]
        assert "`get_run`" in await refused(client, "answer", run=run, action="approve")
        moved = await refused(client, "answer", run=run, action="approve", attempt="code/1.2")
        assert (
            moved
            == "nothing was recorded for code/1.2: code/1.1 waits now; `read` it, and `get_run`, before you answer"
        )
        assert "code/1.1 is the newest now" in await refused(
            client, "answer", run=run, action="retry", attempt="code/1.4"
        )
        assert not world.show()["answers"]
        answered = await ask(client, "answer", run=run, action="approve", attempt="code/1.1", comment="fine")
        assert answered["run"] == run
        over = await ask(client, "get_run", run=run, wait_s=100)
        assert (over["phase"], over["who_acts"]) == ("accepted", "nobody")
        assert over["branch"]
        assert await text_of(client, "read", attempt="code", **given) == "# Plan\n"
        resource = await client.read_resource(f"artifact://{run}/code/plan.md")
        assert "# Plan" in str(resource.contents[0])
        for uri in (f"artifact://{run}/code/..%2F..%2Finterlock.yaml", f"artifact://{run}/code/%2Fetc%2Fpasswd"):
            with pytest.raises(Exception, match=r"has plan\.md"):
                await client.read_resource(uri)
        resource = await client.read_resource(f"run://{run}")
        assert json.loads(resource.contents[0].text)["phase"] == "accepted"  # type: ignore[union-attr]

    talk(world, said, "--allow-answers")
    answers = world.show()["answers"]
    assert [(one["action"], one["by"].endswith("(MCP)")) for one in answers] == [("approve", True)]


async def pages(client: Client, run: str) -> None:
    """A long log and diff come whole, a page at a time."""
    text, offset = "", 0
    while offset >= 0:
        first, _, piece = (
            await text_of(client, "read", run=run, what="log", attempt="code/1.1", offset=offset)
        ).partition("\n")
        assert first.startswith(f"[characters {offset} to ")
        text += piece
        offset = int(first.partition("offset=")[2].rstrip("]") or -1)
    assert text.endswith("\n5000\n")
    assert len(text) > 20_000
    assert "5000" in await text_of(client, "read", run=run, what="log", attempt="code/1.1", offset=-100)
    for what in ("change", "diff"):
        assert "+4900" not in await text_of(client, "read", run=run, what=what, attempt="code/1.1")


def test_what_does_not_fit_is_refused_with_a_word_on_what_would(world: World) -> None:
    async def said(client: Client) -> None:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert "answer" not in tools
        assert {"list_pipelines", "start_run", "get_run", "get_attempt", "check"} <= tools
        assert "`start_run` starts one" in await refused(client, "get_run")
        assert "nothere" in await refused(client, "start_run", task="x", pipeline="nothere")
        assert "`until` nothere: no such stage" in await refused(client, "start_run", task="x", until="nothere")
        assert "`list_runs` shows" in await refused(client, "get_run", run="nothere")
        for evil in ("--help", "--json", "-C/"):
            assert evil in await refused(client, "get_run", run=evil)
        assert await refused(client, "start_run", task=" ") == "`start_run` needs `task`: say what is to be done"
        assert "tell a person" in await refused(client, "answer", run="x", action="approve")
        assert await refused(client, "wait_run") == "there is no tool `wait_run`: call `get_run`"
        assert await refused(client, "get_rum") == "there is no tool `get_rum`: call `get_run`"
        assert {prompt.name for prompt in (await client.list_prompts()).prompts} == {
            "work_under_interlock",
            "mend_a_rejection",
        }
        told = await client.get_prompt("work_under_interlock", {"task": "Do this."})
        assert "Do this." in str(told.messages[0].content)
        for uri in ("run://nothere", "artifact://a/b", "file:///etc/passwd"):
            with pytest.raises(Exception, match=r"list_runs|there are run://"):
                await client.read_resource(uri)

    talk(world, said)


def test_files_outside_the_artifacts_are_none(world: World) -> None:
    async def said(client: Client) -> None:
        run = (await ask(client, "start_run", task="x"))["run"]
        await ask(client, "get_run", run=run, wait_s=100)
        for file in ("../../../interlock.yaml", "/etc/passwd", "nothere.md"):
            why = await refused(client, "read", run=run, what="artifact", attempt="code/1.1", name=file)
            assert "plan.md" in why
        assert "comment" in await refused(client, "answer", run=run, action="reject", attempt="code/1.1")
        await ask(client, "answer", run=run, action="cancel")
        assert (await ask(client, "get_run", run=run, wait_s=100))["phase"] == "cancelled"

    talk(world, said, "--allow-answers")


def test_over_http_it_says_the_same(world: World) -> None:
    world.ask("run", "-t", "do it", "--plain").ended(3)

    async def said(address: str, token: str) -> None:
        known = httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60)
        async with known, Client(streamable_http_client(address, http_client=known)) as client:
            assert "answer" not in {tool.name for tool in (await client.list_tools()).tools}
            assert (await ask(client, "get_run"))["who_acts"] == "person"
            assert "`list_runs`" in await refused(client, "get_run", run="nothere")

    with served(world, "--mcp") as site:
        anyio.run(said, f"{site.base}/mcp/", site.token)


def test_hints_say_what_a_tool_may_do_and_schemas_are_real(world: World) -> None:
    async def said(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        hints = {name: tool.annotations for name, tool in tools.items()}
        reads = {name for name, one in hints.items() if one is not None and one.read_only_hint}
        assert reads == {"list_pipelines", "list_runs", "get_run", "get_attempt", "read"}
        assert {name for name, one in hints.items() if one is not None and one.destructive_hint} == {"answer"}
        assert {name for name, one in hints.items() if one is not None and one.idempotent_hint} == {"check"}
        assert {name for name, tool in tools.items() if tool.output_schema is None} == {"read"}  # text
        for tool in tools.values():
            assert tool.input_schema["additionalProperties"] is False
            assert not tool.output_schema or tool.output_schema["properties"]
            Draft202012Validator.check_schema(tool.input_schema)
            Draft202012Validator.check_schema(tool.output_schema or {})

    talk(world, said, "--allow-answers")
