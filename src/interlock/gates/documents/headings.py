"""The headings of a Markdown document, as CommonMark has them (ATX and setext).

Rule: what a reader would not see as a heading is none: not in fenced or indented code, not in a comment.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}(?=[^`]*$)|~{3,})")
_ATX = re.compile(r" {0,3}#{1,6}(?:[ \t]+(?P<text>.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*")
_NO_PARAGRAPH = re.compile(r"\s*$| {4}|\t| {0,3}(?:>|[-+*][ \t]|\d{1,9}[.)][ \t])")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_MARKUP = re.compile(r"[*_`]+|\[(?P<text>[^\]]*)\]\([^)]*\)")


def headings(text: str) -> dict[str, str]:
    """Each heading's normal form and the heading as written, in their order."""
    found = _found(_COMMENT.sub("", text).splitlines())
    return {normal(heading): heading for heading in found if heading}


def normal(heading: str) -> str:
    """A heading without markup, letter case, outer punctuation and double blanks: what is compared."""
    plain = _MARKUP.sub(lambda match: match["text"] or "", heading)
    return " ".join(plain.split()).strip(" :.").casefold()


def _found(lines: list[str]) -> list[str]:
    found: list[str] = []
    fence = ""
    before = ""
    for line in lines:
        opened = _FENCE.match(line)
        if fence:
            closes = opened and opened["fence"].startswith(fence) and not line.strip().strip(fence[0])
            fence = "" if closes else fence
            before = ""
        elif opened:
            fence, before = opened["fence"], ""
        elif atx := _ATX.fullmatch(line):
            found.append((atx["text"] or "").strip())
            before = ""
        elif before and _UNDERLINE.fullmatch(line):
            found.append(before.strip())
            before = ""
        else:
            before = "" if _NO_PARAGRAPH.match(line) else line
    return found
