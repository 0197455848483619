"""The table of attacks names tests that are there, and of each defence the hole that was planted in it."""

from __future__ import annotations

import re

import pytest
from tests.attacks.catalogue import ROWS
from tests.attacks.catalogue.row import HIDDEN, Row
from tests.attacks.shapes import ROOT
from tests.nightly import SLOW, slow_tests

TESTS = ROOT / "tests"
FOLDER = TESTS / "attacks"
NAMED = sorted({name for row in ROWS for name in row.named})
BORDERS = ("held", "open", HIDDEN)


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_is_named_is_there(named: str) -> None:
    """With the row of its table, if one is named."""
    test, _, row = named.rstrip("]").partition("[")
    file, _, function = test.partition("::")
    found = [ROOT / file] if "/" in file else [*TESTS.rglob(file)]
    texts = [path.read_text(encoding="utf-8") for path in found]
    assert any(f"\ndef {function}(" in text if function else "\ndef test_" in text for text in texts)
    assert not row or row in ("True", "none", "full") or any(f'"{row}"' in text for text in texts)


def test_every_file_of_tests_is_named() -> None:
    named = " ".join(NAMED)
    unnamed = [path.name for path in FOLDER.glob("test_*.py") if path.name not in named and path.name != "test_page.py"]
    assert unnamed == ["test_honest.py"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.attack[:60])
def test_each_row_says_what_comes_of_it_and_where_that_is_shown(row: Row) -> None:
    assert row.full.startswith(BORDERS)
    assert row.at_fs.startswith(BORDERS), "what comes of it at `fs`?"
    assert row.none.startswith(BORDERS)
    if not (row.full.startswith("open") and row.none.startswith("open")):
        assert row.tests, "no test shows it"
        assert row.hole, "no test takes the defence away, and nothing says why none is needed"
    if row.at_fs.startswith("open"):
        assert row.none.startswith("open"), "what fs does not hold, none does not"
    if row.full.startswith("open"):
        assert row.none.startswith("open"), "what full does not hold, none does not"


def test_a_push_shows_each_row() -> None:
    at_night = {name for name, rows in slow_tests(SLOW.read_text(encoding="utf-8")).items() if not rows}
    shown = {row.attack: [name.strip().partition("[")[0] for name in row.tests.split(",")] for row in ROWS if row.tests}
    unseen = [attack for attack, names in shown.items() if {f"tests/attacks/{name}" for name in names} <= at_night]
    assert unseen == []


def test_the_numbers_are_all_there() -> None:
    """Those of the tests, which others name too. 28 is the next to be written."""
    assert sorted({row.number for row in ROWS} - {0}) == [*range(1, 42)]


def test_a_file_of_a_table_with_numbers_has_each_number_in_the_table() -> None:
    numbers = {row.number for row in ROWS}
    for file in ("test_room.py", "test_left_behind.py"):
        text = (FOLDER / file).read_text(encoding="utf-8")
        used = {int(number) for number in re.findall(r'"(\d\d)-|def test_(\d\d)_', text) for number in number if number}
        assert used <= numbers
