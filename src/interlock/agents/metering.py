"""Tokens as a program tells of them while it works, and an end where a limit is reached.

Rule: it counts what the program says of each call of its model, each once; the program is ended by raising.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import cast

_LINE_MAX = 5_000_000  # bytes


class OverBudget(Exception):
    """The limit is reached. `tokens` were told by then."""

    def __init__(self, tokens: int, left: float) -> None:
        super().__init__(f"ended at {tokens} tokens: {left:g} were left of the limits")
        self.tokens = tokens


class Meter:
    """Takes a program's output in chunks. Raises OverBudget as soon as more than `left` tokens are told."""

    def __init__(self, streamed: Callable[[Mapping[str, object]], tuple[str, int] | None] | None, left: float) -> None:
        self._streamed, self._left = streamed, left
        self._calls: dict[str, int] = {}
        self._line = b""

    def __call__(self, chunk: bytes) -> None:
        *lines, self._line = (self._line + chunk).split(b"\n")
        self._line = self._line[:_LINE_MAX]
        for line in lines:
            self._count(line)

    @property
    def used(self) -> int:
        """Tokens that were told by now."""
        return sum(self._calls.values())

    def _count(self, line: bytes) -> None:
        if self._streamed is None or not line.startswith(b"{"):
            return
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        told = self._streamed(cast(Mapping[str, object], event)) if isinstance(event, dict) else None
        if told is not None:
            call, tokens = told
            self._calls[call] = max(tokens, self._calls.get(call, 0))
            if self.used >= self._left:
                raise OverBudget(self.used, self._left)
