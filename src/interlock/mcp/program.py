"""Calls of Interlock's own verbs: an agent gets exactly the output that a person at the terminal gets.

Rule: what an agent sends is a value, never an option; every failure is a ToolError that says which tool to call next.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from interlock.bootstrap import Application, build
from interlock.mcp.tool import Document, ToolError
from interlock.ports import InterlockError
from interlock.process import Captured, capture

CHECK_S = 3_600
_CALL_S = 120
_OUTPUT_MAX = 4_000
_COMMAND = re.compile(r"`interlock ([a-z]+)[^`]*`")
_OPTION = re.compile(r"(?<![\w`-])--(pipeline|base|until|stage)\b")
_INPUT = re.compile(r"^-i\b")
_LEVEL = re.compile(r"^(?:error: |warning: .*\n?)", re.MULTILINE)
_TOOLS = {
    "check": "check",
    "diff": "read",
    "list": "list_runs",
    "logs": "read",
    "run": "start_run",
    "show": "get_attempt",
    "status": "get_run",
    "validate": "list_pipelines",
    "watch": "get_run",
}
_ANSWERS = dict.fromkeys(("approve", "reject", "retry", "cancel"), "answer")


async def _unheard(step: int, message: str) -> None:
    """Progress for a caller that asked for none."""


@dataclass(frozen=True, slots=True)
class Program:
    """The repository around `folder`, with the environment of whoever started the server. `answers`: an agent may
    answer for a person. `report` tells the caller of a tool how far it is."""

    folder: Path
    environ: Mapping[str, str]
    answers: bool = False
    report: Callable[[int, str], Awaitable[None]] = _unheard

    async def document(self, *words: str, timeout_s: float = _CALL_S) -> Document:
        """What a verb prints as JSON, whatever its exit code. Raises ToolError."""
        done = await self.call(*words, timeout_s=timeout_s)
        try:
            document = json.loads(done.out)
        except ValueError:
            raise self.failed(done) from None
        if not isinstance(document, dict):
            raise self.failed(done)
        return document

    async def text(self, *words: str) -> str:
        """What a verb prints for people. Raises ToolError if it fails."""
        done = await self.call(*words)
        if done.code != 0:
            raise self.failed(done)
        return done.out.decode("utf-8", "replace")

    async def call(self, *words: str, stdin: str = "", timeout_s: float = _CALL_S) -> Captured:
        argv = (sys.executable, "-P", "-m", "interlock", *words)  # -P: nothing is imported from the folder
        env = {**self.environ, "NO_COLOR": "1", "CI": "true"}

        def run() -> Captured:
            return capture(argv, cwd=self.folder, env=env, stdin=stdin.encode("utf-8"), timeout_s=timeout_s)

        try:
            return await anyio.to_thread.run_sync(run)
        except (InterlockError, ValueError) as error:  # ValueError: a NUL in a word
            raise self.error(str(error)) from error

    @contextmanager
    def application(self) -> Iterator[Application]:
        """The application, for what no verb prints. Raises ToolError for every expected error."""
        try:
            app = build(self.folder, self.environ)
            try:
                yield app
            finally:
                app.close()
        except InterlockError as error:
            raise self.error(str(error)) from error

    def failed(self, done: Captured) -> ToolError:
        output = (done.err or done.out).decode("utf-8", "replace").strip()[-_OUTPUT_MAX:]
        return self.error(output or f"it ended with exit code {done.code} and said nothing")

    def error(self, words: str) -> ToolError:
        """The same words with tools and their arguments in place of commands and options. A command for which there is
        no tool is a person's."""
        known = {**_TOOLS, **(_ANSWERS if self.answers else {})}

        def tool(found: re.Match[str]) -> str:
            return f"`{known[found[1]]}`" if found[1] in known else found[0]

        said = _LEVEL.sub("", words).strip() or words
        return ToolError(_INPUT.sub("`inputs`", _OPTION.sub(r"`\1`", _COMMAND.sub(tool, said))))
