"""Amounts as words."""

from interlock.service.formats import ago, ordinal


def test_ordinals() -> None:
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 101, 111, 112)
    words = "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 101st 111th 112th"
    assert " ".join(map(ordinal, numbers)) == words


def test_how_long_since() -> None:
    assert [ago(seconds) for seconds in (0, 4.9, 5, 59.9, 60, 7200)] == [
        "now", "now", "5 s ago", "59 s ago", "1 min ago", "2 h ago"
    ]  # fmt: skip
