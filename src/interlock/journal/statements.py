"""The named SQL of `queries.sql`: no statement is written anywhere else."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_NAMED = re.compile(r"^-- name: (?P<name>\w+)\n(?P<text>.*?);$", re.MULTILINE | re.DOTALL)


def statement(name: str) -> str:
    """The text of one statement. Raises KeyError where there is none of that name."""
    return _statements()[name]


@cache
def _statements() -> dict[str, str]:
    text = Path(__file__).with_name("queries.sql").read_text(encoding="utf-8")
    return {match["name"]: match["text"].strip() for match in _NAMED.finditer(text)}
