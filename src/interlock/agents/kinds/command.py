"""Any program as an agent: it gets the brief on standard input and as a file, and works in its current folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from interlock.agents.program import run_program
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Cancel, Checkout, Ended, Outcome


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return CommandAgent()


class CommandAgent:
    """Implements ports.Agent. It also does stages that are a script: their command is the agent's."""

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        if spec.command is None:
            message = f"agent {spec.name}: `use: command` needs a `run`: the command of the program"
            return Outcome(Ended.UNAVAILABLE, message, permanent=True)
        return run_program(spec.command.words, brief, checkout, cancel)
