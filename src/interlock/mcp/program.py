"""Calls of Interlock's own verbs: an agent gets exactly the output that a person at the terminal gets.

Rule: what an agent sends is a value, never an option; every failure is a ToolError that says what to do next.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
from mcp.server.mcpserver.exceptions import ToolError

from interlock.bootstrap import Application, build
from interlock.ports import InterlockError
from interlock.process import Captured, capture

PAGE = 16_000  # characters
CHECK_S = 3_600
_CALL_S = 120
_OUTPUT_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Program:
    """The repository around `folder`, with the environment of whoever started the server."""

    folder: Path
    environ: Mapping[str, str]

    async def document(self, *words: str, timeout_s: float = _CALL_S) -> dict[str, object]:
        """What a verb prints as JSON, whatever its exit code. Raises ToolError."""
        done = await self.call(*words, timeout_s=timeout_s)
        try:
            document = json.loads(done.out)
        except ValueError:
            raise ToolError(_why(done)) from None
        if not isinstance(document, dict):
            raise ToolError(_why(done))
        return document

    async def text(self, *words: str) -> str:
        """What a verb prints for people. Raises ToolError if it fails."""
        done = await self.call(*words)
        if done.code != 0:
            raise ToolError(_why(done))
        return done.out.decode("utf-8", "replace")

    async def call(self, *words: str, stdin: str = "", timeout_s: float = _CALL_S) -> Captured:
        argv = (sys.executable, "-P", "-m", "interlock", *words)  # -P: nothing is imported from the folder
        env = {**self.environ, "NO_COLOR": "1", "CI": "true"}

        def run() -> Captured:
            return capture(argv, cwd=self.folder, env=env, stdin=stdin.encode("utf-8"), timeout_s=timeout_s)

        try:
            return await anyio.to_thread.run_sync(run)
        except (InterlockError, ValueError) as error:  # ValueError: a NUL in a word
            raise ToolError(str(error)) from error

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
            raise ToolError(str(error)) from error


def page(text: str, offset: int) -> dict[str, object]:
    """One page of `text` from character `offset` on (below 0: from the end), and the offset of the next page."""
    total = len(text)
    start = max(0, total + offset) if offset < 0 else min(offset, total)
    end = min(total, start + PAGE)
    return {"text": text[start:end], "offset": start, "next_offset": end if end < total else None, "total": total}


def _why(done: Captured) -> str:
    output = (done.err or done.out).decode("utf-8", "replace").strip()[-_OUTPUT_MAX:]
    return output or f"it ended with exit code {done.code} and said nothing"
