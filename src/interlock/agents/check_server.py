"""The MCP server `check`: an agent in a stage asks the gates of that stage about its work so far.

Rule: the server sees only the environment of the agent, and keeps its state beside the agent's checkout. Nothing that
it does or prints reaches the run.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass

from interlock.ports import Brief, Checkout

SERVER = "interlock"
TOOL = "check"
CHECK_PROMPT = (
    f"Before you end, call the tool `{TOOL}` of the MCP server `{SERVER}`: it returns what the gates say of your work "
    "so far. They judge again when you have ended."
)


@dataclass(frozen=True, slots=True)
class Check:
    """How the server is started, and how long a call may take. `program` is a script that sets its whole environment:
    agent programs pass on parts of theirs, or all of it, or expand signs in the values that they are given."""

    program: str
    timeout_s: int


def offer_check(brief: Brief, checkout: Checkout) -> Check | None:
    """None if the agent has no gate to ask."""
    if not brief.rehearsal:
        return None
    aside = checkout.root / "agent"
    aside.mkdir(exist_ok=True)
    given = aside / "rehearsal.json"
    given.write_text(brief.rehearsal, encoding="utf-8")
    env = {name: value for name, value in brief.env.items() if not value or value not in brief.secrets}
    env |= {"INTERLOCK_STATE_HOME": str(aside / "checks"), "INTERLOCK_CACHE_HOME": str(aside / "rooms")}
    command = (sys.executable, "-I", "-m", "interlock", "mcp", "--inside", str(given))
    program = aside / SERVER
    words = ("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in env.items()), *command)
    program.write_text(f"#!/bin/sh\nexec {shlex.join(words)}\n", encoding="utf-8", errors="surrogateescape")
    program.chmod(0o700)
    return Check(str(program), brief.timeout_s)
