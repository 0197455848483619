"""The list of runs on a terminal."""

from __future__ import annotations

from dataclasses import replace

import click
import pytest
from tests.unit.cli.views import ASKED, RUN, run_of

from interlock.cli.listing import list_page, short_ids
from interlock.readmodel.run import RunPhase, RunView

OTHER = "20261125-221407-zzzzzz"


def rows(*runs: RunView, width: int = 80) -> list[str]:
    lines = [click.unstyle(line) for line in list_page(runs, 600.0, width)]
    assert all(len(line) <= width for line in lines if width)
    return lines


def of(name: str, phase: RunPhase, task: str = "Make it two.") -> RunView:
    return run_of(phase=phase, id=name, task=task, started_at=300.0, progress=(("a", "accepted"), ("b", "asked")))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_run_is_one_line_as_wide_as_the_terminal(width: int) -> None:
    head, row = rows(of(RUN, RunPhase.WAITING, "word " * 100), width=width)
    assert head.startswith("RUN     STATE       STAGES")
    assert row.startswith("qb4g6x  waiting     1/2 ")
    assert row.endswith("…   5 min ago".replace("   ", " " * 3)) or row.endswith("5 min ago")
    assert len(head) == width - len("59 min ago") + len("59 min ago")


def test_a_wide_terminal_shows_the_question_or_the_reason() -> None:
    asked = replace(of(RUN, RunPhase.WAITING, "word " * 100), waits=(ASKED,))
    stopped = replace(of(OTHER, RunPhase.STOPPED), why="gate a/test failed\non the base")
    head, first, second = rows(asked, stopped, width=190)
    column = head.index("QUESTION OR REASON")
    assert first[column:].startswith("Merge this?  ")
    assert first[:column].endswith("…  ")
    assert second[column:].startswith("gate a/test failed on the base  ")
    assert [len(line) for line in (head, first, second)] == [190] * 3
    assert "QUESTION" not in rows(asked, width=120)[0]


def test_what_needs_a_person_comes_first() -> None:
    phases = [RunPhase.ACCEPTED, RunPhase.RUNNING, RunPhase.WAITING, RunPhase.CANCELLED, RunPhase.INTERRUPTED]
    lines = rows(*(of(f"1-{number}", phase) for number, phase in enumerate(phases)))
    assert [line.split()[0] for line in lines[1:]] == ["2", "4", "1", "0", "3"]


def test_a_short_id_names_one_run_of_all() -> None:
    assert short_ids([RUN, OTHER]) == {RUN: "qb4g6x", OTHER: "zzzzzz"}
    assert short_ids([RUN, OTHER], ["20250101-000000-qb4g6x"]) == {RUN: RUN, OTHER: "zzzzzz"}


def test_elsewhere_ids_are_whole_and_nothing_is_cut_to_columns() -> None:
    (row,) = rows(of(RUN, RunPhase.WAITING), width=0)
    assert row.startswith(f"{RUN}  waiting     feature ")


def test_wide_characters_keep_the_columns() -> None:
    wide = list_page([of(RUN, RunPhase.RUNNING, "漢字" * 60)], 600.0, 80)
    from rich.cells import cell_len

    assert {cell_len(click.unstyle(line)) for line in wide} == {80}
