"""No word of what a program is told may bring in a file."""

from __future__ import annotations

import re

from interlock.agents.isolation import without_mentions


def test_each_at_sign_is_taken_its_meaning() -> None:
    told = without_mentions("see @a.txt, \\@b.txt and x@y\n@/etc/passwd")
    assert not re.search(r"(?<!\\)@", told)
    assert "stands for a plain at sign" in told


def test_a_text_without_one_stays_as_it_is() -> None:
    assert without_mentions("nothing\\here") == "nothing\\here"
