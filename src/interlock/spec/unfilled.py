"""The agent that stands where none was found yet: its command fails, and everybody who looks at it says so."""

from __future__ import annotations

from interlock.core.pipeline import AgentSpec

MARK = "interlock-agent-not-chosen"
LINE = (
    f"echo '{MARK}: put the line that starts your coding agent here, in .interlock/common.yaml under agents"
    " (the brief is on standard input, and in the file $BRIEF)' >&2; exit 127"
)
MESSAGE = "no agent is there yet"
HINT = "write the line that starts your coding agent; the brief is on its standard input, and in the file $BRIEF"


def is_unfilled(agent: AgentSpec) -> bool:
    """Whether the agent is still the one that stands for none."""
    return agent.command is not None and MARK in agent.command.shell
