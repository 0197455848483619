"""Text for programs that take `@path` in what they are told for an order to read that file.

Rule: what they are told holds the work under review, or what was wrong with it. No word of it may bring in a file.
"""

from __future__ import annotations

_NOTE = "In all of the following, \\@ stands for a plain at sign.\n\n"


def without_mentions(text: str) -> str:
    """With a backslash before each `@`, which takes its meaning away, and a word on it."""
    return _NOTE + text.replace("@", "\\@") if "@" in text else text
