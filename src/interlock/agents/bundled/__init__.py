"""Programs of our own: a client for agents that speak a protocol, one for a model without a program, and the scripted
worker. Here is what the clients print, and how it is read.

Rule: each is started, supervised and isolated like any agent's program (`python -I`: it imports nothing from the
checkout). The clients read their task as JSON on standard input, and print events as JSON lines; the last is `result`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from interlock.agents.driven import AgentReport, AttemptRequest, Start
from interlock.agents.logs import Event, count, events, inner, number, text
from interlock.core.events import Usage

_TEXT_MAX = 400_000  # characters


@dataclass(frozen=True, slots=True)
class Result:
    """An AgentReport in a form that can be printed."""

    done: bool = False
    refused: bool = False
    message: str = ""
    trouble: str = ""
    status: int = 0
    retry_at: float = 0.0
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    session: str = ""
    begun: bool = False


def start_bundled(module: str, config: Mapping[str, object], env: Mapping[str, str] | None = None) -> Start:
    """How a client is started. `config` is its task."""
    return Start(("-I", "-m", f"interlock.agents.bundled.{module}"), env or {}, json.dumps(config).encode())


def read_config() -> dict[str, object]:
    """In the client: the `config` of `start_bundled`."""
    config: dict[str, object] = json.loads(sys.stdin.buffer.read())
    return config


def print_event(kind: str, /, **parts: object) -> None:
    """One line of the log."""
    sys.stdout.write(json.dumps({**parts, "type": kind}, default=str) + "\n")
    sys.stdout.flush()


def print_result(result: Result) -> None:
    print_event("result", **{**asdict(result), "message": result.message[:_TEXT_MAX]})


def read_result(request: AttemptRequest, log: Path) -> AgentReport:
    """The last result in the log: an agent that the client started may print others before it."""
    result: Event = {}
    for event in events(log):
        result = event if text(event, "type") == "result" else result
    used = inner(result, "usage")
    return AgentReport(
        done=result.get("done") is True,
        refused=result.get("refused") is True,
        message=text(result, "message"),
        error=text(result, "trouble"),
        status=count(result, "status") or 0,
        retry_at=number(result, "retry_at") or 0.0,
        usage=Usage(
            count(used, "tokens_in"),
            count(used, "tokens_out"),
            count(used, "tokens_cached"),
            number(used, "cost_usd"),
        ),
        model=text(result, "model"),
        session=text(result, "session"),
        begun=result.get("begun") is True,
    )
