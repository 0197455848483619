"""The map of stages never changes what was given away, and an event costs the same however many stages are settled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.admission import admit
from interlock.core.events import (
    Action,
    AnswerTaken,
    AttemptErrored,
    AttemptStarted,
    CandidateProduced,
    Event,
    HandoffAccepted,
    InputPrepared,
    Recorded,
    RunStarted,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.fold import apply
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.pipeline import Gate, GateKind, Pipeline, Stage
from interlock.core.plan import plan
from interlock.core.stages import Stages
from interlock.core.state import Phase, RunState, StageState

NAMES = tuple(f"s{number}" for number in range(70))  # three chunks
RETRY = AnswerTaken("a1", Action.RETRY, "ann")
states = st.builds(StageState, phase=st.sampled_from(Phase), answer=st.sampled_from((None, RETRY)))


@given(st.lists(st.tuples(st.sampled_from(NAMES), states), max_size=30))
def test_it_is_as_a_dict_and_what_was_given_away_stays(changes: list[tuple[str, StageState]]) -> None:
    model = dict.fromkeys(NAMES, StageState())
    given_away = [(Stages(model.items()), dict(model))]
    for name, stage in changes:
        model[name] = stage
        given_away.append((given_away[-1][0].having(name, stage), dict(model)))
    for stages, expected in given_away:
        assert dict(stages) == expected
        assert stages == Stages(expected.items())
        assert stages.live == tuple(name for name, stage in expected.items() if stage.live)
        assert stages.busy == sum(stage.busy for stage in expected.values())


@given(st.lists(st.tuples(st.sampled_from(NAMES[:3]), st.sampled_from(Phase), st.integers(0, 3)), max_size=30))
def test_a_draft_is_changed_in_place_and_what_was_given_away_stays(changes: list[tuple[str, Phase, int]]) -> None:
    """By each change in one of these ways: put, in place, in place of a new draft."""
    model = dict.fromkeys(NAMES, StageState())
    draft, given_away = Stages(model.items()).draft(), []
    was_put = []
    for name, phase, way in changes:
        if way == 2:
            given_away.append((draft, dict(model)))
            draft = draft.draft()
        model[name] = StageState(phase=phase)
        if way == 1:
            draft.put(name, model[name])
            was_put.append((model[name], phase))
        else:
            stage = draft.own(name)
            busy, live = stage.busy, stage.live
            vars(stage).update(phase=phase)
            draft.count(name, stage, busy=busy, live=live)
    assert all(stage.phase is phase for stage, phase in was_put)
    for stages, expected in [*given_away, (draft, model)]:
        assert dict(stages) == expected
        assert stages.live == tuple(name for name, stage in expected.items() if stage.live)
        assert stages.busy == sum(stage.busy for stage in expected.values())


def test_a_stage_that_takes_no_part_cannot_be_put() -> None:
    with pytest.raises(KeyError):
        Stages([("s0", StageState())]).having("s1", StageState())


def test_it_is_shown_as_what_it_holds() -> None:
    stages = Stages([("s0", StageState())])
    assert repr(stages) == f"Stages({{'s0': {StageState()!r}}})"
    assert ("s0" in stages, "s1" in stages, len(stages), list(stages)) == (True, False, 1, ["s0"])


def test_the_cost_of_an_event_does_not_depend_on_settled_stages() -> None:
    assert _calls_per_event(300) <= 1.1 * _calls_per_event(20)


def _calls_per_event(settled: int) -> float:
    """Calls of functions, of Python's own too, to admit and apply an event and to plan after it."""
    pipeline = Pipeline("long", tuple(_stages(settled + 1)))
    state = RunState()
    for event in _settled(settled):
        state = _after(state, event)
    events = list(islice(_attempts(f"s{settled}"), 21))
    state = _after(state, events[0])
    plan(pipeline, state)  # what a pipeline keeps of itself is counted once
    calls = 0

    def count(frame: object, what: str, argument: object) -> None:
        nonlocal calls
        calls += what in ("call", "c_call")

    sys.setprofile(count)
    try:
        for event in events[1:]:
            state = _after(state, event)
            plan(pipeline, state)
    finally:
        sys.setprofile(None)
    return calls / (len(events) - 1)


def _after(state: RunState, event: Event) -> RunState:
    assert admit(state, event) == ""
    return apply(state, Recorded(state.seq + 1, state.at + 1, event))


def _stages(count: int) -> Iterator[Stage]:
    for number in range(count):
        needs = tuple(f"s{former}" for former in (number - 1, number - 2) if former >= 0)
        yield Stage(f"s{number}", needs, agent="", gates=(Gate("ok", GateKind.RUN, digest="one"),))


def _settled(count: int) -> Iterator[Event]:
    names = tuple(f"s{number}" for number in range(count + 1))
    yield RunStarted("run", "long", "digest", "task", "base", "tree", names)
    for name in names:
        yield VerdictGiven(base_of(name), f"{name}/ok", 1, VerdictStatus.PASSED)
    for name in names[:-1]:
        attempt = AttemptId(name, 1, 1)
        yield InputPrepared(input_of(name, 1), "c", "t", ("c",))
        yield AttemptStarted(attempt, "", "", "t")
        yield CandidateProduced(attempt, "c", "t")
        yield HandoffAccepted(attempt, "c", "t", "record")


def _attempts(name: str) -> Iterator[Event]:
    yield InputPrepared(input_of(name, 1), "merged", "t", ("c", "d"))
    for number in range(1, 100):
        yield AttemptStarted(AttemptId(name, 1, number), "", "", "t")
        yield AttemptErrored(AttemptId(name, 1, number), "limited", 0.0, quota=True)
