"""The pipeline beside a history is the one that the run began with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.events import RunStarted
from interlock.core.pipeline import Gate, GateKind, Pipeline, Stage
from interlock.execution.histories import Histories
from interlock.execution.records import recorded_pipeline
from interlock.journal import LocalRuns, MemoryJournal
from interlock.pipelinefile import encode_pipeline
from interlock.ports import Damaged, UsageError
from interlock.service.runs import RunRequest, begin

PIPELINE = Pipeline("p", (Stage("code", gates=(Gate("test", GateKind.RUN),)),))
EASIER = replace(PIPELINE, stages=(Stage("code"),))


def engine_of(journal: MemoryJournal) -> LocalRuns:
    return LocalRuns(journal, journal, lambda run: "")


def read(journal: MemoryJournal, run: str = "r") -> Pipeline:
    return recorded_pipeline(engine_of(journal), run, Histories(journal.pages).state)


def test_it_is_read_as_it_was_recorded() -> None:
    journal = MemoryJournal()
    begin(engine_of(journal), "r", 0.0, RunRequest(PIPELINE, "task", "c", "t"))
    assert read(journal).stages == PIPELINE.stages
    with pytest.raises(UsageError, match="no run other"):
        read(journal, "other")


def test_one_that_was_put_in_its_place_judges_nothing() -> None:
    journal = MemoryJournal()
    begin(engine_of(journal), "r", 0.0, RunRequest(PIPELINE, "task", "c", "t"))
    journal._remembered.clear()
    with pytest.raises(Damaged, match="no longer in the journal"):
        read(journal)
    journal.note("pipeline", "r", encode_pipeline(EASIER))
    with pytest.raises(Damaged, match="its pipeline was changed"):
        read(journal)


def test_of_a_run_of_an_earlier_version_there_is_no_digest() -> None:
    journal = MemoryJournal()
    journal.note("pipeline", "r", encode_pipeline(EASIER))
    journal.create("r", 0.0, RunStarted("r", "p", "", "task", "c", "t", ("code",)))
    assert read(journal).stages == EASIER.stages
