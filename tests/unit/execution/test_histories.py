"""What was read of a run is not read again, and what is newer is read at every look."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from interlock.core.events import InputPrepared, OwnerChanged, RunStarted
from interlock.core.fold import fold
from interlock.core.ids import input_of
from interlock.core.pipeline import Pipeline, Stage
from interlock.execution import histories as module
from interlock.execution.histories import Histories
from interlock.journal import MemoryJournal
from interlock.readmodel.history import History
from interlock.readmodel.run import RunView, describe, locate

PIPELINE = Pipeline("p", (Stage("code"),))


class Journal(MemoryJournal):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []

    def pages(self, run, after=0):  # type: ignore[no-untyped-def]
        self.asked.append((run, after))
        records = self.records(run, after)
        yield from ([record] for record in records)

    def begin(self, run: str) -> None:
        self.create(run, 0.0, RunStarted(run, "p", "d", "t", "c", "t", ("code",)))
        self.append(run, self.take(run), 1, 1.0, OwnerChanged(1, "me"))


@pytest.fixture
def journal() -> Journal:
    journal = Journal()
    journal.begin("r")
    return journal


def the(pipeline: Pipeline) -> Callable[[], Pipeline]:
    return lambda: pipeline


def test_a_state_grows_by_what_is_newer(journal: Journal) -> None:
    histories = Histories(journal.pages)
    assert histories.state("r") == fold(journal.records("r"))
    grow(journal)
    assert histories.state("r") == fold(journal.records("r"))
    assert histories.standing(the(PIPELINE), "r", "me") == locate(PIPELINE, fold(journal.records("r")), "me")
    assert journal.asked == [("r", 0), ("r", 2), ("r", 3)]


def test_a_view_has_the_past_whatever_was_looked_at_before(journal: Journal) -> None:
    histories = Histories(journal.pages)
    histories.state("r")
    whole = described(journal, "me")
    assert histories.view(the(PIPELINE), "r", "me") == whole
    assert histories.view(the(PIPELINE), "r", "me") == whole
    assert histories.state("r") == fold(journal.records("r"))
    assert journal.asked == [("r", 0), ("r", 0), ("r", 2), ("r", 2)]


def test_a_history_is_read_once_for_its_pipeline_and_its_view(journal: Journal) -> None:
    histories = Histories(journal.pages)

    def pipeline_of() -> Pipeline:
        assert histories.gathered_state("r") == fold(journal.records("r"))
        return PIPELINE

    assert histories.view(pipeline_of, "r", "me") == described(journal, "me")
    assert journal.asked == [("r", 0), ("r", 2)]


def test_each_look_is_made_once_for_each_newest_event_and_owner(journal: Journal) -> None:
    histories = Histories(journal.pages)
    asked: list[Pipeline] = []

    def pipeline_of() -> Pipeline:
        asked.append(PIPELINE)
        return PIPELINE

    for look in (histories.view, histories.standing):
        asked.clear()
        first = look(pipeline_of, "r", "me")
        assert look(pipeline_of, "r", "me") is first
        assert len(asked) == 1
        assert look(pipeline_of, "r", "").owner == ""
        assert look(pipeline_of, "r", "me") == first
        seq = grow(journal)
        histories.state("r")  # which takes the event in, and not into the past
        assert look(pipeline_of, "r", "me").seq == seq
        assert len(asked) == 4


def test_what_is_forgotten_is_read_anew(journal: Journal) -> None:
    histories = Histories(journal.pages)
    histories.state("r")
    histories.forget("r")
    histories.forget("none")
    assert histories.state("r") == fold(journal.records("r"))
    assert journal.asked == [("r", 0), ("r", 0)]


def test_there_is_no_view_of_a_run_without_events() -> None:
    histories = Histories(Journal().pages)
    assert histories.state("none") == fold([])
    for look in (histories.standing, histories.view):
        with pytest.raises(ValueError, match="the first event of the run is missing"):
            look(the(PIPELINE), "none", "")


def test_the_runs_looked_at_last_are_kept(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    histories = Histories(journal.pages)
    for run in ("a", "b", "c"):
        journal.begin(run)
    for run in ("r", "a", "b", "r", "c"):
        histories.view(the(PIPELINE), run, "")
    journal.asked.clear()
    for run in ("r", "b", "a"):
        histories.view(the(PIPELINE), run, "")
    assert journal.asked == [("r", 2), ("b", 2), ("a", 0)]


def test_the_pasts_viewed_last_are_kept_however_many_runs_are_located(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PASTS_KEPT", 2)
    histories = Histories(journal.pages)
    for run in ("a", "b", "c"):
        journal.begin(run)
    for run in ("r", "a", "r", "b"):
        histories.view(the(PIPELINE), run, "me")
    journal.asked.clear()
    for run in ("a", "b", "c"):
        histories.standing(the(PIPELINE), run, "me")
    assert journal.asked == [("a", 2), ("b", 2), ("c", 0)]  # no state is lost with a past
    journal.asked.clear()
    assert histories.view(the(PIPELINE), "r", "me") == described(journal, "me")
    for run in ("b", "a"):
        histories.view(the(PIPELINE), run, "me")
    assert journal.asked == [("r", 2), ("b", 2), ("a", 0)]


def grow(journal: Journal) -> int:
    """One event more; its seq."""
    newest = len(journal.records("r"))
    event = InputPrepared(input_of("code", 1), "c", "t", ("c",))
    journal.append("r", 1, newest, 2.0, event if newest == 2 else OwnerChanged(1, "me"))
    return newest + 1


def described(journal: Journal, owner: str) -> RunView:
    history = History()
    history.gather(journal.records("r"))
    return describe(PIPELINE, history, owner)
