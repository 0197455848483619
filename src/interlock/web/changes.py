"""What a candidate changed, line by line, as the page shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from interlock.core.text import plain
from interlock.web.rendering import coloured

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
