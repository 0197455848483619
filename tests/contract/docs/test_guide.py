"""The guide is played: what it shows is what the program prints. `./scripts/docs` writes the page anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.docs.pages import DOCS, rewriting, settle
from tests.contract.docs.play import Played, chapters, play, stable, title

GUIDE = DOCS / "guide.md"
CHAPTERS = chapters(GUIDE.read_text())


@pytest.mark.parametrize("chapter", CHAPTERS, ids=title)
def test_what_the_guide_shows_is_what_is_printed(chapter: str, tmp_path: Path):
    played = play(chapter, tmp_path)
    if rewriting():
        page = GUIDE.read_text()
        settle(GUIDE, page, page.replace(chapter, _anew(chapter, played)))
    else:
        assert [stable(each.shown) for each in played] == [each.printed for each in played]


def test_a_page_that_lies_is_seen(tmp_path: Path):
    lie = "```console\n$ echo yes\nno\n$ exit 3\n```\n"
    (played,) = play(lie, tmp_path)
    assert played.printed == "$ echo yes\nyes\n$ exit 3\n[exit code 3]\n"


def _anew(chapter: str, played: list[Played]) -> str:
    for each in reversed(played):
        start = each.block.start
        chapter = chapter[:start] + each.printed + chapter[start + len(each.shown) :]
    return chapter
