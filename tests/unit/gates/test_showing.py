"""What a reviewer sees of a change: every path, and a fair share of each difference."""

from __future__ import annotations

from interlock.gates.reviews.questions import fitting, listed
from interlock.ports import Change


def test_short_ones_stay_whole_and_long_ones_share_what_they_leave() -> None:
    shown = fitting(["x" * 3000, "y" * 10, "z" * 3000], 2010)
    assert shown[1] == "y" * 10
    assert [part.count(letter) for part, letter in zip(shown[::2], "xz", strict=True)] == [1000, 1000]
    assert "[2000 more characters of this file's difference: read the file]" in shown[0]


def test_all_are_whole_where_there_is_room() -> None:
    assert fitting(["a", "bb"]) == ["a", "bb"]
    assert fitting([]) == []


def test_more_than_can_be_shown_are_counted() -> None:
    shown = fitting(["x" * 1000] * 10, 2000)
    assert len(shown) == 6
    assert shown[-1].startswith("[5 more differences are left out")


def test_deletions_come_first_and_what_is_too_many_is_counted() -> None:
    added = [Change(f"{'x' * 100}/{number}\n", "A", "000000", "100644", 1) for number in range(2000)]
    told = listed([*added, Change("zzz", "D", "100644", "000000", 0, 3)]).splitlines()
    assert told[:2] == ["All paths that differ: 2001", "deleted: zzz (+0 -3)"]
    assert told[2].startswith("added: xxx")
    assert told[-1].endswith(" added: too many to list]")
    assert len("\n".join(told)) < 101_000
