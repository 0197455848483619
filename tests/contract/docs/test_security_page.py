"""The attacks of docs/security.md are those of the table in tests/attacks."""

from __future__ import annotations

import pytest
from tests.attacks.catalogue import SECTIONS
from tests.attacks.catalogue.row import table
from tests.contract.docs.pages import DOCS, generated


@pytest.mark.parametrize("section", SECTIONS)
def test_the_attacks_are_those_of_the_table(section: str) -> None:
    generated(DOCS / "security.md", f"attacks: {section}", table(SECTIONS[section]))
