"""Glob patterns over repository paths, as in a `.gitignore`. Pure.

Rules: `*`, `?` and `[a-z]` stay within one path segment, `**` crosses them. A pattern without a slash
(but a last one) matches at any depth; one with a slash, from the root. What matches a folder matches
all below it. In a list the last pattern that matches decides, and `!` in front takes back. Unlike in
a `.gitignore`, what lies below a matched folder can be taken back too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby


def matches(glob: str, path: str) -> bool:
    """Whether `path` (relative to the root, slashes) is matched by `glob`, a leading `!` aside."""
    return _compiled(glob.removeprefix("!")).fullmatch(path) is not None


def matches_any(globs: Iterable[str], path: str) -> bool:
    """Whether the last of `globs` that matches `path` is one without a leading `!`."""
    chosen = False
    for takes_back, pattern in _together(tuple(globs)):
        if chosen == takes_back and pattern.fullmatch(path):
            chosen = not chosen
    return chosen


@lru_cache(maxsize=512)
def _together(globs: tuple[str, ...]) -> tuple[tuple[bool, re.Pattern[str]], ...]:
    """Neighbours with and without a leading `!`, each as one expression: a list is matched against every file."""
    groups = groupby(globs, key=lambda glob: glob.startswith("!"))
    return tuple(
        (takes_back, re.compile("|".join(f"(?:{_expression(glob.removeprefix('!'))})" for glob in group), re.DOTALL))
        for takes_back, group in groups
    )


@lru_cache(maxsize=4096)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(_expression(glob), re.DOTALL)


def _expression(glob: str) -> str:
    pattern = glob.rstrip("/")
    below = "/.*" if glob.endswith("/") else "(?:/.*)?"  # `x/` is a folder: only what lies in it is a file
    if not pattern:
        return "(?!)"
    anchored = "/" in pattern
    segments = [part for part in pattern.removeprefix("/").split("/") if part]
    if not anchored:
        segments = ["**", *segments]
    return _joined(segments) + below


def _joined(segments: list[str]) -> str:
    """The segments with their slashes: `**` is any number of folders, and as the last one all that lies below.

    What stands between two `**` is taken where it comes first and never given back, as in `_segment`.
    """
    first, *others = _split(segments)
    if not others:
        return "/".join(first)
    *middle, last = others
    out = "".join(f"{segment}/" for segment in first)
    out += "".join(f"(?>(?:[^/]+/)*?{'/'.join(group)}/)" for group in middle if group)
    return out + ("(?:[^/]+/)*" + "/".join(last) if last else ".+")


def _split(segments: list[str]) -> list[list[str]]:
    """The segments as regular expressions, in groups between `**`."""
    groups: list[list[str]] = [[]]
    for segment in segments:
        if segment == "**":
            groups.append([])
        else:
            groups[-1].append(_segment(segment))
    return groups


def _segment(text: str) -> str:
    """One segment. Each `*` takes the shortest stretch up to the next fixed piece and never gives it back,
    which is exact for globs and keeps hostile file names from making the match slow."""
    pieces = _pieces(text)
    if len(pieces) == 1:
        return pieces[0]
    middle = "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1] if piece)
    return f"{pieces[0]}{middle}[^/]*{pieces[-1]}"


def _pieces(text: str) -> list[str]:
    """The regular expressions of the fixed-width pieces between stars."""
    pieces = [""]
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            pieces.append("")
        elif char == "?":
            pieces[-1] += "[^/]"
        elif char == "[" and (end := _class_end(text, at)) > 0:
            pieces[-1] += _class(text[at:end])
            at = end + 1
        elif char == "\\" and at < len(text):
            pieces[-1] += re.escape(text[at])
            at += 1
        else:
            pieces[-1] += re.escape(char)
    return pieces


def _class_end(text: str, at: int) -> int:
    """Where the `]` of a character class that began before `at` lies, or -1: then `[` is itself."""
    start = at + 1 if text[at : at + 1] in {"!", "^"} else at
    return text.find("]", start + 1)


def _class(body: str) -> str:
    negated = body[0] in "!^"
    inside = "".join(f"\\{char}" if char in r"\[]^&~|" else char for char in (body[1:] if negated else body))
    return f"(?![/])[{'^' if negated else ''}{inside}]"
