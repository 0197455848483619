"""What a push runs of a small table of tests, and in which order."""

import pytest
from tests.nightly import SLOW, beyond, divided, longest_first, rest_at_night, slow_tests

TABLE = [
    ("tests/acceptance/test_a.py::test_one", False),
    ("tests/contract/agents/test_b.py::test_two[first]", False),
    ("tests/contract/agents/test_b.py::test_two[second]", True),
    ("tests/simulation/test_c.py::test_three[0]", False),
    ("tests/simulation/test_c.py::test_three[1]", True),
    ("tests/unit/test_d.py::test_four", False),
]


def test_a_push_leaves_out_what_is_marked() -> None:
    pushed, late = divided(TABLE, lambda row: row[1])
    assert [name for name, _ in late] == [TABLE[2][0], TABLE[4][0]]
    assert pushed == [row for row in TABLE if row not in late]
    assert divided(TABLE, lambda _: False) == (TABLE, [])


def test_the_longest_come_first_and_a_folder_stays_together() -> None:
    names = [name.split("::")[1] for name, _ in longest_first(TABLE[::-1], lambda row: row[0])]
    assert names == ["test_three[1]", "test_three[0]", "test_one", "test_two[second]", "test_two[first]", "test_four"]


@pytest.mark.parametrize(("pushed", "late"), [(1, ["b", "c"]), (2, ["c"]), (3, []), (4, [])])
def test_of_a_table_the_first_rows_are_pushed(pushed: int, late: list[str]) -> None:
    rows = rest_at_night(["a", "b", "c"], pushed)
    marked = [row.values for row in rows if not isinstance(row, str) and [m.name for m in row.marks] == ["nightly"]]
    assert marked == [(row,) for row in late]
    assert rows[: len(rows) - len(late)] == ["a", "b", "c"][: 3 - len(late)]


def test_a_row_of_several_values_stays_one() -> None:
    first, second = rest_at_night([("one", 1), ("two", 2)])
    assert first == ("one", 1)
    assert second.values == ("two", 2)


def test_a_slow_test_is_left_out_and_of_a_slow_table_the_rows_beyond_the_number() -> None:
    names = ["a.py::test_t[1]", "a.py::test_fast", "a.py::test_t[2]", "a.py::test_slow", "a.py::test_t[3]"]
    slow = slow_tests("# why\na.py::test_slow\na.py::test_t +2\n")
    assert beyond(names, slow) == {"a.py::test_slow", "a.py::test_t[3]"}


def test_each_slow_test_exists() -> None:
    found = [name.partition("::") for name in slow_tests(SLOW.read_text())]
    assert [test for path, _, test in found if f"def {test}(" not in (SLOW.parents[1] / path).read_text()] == []
