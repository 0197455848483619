"""What the live view draws on screens of different sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.cli.views import ASKED, attempt_of, pipeline_of, run_of, stage_of

from interlock.cli.picture import Frame, Moment, picture
from interlock.core.events import Finding
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptPhase
from interlock.readmodel.run import RunPhase, RunView

SIZES = [(80, 24), (80, 15), (40, 15), (200, 50), (20, 6)]
REJECTED = AttemptPhase.REJECTED


def drawn(view: RunView, width: int = 80, height: int = 24, **more: object) -> list[str]:
    moment = Moment(pipeline_of(view), view, 60.0, lambda _: "reading the code")
    lines = picture(moment, Frame(width, height, **more))  # type: ignore[arg-type]
    assert all(line.cell_len <= width for line in lines)
    assert len(lines) <= height or more.get("last")
    return [line.plain for line in lines]


def long_run(done: int = 4, to_come: int = 9) -> RunView:
    """14 stages, of which one is at work after two rejected attempts."""
    tried = [
        attempt_of("code", number, REJECTED, Finding("x", "1 is not 2", file="tests/test_a.py", line=3))
        for number in (1, 2)
    ]
    working = stage_of("code", Phase.WORKING, *tried, attempt_of("code", 3, AttemptPhase.WORKING))
    before = [stage_of(f"d{number}", Phase.ACCEPTED) for number in range(done)]
    return run_of(*before, working, *(stage_of(f"t{number}", Phase.WAITING) for number in range(to_come)))


@pytest.mark.parametrize("size", SIZES)
def test_the_working_stage_is_never_cut(size: tuple[int, int]) -> None:
    lines = drawn(long_run(), *size)
    assert any("code" in line and "work" in line for line in lines), lines
    assert lines[0].startswith("feature")
    assert lines[-1].startswith("total 0 of")


def test_an_attempt_that_nobody_runs_shows_no_time() -> None:
    view = long_run()
    assert any("3" in line and "1 min 0 s" in line for line in drawn(view)[:-1])
    assert not any("1 min 0 s" in line for line in drawn(replace(view, phase=RunPhase.INTERRUPTED))[:-1])


@pytest.mark.parametrize("size", SIZES[:3])
def test_what_is_finished_is_one_line(size: tuple[int, int]) -> None:
    lines = drawn(long_run(), *size)
    assert sum("d0" in line for line in lines) == 1
    assert any(line.startswith("✓ 4 stages accepted: d0, d1") for line in lines)


def test_what_is_to_come_is_folded_only_without_room() -> None:
    assert "· 9 stages to come: t0, t1, t2, t3, t4, t5, t6, t7, t8" in drawn(long_run(), 80, 12)
    wide = drawn(long_run(), 80, 24)
    assert not any("to come" in line for line in wide)
    assert sum(line.startswith("· t") for line in wide) == 9


def test_attempts_that_ended_alike_are_one_line() -> None:
    told = [line for line in drawn(long_run()) if "└" in line]
    assert told == ["  └ 1.1\u20131.2 gate test failed: 1 finding (tests/test_a.py:3 1 is not 2)"]


def test_what_waits_comes_first_with_its_keys() -> None:
    asked = attempt_of("ship", 1, AttemptPhase.JUDGING, asked=("ship/merge",))
    view = run_of(*long_run().stages, stage_of("ship", Phase.JUDGING, asked), waits=(ASKED,))
    question = {"question": "ship/1.1: [a]pprove, [l]ater", "asked": ("ship/1.1", "ship/merge")}
    for size in SIZES[:3]:
        lines = drawn(view, *size, **question)
        assert lines[1].startswith("? ship/1.1 waits for you, merge: ")
        assert lines[2] == "  [a]pprove, [l]ater"
        assert any("code" in line and "working" in line for line in lines)
    assert "  interlock approve R ship" in drawn(view)
    assert "  interlock approve R ship" not in drawn(view, **question)


def test_more_work_than_lines_is_counted() -> None:
    many = [stage_of(f"s{number}", Phase.WORKING) for number in range(30)]
    lines = drawn(run_of(*many), 80, 10)
    assert lines[-2] == "… and 23 more"
    assert sum("working" in line for line in lines) == 7


def test_the_last_picture_of_a_run_that_is_over_has_every_stage() -> None:
    view = run_of(*(stage_of(f"d{number}", Phase.ACCEPTED) for number in range(14)), phase=RunPhase.ACCEPTED)
    lines = drawn(view, 80, 10, last=True)
    assert len(lines) == 16
    assert len(drawn(view, 80, 10)) == 3


def test_what_changes_stands_above_the_keys_as_room_allows() -> None:
    view = run_of(stage_of("ship", Phase.JUDGING), phase=RunPhase.WAITING, waits=(ASKED,))
    asked = {"question": "ship/1.1: [a]pprove", "asked": (ASKED.subject, ASKED.gate)}
    changes = ("9 files, +9 -0", *(f"M {number}.txt +1 -0" for number in range(9)))
    lines = drawn(view, changes=changes, **asked)
    assert lines[lines.index("  [a]pprove") - 1] == "    M 8.txt +1 -0"
    assert "  9 files, +9 -0" in lines
    low = drawn(view, height=7, changes=changes, **asked)
    assert "  [a]pprove" in low
    assert " 1 min 0 s since the start " in low[-1]  # the time of work is another one
    assert "  9 files, +9 -0" in low
