"""Any agent that speaks the Agent Client Protocol. The agent's `run` is the command that our client starts it with."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from interlock.agents.bundled import read_result, start_bundled
from interlock.agents.driven import AttemptRequest, Driven, Kind, Start
from interlock.agents.program import SERVER
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Cancel, Checkout, Ended, Outcome

_NO_MENTIONS = {"CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1"}  # else `@path` in a prompt makes claude read that file


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
        kind = Kind(sys.executable, partial(_start, words), read_result, label=words[0], checks=True)
        return Driven(kind, self._environ).work(spec, brief, checkout, cancel)


def _start(words: tuple[str, ...], request: AttemptRequest) -> Start:
    scope, root = request.brief.scope, request.tree.resolve()
    artifacts = request.brief.env.get("ARTIFACTS", "")
    config = {
        "command": words,
        "text": request.text,
        "servers": [{"name": SERVER, "command": request.check.program}] if request.check is not None else [],
        "cwd": request.seen(request.tree / request.brief.dir),
        "tree": request.seen(request.tree),
        "writes": scope.writes,
        "authors": scope.authors,
        "protect": scope.protect,
        "documents": str(request.lies(artifacts).resolve().relative_to(root)) if artifacts else "",
        "reviews": request.reviews,
    }
    return start_bundled("acp", config, _NO_MENTIONS)
