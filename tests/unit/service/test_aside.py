"""Damaged runs that were set aside stand in no list, and nothing of them goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlock.core.pipeline import Pipeline, Stage
from interlock.execution.histories import Histories
from interlock.journal import LocalRuns, MemoryBlobs, MemoryJournal, SetAsideRuns
from interlock.ports import Damaged, UsageError
from interlock.service import RunRequest, Service
from interlock.service.runs import begin


class Clock:
    def now(self) -> float:
        return 0.0


def nothing(*given: object) -> Any:
    """In the place of what is not asked for."""
    return ""


def made(aside: SetAsideRuns, **known: Any) -> Service:
    """With a run that is as it was recorded, and by `known` others."""
    journal = MemoryJournal()
    engine = LocalRuns(journal, journal, lambda run: "")
    if "vanished" not in known:
        begin(engine, "fine", 0.0, RunRequest(Pipeline("p", (Stage("code"),)), "task", "c", "t"))
    return Service(
        engine, Histories(engine.history), MemoryBlobs(), nothing, nothing, Clock(), nothing, nothing,
        aside=aside.runs, **known,
    )  # fmt: skip


def test_it_is_listed_until_it_is_set_aside_and_again_after(tmp_path: Path) -> None:
    aside = SetAsideRuns(tmp_path / "new/aside")
    service = made(aside, lost_runs=lambda: ["a/b", "gone"])
    assert [run.id for run in service.list_runs()] == ["gone", "fine", "a/b"]
    aside.put("gone", "why")
    aside.put("a/b", "why")
    assert [run.id for run in service.list_runs()] == ["fine"]
    assert service.lost_and_missed() == []
    assert {run.id for run in service.damaged_runs()} == {"gone", "a/b"}
    aside.bring_back("gone")
    assert [run.id for run in service.list_runs()] == ["gone", "fine"]
    assert service.lost_and_missed() == ["gone"]


def test_all_that_is_left_of_it_counts_and_is_found_by_its_name(tmp_path: Path) -> None:
    aside = SetAsideRuns(tmp_path)
    service = made(aside, lost_runs=lambda: ["gone"])
    aside.put("gone", "why")
    assert service.run_ids() == ["fine", "gone"]  # what `gc` spares
    assert service.choose_run("@").id == "fine"
    assert service.choose_run("").id == "fine"
    with pytest.raises(Damaged, match="the journal does not contain it"):
        service.choose_run("gone")


def test_one_that_can_be_read_again_is_listed(tmp_path: Path) -> None:
    """As when the newest journal was put back."""
    aside = SetAsideRuns(tmp_path)
    aside.put("fine", "why")
    assert [run.id for run in made(aside).list_runs()] == ["fine"]


def test_where_all_are_set_aside_there_were_some(tmp_path: Path) -> None:
    aside = SetAsideRuns(tmp_path)
    service = made(aside, vanished="", lost_runs=lambda: ["gone"])
    aside.put("gone", "why")
    with pytest.raises(UsageError, match="every run of this repository is damaged and set aside"):
        service.latest_run()


def test_no_run_where_some_were_recorded_is_damage(tmp_path: Path) -> None:
    service = made(SetAsideRuns(tmp_path / "aside"), vanished="contains no runs, although some were recorded")
    assert service.has_vanished()
    for ask in (service.run_ids, service.list_runs, service.latest_run, lambda: service.choose_run("x")):
        with pytest.raises(Damaged, match="contains no runs, although some were recorded"):
            ask()
    assert not made(SetAsideRuns(tmp_path / "aside")).has_vanished()
