"""Where in a JSON text a value stands.

Rule: the text is known to be JSON, so this only walks to the value that a path names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line, from 1, of the value that `path` (keys and indexes) leads to; of the last one found on the way."""
    at = _blank(text, 1 if text.startswith("\ufeff") else 0)
    for part in path:
        inside = _member(text, at, part) if isinstance(part, str) else _element(text, at, part)
        if inside is None:
            break
        at = inside
    return text.count("\n", 0, at) + 1


def _member(text: str, at: int, key: str) -> int | None:
    if not text.startswith("{", at):
        return None
    at = _blank(text, at + 1)
    while not text.startswith("}", at):
        name, at = _DECODER.raw_decode(text, at)
        at = _blank(text, _blank(text, at) + 1)
        if name == key:
            return at
        at = _next(text, at)
    return None


def _element(text: str, at: int, index: int) -> int | None:
    if not text.startswith("[", at):
        return None
    at = _blank(text, at + 1)
    for _ in range(index):
        if text.startswith("]", at):
            return None
        at = _next(text, at)
    return at


def _next(text: str, at: int) -> int:
    """Behind the value at `at` and the comma after it, if there is one."""
    _, at = _DECODER.raw_decode(text, at)
    at = _blank(text, at)
    return _blank(text, at + 1) if text.startswith(",", at) else at


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at
