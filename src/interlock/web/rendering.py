"""What agents wrote, as HTML: Markdown, and the lines of a diff in colours.

Rule: no HTML of theirs, no picture, and no link but to the web, is ever let through.
"""

from __future__ import annotations

from functools import cache, lru_cache

from markdown_it import MarkdownIt
from minijinja import safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

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
