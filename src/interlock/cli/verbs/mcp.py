"""`interlock mcp`: the MCP server on standard input and output, for an agent's program to start."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command()
@click.option("--allow-answers", is_flag=True, help="Also let the agent approve, reject, retry and cancel.")
def mcp(allow_answers: bool) -> int:
    """Serve MCP on stdin and stdout, for the repository around the current folder."""
    from interlock.cli.pipelines import repository_here
    from interlock.mcp import mcp_server  # late: no other verb pays for it

    repository_here()
    mcp_server(Path.cwd(), os.environ, allow_answers=allow_answers).run("stdio")
    return 0
