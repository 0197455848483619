"""What a worker reports and what a person sends is text that others wrote: whatever it is, the run goes on. The effect
has failed and is not begun for ever, the answer is refused."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from tests.unit.core.histories import JUDGING, WAITING, after

from interlock.core.effects import Operation, PrepareInput, StartAttempt
from interlock.core.events import Action, AnswerTaken, CandidateProduced, Event, Recorded, Refused, TimeReached
from interlock.core.ids import AttemptId
from interlock.core.state import RunState
from interlock.core.wire import encode_event
from interlock.engines.temporal import flow as module
from interlock.engines.temporal.flow import RunWorkflow
from interlock.engines.temporal.messages import answer_in, event_row, reported
from interlock.engines.temporal.places import Places
from interlock.engines.temporal.turns import Turns

KINDS = [kind.__name__ for kind in get_args(Event)]
BODIES = ("[]", "{}", "x", "null", "7", "[1e999]", "[[1]]", '["x", 1, 2]', "[" * 5000 + "]" * 5000)
ONE = AttemptId("code", 1, 1)
ATTEMPT = StartAttempt(ONE, "coder", "c0", "t0")
MADE = CandidateProduced(ONE, "c1", "t1")
NOTHING_SAID: tuple[Any, ...] = (None, 7, {}, "x", [], [7], [["CandidateProduced"]], [event_row(MADE)] * 2)


class Flow(RunWorkflow):
    """Notes what failed."""

    def __init__(self, *events: Event) -> None:
        self.failures: list[str] = []
        self._in_flight = {}
        self._moved = self._long = 0
        self._places = Places(Turns(lambda: True))
        self._records = []
        self._state = after(*events) if events else RunState()
        self._waiting: list[AnswerTaken] = []

    def _failed(self, effect: Operation, error: BaseException) -> None:
        self.failures.append(str(error))

    def _append(self, event: Event, at: float | None = None) -> Recorded:
        record = Recorded(self._state.seq + 1, 1.0, event)
        self._state = module.apply(self._state, record)
        self._records.append(record)
        return record


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_report_that_cannot_be_read_is_a_failure(body: str) -> None:
    flow = Flow()

    async def report(kind: str) -> None:
        reported(effect, [(kind, body)])
        raise AssertionError("it could be read")

    effect = PrepareInput(ONE, (), 1)
    for kind in [*KINDS, "Nothing"]:
        asyncio.run(flow._followed(effect, report(kind)))
    assert len(flow.failures) == len(KINDS) + 1


STRANGE = [
    replace(MADE, worker="1@here\x1b]0;mine\x07"),
    replace(MADE, commit="c1\n"),
    replace(MADE, commit="HEAD", pack="0" * 64),
    replace(MADE, commit="../../x", pack="0" * 64),
    replace(MADE, commit="0" * 40, pack="../x"),
]


@pytest.mark.parametrize("event", STRANGE, ids=range(len(STRANGE)))
def test_a_name_that_steers_a_terminal_or_is_no_commit_is_a_failure(event: CandidateProduced) -> None:
    """Else it would be copied to whoever follows the run, or end the copy for good."""
    with pytest.raises(ValueError, match=r"CandidateProduced\.|is no commit"):
        reported(ATTEMPT, [event_row(event)])
    assert reported(ATTEMPT, [event_row(replace(event, worker="1@here", commit="0" * 40, pack="0" * 64))])


@pytest.mark.parametrize("rows", NOTHING_SAID, ids=range(len(NOTHING_SAID)))
def test_a_report_is_one_event(rows: object) -> None:
    flow = Flow()

    async def report() -> None:
        reported(ATTEMPT, rows)
        raise AssertionError("it could be read")

    asyncio.run(flow._followed(ATTEMPT, report()))
    assert len(flow.failures) == 1


@pytest.mark.parametrize("wrong", [{}, 7, ["x"], None, 1e300])
def test_what_is_of_another_type_is_no_event(wrong: object) -> None:
    """In a field that everything afterwards relies on: text, numbers, lists."""
    row = [*json.loads(encode_event(MADE)), "", "completed", [None, None, None, None], 0, []]
    assert reported(ATTEMPT, [("CandidateProduced", json.dumps(row))])
    for place in (1, 2, 3, 6):  # commit, tree, claim, left_out
        if type(row[place]) is not type(wrong):
            with pytest.raises(TypeError, match=r"^CandidateProduced"):
                reported(ATTEMPT, [("CandidateProduced", json.dumps([*row[:place], wrong, *row[place + 1 :]]))])


def test_an_answer_has_an_id() -> None:
    for wrong in ("", "x" * 101, "a b", "a\n", "\ud800"):
        with pytest.raises(ValueError, match="id"):
            answer_in(event_row(AnswerTaken(wrong, Action.CANCEL, "me")))


@pytest.mark.parametrize("events", [WAITING, JUDGING])
def test_an_answer_that_cannot_be_taken_is_refused(events: tuple[Event, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next one, a cancel, is taken."""
    flow, apply = Flow(*events), module.apply

    def strict(state: RunState, record: Recorded) -> RunState:
        if isinstance(record.event, AnswerTaken) and record.event.action is not Action.CANCEL:
            raise KeyError("what nobody thought of")
        return apply(state, record)

    monkeypatch.setattr(module, "apply", strict)
    monkeypatch.setattr(module, "must_wait", lambda *_: False)
    monkeypatch.setattr(module, "admit", lambda *_: "")
    flow._waiting = [AnswerTaken("a", Action.RETRY, "me", "code"), AnswerTaken("b", Action.CANCEL, "me")]
    flow._take_answers()
    told = [record.event for record in flow._records]
    assert isinstance(told[0], Refused)
    assert told[0].why == "it cannot be taken: 'what nobody thought of'"
    assert told[1:] == [AnswerTaken("b", Action.CANCEL, "me")]


@pytest.mark.parametrize(("alarm_s", "reached"), [(10.0, True), (2.0**53, False)])
def test_a_time_in_the_far_future_is_waited_for_in_parts(
    alarm_s: float, reached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has no timer that is as long."""
    flow = Flow(*WAITING)

    async def passed(condition: object, timeout: timedelta) -> None:
        assert timeout <= timedelta(days=2000)
        raise TimeoutError

    monkeypatch.setattr(module.workflow, "wait_condition", passed)
    monkeypatch.setattr(module.workflow, "now", lambda: datetime(1970, 1, 1, tzinfo=UTC))
    asyncio.run(flow._wait(0, alarm_s))
    assert [record.event for record in flow._records] == ([TimeReached(alarm_s)] if reached else [])
