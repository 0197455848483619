"""docs/briefs.md names the parts that there are, and says why each heading of the default is there."""

from __future__ import annotations

import re
from pathlib import Path

from interlock.pipelinefile.templates import BRIEF_PARTS, default_brief

PAGE = (Path(__file__).parents[3] / "docs/briefs.md").read_text()


def test_the_page_has_every_part_and_no_other() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(BRIEF_PARTS)
    assert set(BRIEF_PARTS) <= set(re.findall(r"\b\w+\b", default_brief()))


def test_every_source_is_used_and_every_use_has_a_source() -> None:
    given = set(re.findall(r"^- \[(\d)\]", PAGE, re.MULTILINE))
    assert set(re.findall(r"\[(\d)\](?!\()", PAGE)) == given
    assert len(given) >= 5
