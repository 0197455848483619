"""Calls of the MCP server with the SDK's own client, which validates each answer against the schema of its tool."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from tests.contract.cli_world import World


def talk(world: World, said: Callable[[Client], Awaitable[None]], *options: str) -> None:
    async def all_of_it() -> None:
        argv = ["-m", "interlock", "mcp", *options]
        started = StdioServerParameters(
            command=sys.executable, args=argv, env=world.environment(), cwd=str(world.repository)
        )
        with anyio.fail_after(120):
            async with Client(started) as client:
                await client.list_tools()
                await said(client)

    anyio.run(all_of_it)


async def ask(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """The document, which is the same in the text and in the data: programs read one of the two."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found = result.structured_content
    assert isinstance(found, dict)
    assert json.loads(_text(result.content)) == found
    return found


async def text_of(client: Client, tool: str, **arguments: object) -> str:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is None
    return _text(result.content)


async def refused(client: Client, tool: str, **arguments: object) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return _text(result.content)


def _text(content: list[Any]) -> str:
    return "".join(part.text for part in content)
