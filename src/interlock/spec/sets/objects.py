"""What stands in the objects of a configuration written in JavaScript or JSON. Rule: a best effort by its text, and
nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TEXT_MAX = 200_000
_TOKENS = re.compile(
    r"""//[^\n]*|/\*.*?\*/|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)"""
    r"""|(?P<name>[A-Za-z_$][\w$]*)|(?P<mark>[{}()\[\]:,])""",
    re.S,
)
_KEY = re.compile(r"\s*:")


def texts(source: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each text that is a value, with the keys that lead to it. The texts of one call are one path:
    `join(here, "support", "setup.js")`."""
    source = source[:_TEXT_MAX]
    inside: list[tuple[str, str]] = []  # the brackets that are open, each with the key that it is the value of
    called: list[list[str]] = []
    key = ""
    for token in _TOKENS.finditer(source):
        word, mark = (token["text"] or "")[1:-1] or token["name"] or "", token["mark"]
        if word and _KEY.match(source, token.end()):
            key = word
        elif token["text"] and inside and inside[-1][0] == "(":
            called[-1].append(word)
        elif token["text"]:
            yield _path(inside, key), word
        elif mark in ("{", "[", "("):
            called += [[]] if mark == "(" else []
            inside.append((mark, key))
            key = ""
        elif mark in ("}", "]", ")") and inside:
            opened, key = inside.pop()
            if opened == "(" and (joined := "/".join(called.pop())):
                yield _path(inside, key), joined
        elif mark == "," and inside and inside[-1][0] == "{":
            key = ""


def _path(inside: list[tuple[str, str]], key: str) -> tuple[str, ...]:
    return tuple(name for name in (*(name for _, name in inside), key) if name)
