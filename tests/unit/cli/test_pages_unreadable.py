"""Rows of runs that cannot be read."""

from __future__ import annotations

import click

from interlock.cli.listing import list_page
from interlock.readmodel.run import unreadable

WHY = "event 5 is not as it was recorded: its digest does not fit: put the newest journal.db, with its -wal, back"
RUN = "20261125-221406-qb4g6x"


def rows(width: int, *, damaged: bool = True) -> list[str]:
    return [click.unstyle(line) for line in list_page([unreadable(RUN, WHY, damaged=damaged)], 0.0, width)]


def test_why_it_cannot_be_read_stands_in_its_column() -> None:
    found = rows(100)[1:]
    assert len(found) > 2
    assert all(len(line) <= 100 for line in found[:-1])
    assert all(line[:20] == " " * 20 for line in found[1:])
    assert " ".join(line[20:] for line in found[:-1]) == WHY


def test_without_a_terminal_it_is_one_line() -> None:
    assert rows(0)[0] == f"{RUN}  damaged     {WHY}"


def test_the_way_out_is_told_of_what_is_damaged_alone() -> None:
    assert rows(0)[-1].strip() == f"to hide it from lists: interlock doctor --set-aside {RUN}"
    assert len(rows(0, damaged=False)) == 1
