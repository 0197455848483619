"""What agents wrote, as HTML: Markdown, and the lines of a diff in colours.

Rule: no HTML of agents, no image, and no link but to the web gets through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from markdown_it import MarkdownIt
from minijinja import safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

from interlock.text.cleaning import plain

_COLOURED_MAX = 500  # characters of a line
_LINES_MAX = 5_000
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)")


def markdown(text: str) -> str:
    """CommonMark with tables, as HTML."""
    return safe(_reader().render(text))


def coloured(text: str, file: str) -> str:
    """A line of `file`, with syntax highlighting; unchanged if the file's language is not known."""
    lexer = _lexer(file.rpartition("/")[2])
    if lexer is None or len(text) > _COLOURED_MAX:
        return text
    return safe(highlight(text, lexer, _formatter()).rstrip("\n"))


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    reader.validateLink = lambda url: url.lower().startswith(("https://", "http://", "#"))  # type: ignore[method-assign]
    return reader


@lru_cache(maxsize=256)
def _lexer(name: str) -> Lexer | None:
    try:
        return get_lexer_for_filename(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@cache
def _formatter() -> HtmlFormatter[str]:
    return HtmlFormatter(nowrap=True, classprefix="c-")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a diff. `anchor` is FILE:LINE of the new side, or empty; `sign` is the first character."""

    kind: str  # file | hunk | added | removed | same
    text: str
    anchor: str = ""
    sign: str = ""


def diff_lines(patch: bytes, more: str) -> Iterator[DiffLine]:
    """The lines of a patch; after 5,000 lines one that says `more`."""
    file, number = "", 0
    for count, text in enumerate(plain(patch.decode("utf-8", "replace"), 20_000_000).split("\n")):
        if count >= _LINES_MAX:
            yield DiffLine("hunk", f"more lines: {more}")
            return
        if text.startswith("+++ "):
            file, number = text.removeprefix("+++ ").removeprefix("b/"), 0
            yield DiffLine("file", text)
        elif found := _HUNK.match(text):
            number = int(found[1])
            yield DiffLine("hunk", text)
        elif not number or text.startswith("\\"):
            yield DiffLine("file", text)
        elif text.startswith("diff --git "):
            number = 0
            yield DiffLine("file", text)
        elif text.startswith("-"):
            yield DiffLine("removed", coloured(text[1:], file), sign="-")
        else:
            kind = "added" if text.startswith("+") else "same"
            yield DiffLine(kind, coloured(text[1:], file), f"{file}:{number}", text[:1])
            number += 1
