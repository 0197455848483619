"""Pages of the documentation as tests read them: fenced blocks, generated parts, links.

Rule: `REWRITE_DOCS=1` writes what is generated back into the page; without it a difference fails.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = (*sorted(DOCS.rglob("*.md")), ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "README.md")
_FENCE = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block. `words` is what stands after the language; `start` is where its text begins in the page."""

    language: str
    words: str
    text: str
    start: int


def blocks(page: str) -> list[Block]:
    return [Block(*found.groups(), found.start(3)) for found in _FENCE.finditer(page)]


def generated(path: Path, name: str, text: str) -> None:
    """The part of the page between the marks `begin NAME` and `end NAME` is `text`."""
    page = path.read_text()
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    head, _, rest = page.partition(begin)
    found, _, tail = rest.partition(end)
    settle(path, page, f"{head}{begin}{text}{end}{tail}")
    assert begin in page
    assert end in page
    assert found == text or rewriting()


def settle(path: Path, page: str, wanted: str) -> None:
    if rewriting() and page != wanted:
        path.write_text(wanted)


def rewriting() -> bool:
    return os.environ.get("REWRITE_DOCS", "") == "1"
