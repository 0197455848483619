"""docs/security.md names tests: each of them is there."""

from __future__ import annotations

import re

import pytest
from tests.attacks.shapes import ROOT

PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
FOLDER = ROOT / "tests/attacks"


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(test_\w+\.py(?:::\w+)?)`", PAGE))))
def test_a_test_that_is_named_is_there(named: str) -> None:
    file, _, function = named.partition("::")
    text = (FOLDER / file).read_text(encoding="utf-8")
    assert f"\ndef {function}(" in text if function else "\ndef test_" in text


def test_every_file_of_tests_is_named() -> None:
    unnamed = [path.name for path in FOLDER.glob("test_*.py") if path.name not in PAGE and path.name != "test_page.py"]
    assert not unnamed
