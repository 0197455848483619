"""What another machine tells of a run is changed at random. What is then admitted can be planned with and shown: no
server makes a copy that nobody can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from random import Random
from typing import Any

import pytest
from tests.simulation.chance import Scenario
from tests.simulation.simulate import Simulation

from interlock.cli.lines import Story
from interlock.cli.pages import full_page
from interlock.core.admission import admit_copy
from interlock.core.events import Event, Recorded, RunStarted
from interlock.core.fold import apply
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline
from interlock.core.plan import plan
from interlock.core.state import RunState
from interlock.core.wire import decode_record, encode_record
from interlock.readmodel.history import History
from interlock.readmodel.run import describe
from interlock.service.reports import run_markdown

COPIES, CHANGES = 20, 12  # of each run, and of each copy
WORDS = ("", ".", "none", "none/none", "a/b/c", "code", "x" * 300)
NUMBERS = (-1, 0, 1, 2, 2**53)


@pytest.mark.parametrize("seed", range(27, 37))  # of these two find what `admit` alone lets in
def test_whatever_is_admitted_can_be_read(seed: int) -> None:
    dice, seen = Random(seed), Counter[str]()
    simulation = Simulation(Scenario(seed))
    simulation.run()
    records = simulation.journal.records("run-1")
    for _ in range(COPIES):
        history = list(copied(dice, simulation.pipeline, records, seen))
        read(simulation.pipeline, history)
    assert min(seen["admitted"], seen["refused"]) > COPIES, seen


def copied(dice: Random, pipeline: Pipeline, records: list[Recorded], seen: Counter[str]) -> Iterator[Recorded]:
    """A beginning of the run, and what others make of its events."""
    state, cut = RunState(), dice.randrange(1, len(records) + 1)
    for record in records[:cut]:
        state = apply(state, record)
        yield record
    events = [record.event for record in records if not isinstance(record.event, RunStarted)]
    for _ in range(CHANGES if events else 0):
        heard = told(Recorded(state.seq + 1, state.at + 1.0, changed(dice, dice.choice(events))))
        if heard is None or admit_copy(pipeline, state, heard.event):
            seen["refused"] += 1
            continue
        seen["admitted"] += 1
        state = apply(state, heard)
        plan(pipeline, state)
        yield heard


def told(record: Recorded) -> Recorded | None:
    """As it is read; None if it is refused there."""
    try:
        return decode_record(encode_record(record))
    except (ValueError, TypeError, KeyError):
        return None


def changed(dice: Random, event: Event) -> Event:
    names = [each.name for each in fields(event)]
    for name in dice.sample(names, min(len(names), dice.choice((1, 1, 2, 4)))):
        event = replace(event, **{name: other(dice, getattr(event, name))})
    return event


def other(dice: Random, value: Any) -> Any:
    match value:
        case bool():
            return not value
        case Enum():
            return dice.choice(list(type(value)))
        case AttemptId():
            return replace(value, **dice.choice(({"stage": "none"}, {"number": value.number + 1}, {"epoch": 7})))
        case int() | float():
            return type(value)(dice.choice(NUMBERS))
        case str():
            return dice.choice(WORDS)
        case tuple():
            return dice.choice(((), value + value, value[::-1], tuple(other(dice, each) for each in value)))
        case _ if is_dataclass(value):
            return changed(dice, value)  # type: ignore[arg-type]
        case _:
            return value


def read(pipeline: Pipeline, records: list[Recorded]) -> None:
    history, story = History(), Story(pipeline)
    history.gather(records)
    view = describe(pipeline, history)
    assert list(full_page(view))
    assert run_markdown(pipeline, view)
    assert [str(story.line(record)) for record in records]
