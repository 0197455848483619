"""The fold: event by event or all at once, the same state; what it is given stays as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interlock.core.admission import admit
from interlock.core.events import (
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Event,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Recorded,
    Refused,
    RunStarted,
    SentBack,
    TimeReached,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.fold import apply, fold
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.state import RunState

STAGES = ("one", "two")
BEGUN = Recorded(1, 1.0, RunStarted("run", "pipeline", "digest", "task", "base", "tree", STAGES))

attempts = st.builds(AttemptId, st.sampled_from(STAGES), st.integers(1, 2), st.integers(1, 3))
events: st.SearchStrategy[Event] = st.one_of(
    attempts.map(lambda one: InputPrepared(input_of(one.stage, one.epoch), "base", "tree", ("base",))),
    attempts.map(lambda one: AttemptStarted(one, "coder", "model", "tree")),
    attempts.map(lambda one: CandidateProduced(one, "commit", "new tree")),
    attempts.map(lambda one: AttemptErrored(one, "limited", 5.0, quota=True)),
    attempts.map(lambda one: AttemptErrored(one, "gone", 0.0, permanent=True)),
    attempts.map(lambda one: AttemptLost(one, "its process has ended")),
    attempts.map(lambda one: VerdictGiven(one, f"{one.stage}/test", 1, VerdictStatus.FAILED)),
    attempts.map(lambda one: VerdictGiven(base_of(one.stage), f"{one.stage}/test", 1, VerdictStatus.PASSED)),
    attempts.map(lambda one: CandidateRejected(one, "new tree", "feedback", "print")),
    attempts.map(lambda one: HandoffAccepted(one, "commit", "new tree", "record")),
    attempts.map(lambda one: SentBack(one, "one", 0, "", STAGES)),
    st.integers(1, 9).map(lambda fence: OwnerChanged(fence, "owner")),
    st.builds(TimeReached, st.floats(0, 100), st.sampled_from((0.0, 0.0, 3.0, -2.0))),
    st.just(Refused("AttemptStarted", "one/1.1", "late")),
)


def _admitted(proposed: list[tuple[Event, float]]) -> list[Recorded]:
    """As a ledger does it: what does not fit stands in the history as refused."""
    state, history = apply(RunState(), BEGUN), [BEGUN]
    for event, passed in proposed:
        why = admit(state, event)
        told = Refused(type(event).__name__, "", why) if why else event
        history.append(Recorded(state.seq + 1, state.at + passed, told))
        state = apply(state, history[-1])
    return history


@given(st.lists(st.tuples(events, st.floats(0, 5)), max_size=60), st.data())
def test_a_history_folds_to_what_its_events_come_to_one_by_one(
    proposed: list[tuple[Event, float]], data: st.DataObject
) -> None:
    history = _admitted(proposed)
    state = RunState()
    for record in history:
        state = apply(state, record)
    cut = data.draw(st.integers(0, len(history)))
    assert fold(history) == state
    assert fold(history[cut:], fold(history[:cut])) == state


@given(st.lists(st.tuples(events, st.floats(0, 5)), min_size=1, max_size=30))
def test_a_state_that_was_given_away_stays_as_it_was(proposed: list[tuple[Event, float]]) -> None:
    history = _admitted(proposed)
    before, again = fold(history[:-1]), fold(history[:-1])
    apply(before, history[-1])
    assert before == again


def test_time_is_spent_while_a_stage_works_or_is_judged_and_has_an_owner() -> None:
    attempt = AttemptId("one", 1, 1)
    history = [BEGUN]
    for at, event in (
        (2.0, InputPrepared(input_of("one", 1), "base", "tree", ("base",))),
        (10.0, AttemptStarted(attempt, "coder", "", "tree")),  # nothing was at work until here
        (17.0, CandidateProduced(attempt, "commit", "new tree")),  # 7 s of work
        (20.0, VerdictGiven(attempt, "one/test", 1, VerdictStatus.PASSED)),  # 3 s of judgement
        (120.0, OwnerChanged(2, "another")),  # nobody owned it
        (124.0, VerdictGiven(attempt, "one/lint", 1, VerdictStatus.PASSED)),  # 4 s
        (125.0, ApprovalAsked(attempt, "one/human", "Well?")),  # 1 s
        (500.0, Refused("x", "", "late")),  # a person had it
    ):
        history.append(Recorded(len(history) + 1, at, event))
    spent = [fold(history[:count]).spent.wall_s for count in range(1, len(history) + 1)]
    assert spent == [0.0, 0.0, 0.0, 7.0, 10.0, 10.0, 14.0, 15.0, 15.0]


def test_a_clock_that_jumps_uses_nothing_of_the_time_there_is() -> None:
    """An hour forward, then back; five seconds passed each time, and thirty beside."""
    attempt = AttemptId("one", 1, 1)
    prepared = Recorded(2, 1.0, InputPrepared(input_of("one", 1), "base", "tree", ("base",)))
    history = [BEGUN, prepared, Recorded(3, 10.0, AttemptStarted(attempt, "coder", "", "tree"))]
    for at, event in (
        (3_615.0, TimeReached(3_615.0, 3_600.0)),
        (3_630.0, Refused("x", "", "late")),
        (35.0, TimeReached(35.0, -3_600.0)),
        (50.0, CandidateProduced(attempt, "commit", "new tree")),
    ):
        history.append(Recorded(len(history) + 1, at, event))
    assert fold(history).spent.wall_s == 40.0


def test_an_agent_that_is_down_is_remembered_once_however_long_the_history() -> None:
    history = [BEGUN, Recorded(2, 2.0, InputPrepared(AttemptId("one", 1, 0), "base", "tree", ("base",)))]
    for number in range(1, 20):
        attempt = AttemptId("one", 1, number)
        for event in (
            AttemptStarted(attempt, "coder", "", "tree"),
            AttemptErrored(attempt, "limited", 0.0, quota=True),
        ):
            history.append(Recorded(len(history) + 1, 3.0, event))
    assert fold(history).stages["one"].down == ("coder",)
