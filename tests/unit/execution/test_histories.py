"""What was read of a run is not read again, and what is newer is read at every look."""

from __future__ import annotations

import pytest

from interlock.core.events import InputPrepared, OwnerChanged, RunStarted
from interlock.core.fold import fold
from interlock.core.ids import input_of
from interlock.core.pipeline import Pipeline, Stage
from interlock.execution.histories import KEPT, Histories
from interlock.journal import MemoryJournal
from interlock.readmodel.history import History
from interlock.readmodel.run import describe, locate

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


def test_a_state_grows_by_what_is_newer(journal: Journal) -> None:
    histories = Histories(journal)
    assert histories.state("r") == fold(journal.records("r"))
    journal.append("r", 1, 2, 2.0, InputPrepared(input_of("code", 1), "c", "t", ("c",)))
    assert histories.state("r") == fold(journal.records("r"))
    assert histories.standing(PIPELINE, "r", "me") == locate(PIPELINE, fold(journal.records("r")), "me")
    assert journal.asked == [("r", 0), ("r", 2), ("r", 3)]


def test_a_view_has_the_past_whatever_was_looked_at_before(journal: Journal) -> None:
    histories = Histories(journal)
    histories.state("r")
    history = History()
    history.gather(journal.records("r"))
    whole = describe(PIPELINE, history, "me")
    assert histories.view(PIPELINE, "r", "me") == whole
    assert histories.view(PIPELINE, "r", "me") == whole
    assert histories.state("r") == fold(journal.records("r"))
    assert journal.asked == [("r", 0), ("r", 0), ("r", 2), ("r", 2)]


def test_what_is_forgotten_is_read_anew(journal: Journal) -> None:
    histories = Histories(journal)
    histories.state("r")
    histories.forget("r")
    histories.forget("none")
    assert histories.state("r") == fold(journal.records("r"))
    assert journal.asked == [("r", 0), ("r", 0)]


def test_there_is_no_view_of_a_run_without_events() -> None:
    histories = Histories(Journal())
    assert histories.state("none") == fold([])
    with pytest.raises(ValueError, match="the first event of the run is missing"):
        histories.standing(PIPELINE, "none", "")
    with pytest.raises(ValueError, match="the first event of the run is missing"):
        histories.view(PIPELINE, "none", "")


def test_the_runs_looked_at_last_are_kept(journal: Journal) -> None:
    histories = Histories(journal)
    others = [f"r{number}" for number in range(KEPT)]
    for run in others:
        journal.begin(run)
    for run in ("r", *others[:-1], "r", others[-1]):
        histories.state(run)
    journal.asked.clear()
    for run in ("r", others[1], others[0]):
        histories.state(run)
    assert journal.asked == [("r", 2), (others[1], 2), (others[0], 0)]
