"""`check` for an agent in a stage: an MCP server of its own, that asks the stage's gates about the work as it is.

Rule: it runs with what the agent has and keeps its state in the agent's place, so that nothing it does or says
reaches the run.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass

from interlock.ports import Brief, Checkout

SERVER = "interlock"
TOOL = "check"
ADVICE = (
    f"Before you end, call the tool `{TOOL}` of the MCP server `{SERVER}`: it tells what the gates say of your work as "
    "it is. They judge again when you have ended."
)


@dataclass(frozen=True, slots=True)
class Check:
    """How the server is started, and how long a call may take. `program` is a script that brings its environment along:
    programs pass on little of theirs, or all of it, or read signs in what they are told."""

    program: str
    timeout_s: int


def offer(brief: Brief, checkout: Checkout) -> Check | None:
    """None where there is no gate for the agent to ask."""
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
