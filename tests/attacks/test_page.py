"""docs/security.md names tests: each of them is there."""

from __future__ import annotations

import re

import pytest
from tests.attacks.shapes import ROOT

PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
TESTS = ROOT / "tests"
FOLDER = TESTS / "attacks"


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(test_\w+\.py(?:::\w+)?)`", PAGE))))
def test_a_test_that_is_named_is_there(named: str) -> None:
    file, _, function = named.partition("::")
    texts = [path.read_text(encoding="utf-8") for path in TESTS.rglob(file)]
    assert any(f"\ndef {function}(" in text if function else "\ndef test_" in text for text in texts)


def test_every_file_of_tests_is_named() -> None:
    unnamed = [path.name for path in FOLDER.glob("test_*.py") if path.name not in PAGE and path.name != "test_page.py"]
    assert not unnamed
