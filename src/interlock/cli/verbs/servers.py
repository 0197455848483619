"""`interlock serve`: the web page, the JSON API, and with `--mcp` the MCP server, on one address. `interlock mcp`: the
MCP server on standard input and output, for an agent's program to start."""

from __future__ import annotations

import os
import re
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.terminal import note, say
from interlock.ports import InfrastructureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp

    from interlock.application import Application
    from interlock.web.site import Lifespan


PORT = 7475
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The network interface. All except loopback need --allow-remote.",
)
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(0, 65_535), help="0: any free port.")
@click.option(
    "--allow-remote",
    "remote",
    metavar="NAME",
    multiple=True,
    help="Accept requests for this host name from other machines; NAME:443 behind a TLS proxy.",
)
@click.option("--new-token", is_flag=True, help="Make a new token. Open pages must be opened again.")
@click.option("--mcp", "with_mcp", is_flag=True, help="Also serve agents over MCP, under /mcp with the same token.")
@click.option("--allow-answers", is_flag=True, help="Let agents on /mcp approve, reject, retry and cancel.")
def serve(host: str, port: int, remote: tuple[str, ...], new_token: bool, with_mcp: bool, allow_answers: bool) -> int:
    """Show the runs of this repository in a browser, and answer, start and cancel them."""
    import uvicorn

    from interlock.web import application as site
    from interlock.web.guard import BoundedConnection, Keys

    if host not in _LOOPBACK and not remote:
        raise UsageError(
            f"--host {host} is reachable from other machines: name it with --allow-remote NAME, or omit --host"
        )
    if allow_answers and not with_mcp:
        raise UsageError("--allow-answers needs --mcp")
    with application() as app, _listening(host, port) as listening:
        port = listening.getsockname()[1]
        keys = Keys(_token(app, new_token))
        names = _hosts(remote, port)
        mounts = _mcp(app, names, allow_answers) if with_mcp else {}
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{_without_port(remote[0]) if host not in _LOOPBACK else shown}:{port}/"
        say(f"{address}?token={keys.token}")
        if with_mcp:
            say(f"{address}mcp for agents, with the header `Authorization: Bearer {keys.token}`")
        if host not in _LOOPBACK:
            note(
                "this is plain HTTP: anybody who can read the traffic can read the token; use TLS or a tunnel in front"
            )
        config = uvicorn.Config(
            site(app, keys, app.person(), names, mounts), log_level="error", access_log=False, server_header=False,
            timeout_graceful_shutdown=2, lifespan="on", http=BoundedConnection,
        )  # fmt: skip
        uvicorn.Server(config).run([listening])
    return 0


def _hosts(remote: Sequence[str], port: int) -> frozenset[str]:
    """The values of Host that are allowed. `NAME:443` is that of a proxy in front; a browser sends the ports 80 and 443
    of a proxy as no port."""
    direct = (f"{_without_port(name)}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", *remote))
    proxied = [name for name in remote if _has_port(name)]
    plain = (_without_port(name) for name in proxied if name.endswith((":443", ":80")))
    return frozenset(name.lower() for name in (*direct, *proxied, *plain))


def _has_port(name: str) -> bool:
    return re.fullmatch(r"(\[[^\]]*\]|[^:]*):\d+", name) is not None


def _without_port(name: str) -> str:
    return name.rpartition(":")[0] if _has_port(name) else name


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise InfrastructureError(
            f"{host}:{port}: {error.strerror}: is another `interlock serve` running? `--port 0` uses a free port",
            permanent=True,
        ) from error


def _token(app: Application, new: bool) -> str:
    """A random token, stored for this user alone, so that open pages work after a restart."""
    path = app.state / "web-token"
    if not new:
        try:
            if kept := path.read_text().strip():  # an empty one would let everybody in
                return kept
        except FileNotFoundError:
            pass
    token = secrets.token_urlsafe(32)
    fresh = path.with_name(f".web-token.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(token + "\n")
    fresh.replace(path)
    return token


def _mcp(app: Application, names: frozenset[str], allow_answers: bool) -> Mapping[str, tuple[ASGIApp, Lifespan]]:
    from mcp.server.transport_security import TransportSecuritySettings

    from interlock.mcp import mcp_server

    server = mcp_server(app.repository, os.environ, allow_answers=allow_answers)
    safety = TransportSecuritySettings(
        allowed_hosts=sorted(names),
        allowed_origins=[f"{scheme}://{name}" for name in sorted(names) for scheme in ("http", "https")],
    )
    made = server.streamable_http_app(streamable_http_path="/", transport_security=safety)
    return {"/mcp": (made, server.session_manager.run)}


@click.command()
@click.option("--allow-answers", is_flag=True, help="Let the agent approve, reject, retry and cancel.")
@click.option("--inside", type=click.Path(path_type=Path), hidden=True, help="Only `check`, for an agent in a stage.")
def mcp(allow_answers: bool, inside: Path | None) -> int:
    """Serve MCP on stdin and stdout, for the repository around the current folder."""
    from interlock.cli.pipelines import repository_here
    from interlock.mcp import checking_server, mcp_server, serve_stdio  # lazy: no other verb needs it

    repository_here()
    if inside is not None:
        serve_stdio(checking_server(Path.cwd(), os.environ, inside.absolute()))
        return 0
    serve_stdio(mcp_server(Path.cwd(), os.environ, allow_answers=allow_answers))
    return 0
