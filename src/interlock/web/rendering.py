"""What agents wrote, as HTML: Markdown, and the lines of a diff in colours.

Rule: no HTML of theirs, no picture, and no link but to the web, is ever let through.
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

from interlock.core.text import plain

# ==== interlock.web.rendering

_COLOURED_MAX = 500  # characters of a line


def markdown(text: str) -> str:
    """CommonMark with tables, as HTML."""
    return safe(_reader().render(text))


def coloured(text: str, file: str) -> str:
    """A line of `file`, in spans that tell its words apart. As it is where the file's language is not known."""
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


# ==== interlock.web.rendering

_LINES_MAX = 5_000
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)")


@dataclass(frozen=True, slots=True)
class Line:
    """Of a diff. `anchor` is FILE:LINE of the new side, empty where there is none; `sign` its first character."""

    kind: str  # file | hunk | added | removed | same
    text: str
    anchor: str = ""
    sign: str = ""


def lines(patch: bytes, more: str) -> Iterator[Line]:
    """The lines of a patch; after the 5,000th one that says `more`."""
    file, number = "", 0
    for count, text in enumerate(plain(patch.decode("utf-8", "replace"), 20_000_000).split("\n")):
        if count >= _LINES_MAX:
            yield Line("hunk", f"more lines: {more}")
            return
        if text.startswith("+++ "):
            file, number = text.removeprefix("+++ ").removeprefix("b/"), 0
            yield Line("file", text)
        elif found := _HUNK.match(text):
            number = int(found[1])
            yield Line("hunk", text)
        elif not number or text.startswith("\\"):
            yield Line("file", text)
        elif text.startswith("diff --git "):
            number = 0
            yield Line("file", text)
        elif text.startswith("-"):
            yield Line("removed", coloured(text[1:], file), sign="-")
        else:
            kind = "added" if text.startswith("+") else "same"
            yield Line(kind, coloured(text[1:], file), f"{file}:{number}", text[:1])
            number += 1
