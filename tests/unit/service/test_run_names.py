"""Which run a word means."""

from __future__ import annotations

import pytest

from interlock.ports import UsageError
from interlock.service.runs import in_order, run_named

RUNS = ("20261124-080000-aaaaaa", "20261125-080000-bbbbbb", "20261125-090000-cccccc")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("@", 2), ("@-0", 2), ("@-1", 1), ("@-2", 0), ("20261124", 0), ("20261125-08", 1), ("cccccc", 2), (RUNS[1], 1)],
)
def test_a_word_means_one_run(name: str, meant: int) -> None:
    assert run_named(RUNS, name) == RUNS[meant]


def test_an_ambiguous_beginning_lists_the_candidates_newest_first() -> None:
    with pytest.raises(UsageError, match=f"20261125 matches 2 runs: {RUNS[2]}, {RUNS[1]}: type more"):
        run_named(RUNS, "20261125")
    many = [f"20261125-0900{number:02}-aaaaaa" for number in range(30)]
    with pytest.raises(UsageError, match=f"30 runs: {many[29]}, {many[28]}, .*{many[20]}, ...: type more"):
        run_named(many, "2026")


@pytest.mark.parametrize(
    ("name", "why"), [("@-3", "the oldest is 20261124"), ("2025", "no run 2025"), ("@x", "no run")]
)
def test_a_word_that_means_none(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        run_named(RUNS, name)


def test_the_newest_where_there_is_none() -> None:
    with pytest.raises(UsageError, match="no runs in this repository yet"):
        run_named((), "@")


def test_a_lost_run_stands_where_its_id_puts_it() -> None:
    assert in_order((RUNS[0], RUNS[2]), (RUNS[1],)) == list(RUNS)
    assert in_order((RUNS[2], RUNS[1]), (RUNS[0],)) == [RUNS[0], RUNS[2], RUNS[1]]  # a clock that was put back
    assert in_order((), (RUNS[1], RUNS[0])) == list(RUNS[:2])
