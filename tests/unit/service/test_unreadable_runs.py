"""What a verb means where runs cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.cli.targets import find_run
from interlock.core.pipeline import Pipeline, Stage
from interlock.execution.histories import Histories
from interlock.journal import LocalRuns, MemoryBlobs, MemoryJournal
from interlock.ports import Damaged, UsageError
from interlock.service import RunRequest, Service
from interlock.service.runs import begin

OLD, NEW = "20261124-080000-aaaaaa", "20261125-080000-bbbbbb"


class Clock:
    def now(self) -> float:
        return 0.0


def nothing(*given: object) -> Any:
    """In the place of what is not asked for."""
    return ""


class Journal(MemoryJournal):
    """In which some runs are damaged."""

    def __init__(self, damaged: tuple[str, ...]) -> None:
        super().__init__()
        self.damaged = damaged

    def noted(self, kind: str, key: str) -> str | None:
        if key in self.damaged:
            raise Damaged("event 1 is not as it was recorded")
        return super().noted(kind, key)


def made(*damaged: str) -> Service:
    journal = Journal(damaged)
    engine = LocalRuns(journal, journal, lambda run: "")
    for run in (OLD, NEW):
        begin(engine, run, 0.0, RunRequest(Pipeline("p", (Stage("code"),)), "task", "c", "t"))
    return Service(engine, Histories(engine.history), MemoryBlobs(), nothing, nothing, Clock(), nothing, nothing)


def test_the_end_of_an_id_names_a_healthy_run_beside_a_damaged_one() -> None:
    for damaged in ((), (NEW,)):
        service = made(*damaged)
        view, rest = find_run(service, ("aaaaaa",), service.latest_run)
        assert (view.id, rest) == (OLD, ())
    view, rest = find_run(service, ("code",), service.latest_run)  # a stage of the newest that can be read
    assert (view.id, rest) == (OLD, ("code",))


def test_a_damaged_run_is_named_by_its_end_where_nothing_can_be_read() -> None:
    service = made(OLD, NEW)
    with pytest.raises(Damaged, match=f"run {OLD} cannot be read"):
        find_run(service, ("aaaaaa",), service.latest_run)


def test_where_nothing_can_be_read_nothing_is_said_to_fit_or_not() -> None:
    with pytest.raises(Damaged, match=f"{NEW} is damaged: event 1 is not .*: `interlock doctor` says more"):
        made(OLD, NEW).choose_run("")
    with pytest.raises(Damaged, match=f"no readable run fits: {NEW} is damaged"):
        made(NEW).choose_run("", lambda run: False)
    with pytest.raises(UsageError, match="name a run"):
        made(NEW).choose_run("")
    with pytest.raises(UsageError, match="no run fits"):
        made().choose_run("", lambda run: False)


def test_where_no_run_fits_the_unfinished_ones_are_named() -> None:
    service = made()
    with pytest.raises(UsageError, match=f"no run fits. Of these, .*`interlock status RUN`.*:\n  {NEW} .*\n  {OLD}"):
        service.choose_run("", lambda run: False)
