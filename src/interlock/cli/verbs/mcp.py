"""`interlock mcp`: the MCP server on standard input and output, for an agent's program to start."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command()
@click.option("--allow-answers", is_flag=True, help="Also let the agent approve, reject, retry and cancel.")
@click.option("--inside", type=click.Path(path_type=Path), hidden=True, help="Only `check`, for an agent in a stage.")
def mcp(allow_answers: bool, inside: Path | None) -> int:
    """Serve MCP on stdin and stdout, for the repository around the current folder."""
    from interlock.cli.pipelines import repository_here
    from interlock.mcp import checking_server, mcp_server  # late: no other verb pays for it

    repository_here()
    if inside is not None:
        checking_server(Path.cwd(), os.environ, inside.absolute()).run("stdio")
        return 0
    mcp_server(Path.cwd(), os.environ, allow_answers=allow_answers).run("stdio")
    return 0
