"""Any agent that speaks the Agent Client Protocol: `run` starts it. What is driven is our own client."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from interlock.agents.bundled.results import read_result, started
from interlock.agents.check_server import SERVER
from interlock.agents.driven import AttemptRequest, Driven, Kind, Start
from interlock.core.pipeline import AgentSpec
from interlock.core.programs import obeyed
from interlock.ports import Agent, Brief, Cancel, Checkout, Ended, Outcome

_NO_MENTIONS = {"CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1"}  # with claude `@path` in what it is told would read a file


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return Acp(environ)


class Acp:
    """Implements ports.Agent."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        words = spec.command.words if spec.command is not None else ()
        if not words or shutil.which(words[0], path=brief.env.get("PATH", "")) is None:
            message = f"{words[0] if words else spec.name}: not found: install it, or correct the agent's `run`"
            return Outcome(Ended.UNAVAILABLE, message, permanent=True)
        kind = Kind(
            sys.executable, partial(_start, words), read_result, label=words[0], obeys=obeyed("acp"), checks=True
        )
        return Driven(kind, self._environ).work(spec, brief, checkout, cancel)


def _start(words: tuple[str, ...], asked: AttemptRequest) -> Start:
    scope, root = asked.brief.scope, asked.tree.resolve()
    artifacts = asked.brief.env.get("ARTIFACTS", "")
    config = {
        "command": words,
        "text": asked.text,
        "servers": [{"name": SERVER, "command": asked.check.program}] if asked.check is not None else [],
        "cwd": str(asked.tree / asked.brief.dir),
        "tree": str(asked.tree),
        "writes": scope.writes,
        "authors": scope.authors,
        "protect": scope.protect,
        "documents": str(Path(artifacts).resolve().relative_to(root)) if artifacts else "",
        "reviews": asked.reviews,
    }
    return started("acp", config, _NO_MENTIONS)
