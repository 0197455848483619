"""What agents wrote, as HTML: Markdown, and the lines of a change with their syntax and their changed words.

Rule: no HTML of agents, no image, and no link but to the web gets through. Nothing that hides or reorders text does so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, lru_cache
from html import escape
from itertools import groupby, takewhile

from markdown_it import MarkdownIt
from minijinja import safe
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.token import STANDARD_TYPES, _TokenType
from pygments.util import ClassNotFound

from interlock.text.cleaning import clean, visible
from interlock.text.patches import Row

Tokens = list[tuple[str, str]]  # class and text of the parts of a line
Ranges = tuple[tuple[int, int], ...]

LINE_MAX = 2_000  # characters of a line; of a longer one its beginning
_COLOURED_MAX = 500  # characters of a line
_PIECE_MAX = 20_000  # characters that are coloured at once
_MARKDOWN_MAX = 50_000  # characters; hostile ones take time that grows with their square
_WORDS_MAX = 300  # of each side, beyond what both begin and end with
_PAIRS_MAX = 2_500  # of removed and added lines that are compared for which belong together
_ALIKE = 0.4  # lines that have less in common are not compared word by word
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_CLASSES = {"k": "k", "ow": "k", "s": "s", "c": "c", "m": "m", "nf": "n", "nc": "n", "nt": "n"}


@lru_cache(maxsize=16)  # a page is drawn again at each event of its run
def markdown(text: str) -> str:
    """CommonMark with tables, as HTML; empty if the text is too long for it. An entity is any character."""
    return safe(clean(_reader().render(text))) if len(text) <= _MARKDOWN_MAX else ""


@dataclass(frozen=True, slots=True)
class Line:
    """`html` is safe. A number is 0 on the side that has no such line."""

    kind: str  # same | added | removed
    old: int
    new: int
    html: str
    note: str = ""


@dataclass(slots=True)
class Colours:
    """Colours the lines of files while there is room: `characters` and seconds of the processor that are left."""

    characters: int = 300_000
    seconds: float = 0.25

    def tokens(self, lines: Sequence[str], file: str) -> list[Tokens]:
        """The lines with the syntax of the language that the name of `file` tells; without it if none is known."""
        lexer = _lexer(file.rpartition("/")[2])
        if lexer is None:
            return [[("", line)] for line in lines]
        return [tokens for piece in _pieces(lines) for tokens in self._coloured(lexer, piece)]

    def _coloured(self, lexer: Lexer, lines: Sequence[str]) -> list[Tokens]:
        begun = time.thread_time()
        heads = [line[:_COLOURED_MAX] for line in lines]
        size = sum(map(len, heads))
        found: list[Tokens] = [[]]
        if size <= self.characters and self.seconds > 0:
            for number, (kind, text) in enumerate(lexer.get_tokens("\n".join(heads))):
                name = _class(kind)
                first, *more = text.split("\n")
                found[-1].append((name, first))
                found += [[(name, part)] for part in more]
                if number % 200 == 0 and time.thread_time() - begun > self.seconds:
                    break
            self.characters -= size
            self.seconds -= time.thread_time() - begun
        if heads != ["".join(text for _, text in tokens) for tokens in found]:
            return [[("", line)] for line in lines]
        return [[*tokens, ("", line[_COLOURED_MAX:])] for tokens, line in zip(found, lines, strict=True)]


def drawn_lines(rows: Sequence[Row], path: str, colours: Colours) -> tuple[Line, ...]:
    """The lines of a hunk, with the syntax of each version and the words that differ."""
    ending = "\r" if all(row.text.endswith("\r") for row in rows) else ""
    texts = [visible(row.text[:LINE_MAX].removesuffix(ending)) for row in rows]
    marks = _marks(rows, texts)
    tokens: dict[int, Tokens] = {}
    for signs in (" -", " +"):  # each version is read as a whole
        side = [number for number, row in enumerate(rows) if row.sign in signs]
        if any(rows[number].sign != " " for number in side) or signs == " +":
            tokens.update(zip(side, colours.tokens([texts[number] for number in side], path), strict=True))
    kinds = {" ": "same", "+": "added", "-": "removed"}
    return tuple(
        Line(kinds[row.sign], row.old, row.new, line_html(tokens[number], marks.get(number, ())), _note(row))
        for number, row in enumerate(rows)
    )


def line_html(tokens: Tokens, marked: Ranges = ()) -> str:
    """A line as HTML: `marked` are the ranges of its characters that differ from the line that it replaces."""
    parts, at = [], 0
    for name, text in tokens:
        for begin, end, is_marked in _cut(at, at + len(text), marked):
            shown = escape(text[begin - at : end - at])
            if is_marked:
                parts.append(f'<mark class="c-{name}">{shown}</mark>' if name else f"<mark>{shown}</mark>")
            else:
                parts.append(f'<span class="c-{name}">{shown}</span>' if name else shown)
        at += len(text)
    return safe("".join(parts))


def changed_words(old: str, new: str) -> tuple[Ranges, Ranges]:
    """Where two lines differ, in each; nothing if they have little in common."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    rest = min(len(before), len(after)) - head
    ends = zip(before[::-1][:rest], after[::-1][:rest], strict=True)
    tail = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    left, right = before[head : len(before) - tail], after[head : len(after) - tail]
    same = [*before[:head], *before[len(before) - tail :]]
    codes: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(left), 0, len(right))]
    if max(len(left), len(right)) <= _WORDS_MAX:
        codes = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
        same += [word for tag, begin, end, _, _ in codes if tag == "equal" for word in left[begin:end]]
    if _size(same) < _ALIKE * max(_size(before), _size(after)):
        return (), ()
    changed = [code for code in codes if code[0] != "equal"]
    olds = [(head + begin, head + end) for _, begin, end, _, _ in changed]
    news = [(head + begin, head + end) for _, _, _, begin, end in changed]
    return _ranges(before, olds), _ranges(after, news)


def _note(row: Row) -> str:
    longer = len(row.text) - LINE_MAX
    notes = [f"{longer:,} more characters"] if longer > 0 else []
    notes += [] if row.has_newline else ["no newline at the end of the file"]
    return "; ".join(notes)


def _marks(rows: Sequence[Row], texts: Sequence[str]) -> dict[int, Ranges]:
    """The changed words, by the number of the row."""
    found: dict[int, Ranges] = {}
    for is_same, group in groupby(range(len(rows)), lambda number: rows[number].sign == " "):
        numbers = [] if is_same else list(group)
        removed = [number for number in numbers if rows[number].sign == "-"]
        added = [number for number in numbers if rows[number].sign == "+"]
        for old, new in _pairs(removed, added, texts):
            found[old], found[new] = changed_words(texts[old], texts[new])
    return found


def _pairs(removed: Sequence[int], added: Sequence[int], texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Lines that replace each other: one by one, or where the numbers differ the next one that is alike."""
    if len(removed) == len(added) or len(removed) * len(added) > _PAIRS_MAX:
        yield from zip(removed, added, strict=False)
        return
    words = {number: set(re.findall(r"\w+", texts[number])) for number in (*removed, *added)}
    rest = list(added)
    for old in removed:
        for at, new in enumerate(rest):
            if len(words[old] & words[new]) * 2 >= max(len(words[old]), len(words[new]), 1):
                yield old, new
                rest = rest[at + 1 :]
                break


def _size(words: Sequence[str]) -> int:
    return sum(len(word) for word in words if not word.isspace())


def _ranges(words: Sequence[str], numbers: Sequence[tuple[int, int]]) -> Ranges:
    """From numbers of words to characters; what only blanks separate is one."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word))
    found: list[tuple[int, int]] = []
    last = 0
    for begin, end in numbers:
        if begin == end:
            continue
        if found and all(word.isspace() for word in words[last:begin]):
            found[-1] = (found[-1][0], starts[end])
        else:
            found.append((starts[begin], starts[end]))
        last = end
    return tuple(found)


def _cut(begin: int, end: int, marked: Ranges) -> Iterator[tuple[int, int, bool]]:
    """The parts of a range that are marked, and those between."""
    for first, last in marked:
        if last <= begin or first >= end:
            continue
        if first > begin:
            yield begin, first, False
            begin = first
        yield begin, min(last, end), True
        begin = min(last, end)
    if begin < end:
        yield begin, end, False


def _pieces(lines: Sequence[str]) -> Iterator[list[str]]:
    piece: list[str] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > _PIECE_MAX:
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield piece


@lru_cache(maxsize=512)
def _class(kind: _TokenType) -> str:
    """The class of a kind of token in our few colours, or empty."""
    name = next((STANDARD_TYPES[each] for each in reversed(kind.split()) if each in STANDARD_TYPES), "")
    return _CLASSES.get(name, _CLASSES.get(name[:1], ""))


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
