"""How long a quota is waited for: as long as somebody tells, and else as long as `quota_wait` says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.effects import Effect, EvaluateGate, Pause, StartAttempt, WaitUntil
from interlock.core.events import (
    AttemptErrored,
    AttemptStarted,
    CandidateProduced,
    Event,
    InputPrepared,
    PauseReason,
    Recorded,
    RunStarted,
    TimeReached,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.fold import fold
from interlock.core.ids import AttemptId, input_of
from interlock.core.pipeline import AgentSpec, Gate, GateKind, Limits, Pipeline, Stage
from interlock.core.plan import plan
from interlock.execution.context import Context
from interlock.gates.kinds.review import Review

HOUR = 3_600.0
SCOPE, REVIEW = Gate("scope", GateKind.SCOPE), Gate("review", "review", options=Review(("critic",)))
STAGE = Stage("code", agent="own", gates=(SCOPE, REVIEW))
PIPELINE = Pipeline("p", (STAGE,), (AgentSpec("own", "command"), AgentSpec("critic", "command")))
BEGUN: tuple[Event, ...] = (
    RunStarted("r", "p", "d", "task", "c0", "t0", ("code",)),
    InputPrepared(input_of("code", 1), "c0", "t0", ("c0",)),
)
FIRST = AttemptId("code", 1, 1)


def limited(*waits: tuple[float, float]) -> list[Recorded]:
    """A run whose attempts end at a quota: when each ended, and until when it waits."""
    events = [(0.0, event) for event in BEGUN]
    for number, (at, until) in enumerate(waits, 1):
        attempt = AttemptId("code", 1, number)
        events += [(at, AttemptStarted(attempt, "own", "", "t0"))]
        events += [(at, AttemptErrored(attempt, "rate limited", until, quota=True))]
    return [Recorded(seq, at, event) for seq, (at, event) in enumerate(events, 1)]


def reviewed(*verdicts: tuple[float, float, bool]) -> list[Recorded]:
    """A candidate whose review could not be had: when each try ended, until when it waits, whether for a quota."""
    passed = VerdictGiven(FIRST, "code/scope", 1, VerdictStatus.PASSED)
    events: list[tuple[float, Event]] = [(1.0, event) for event in BEGUN]
    events += [(1.0, AttemptStarted(FIRST, "own", "", "t0")), (1.0, CandidateProduced(FIRST, "c1", "t1"))]
    events += [(1.0, passed)]
    for number, (at, until, quota) in enumerate(verdicts, 1):
        told = VerdictGiven(FIRST, "code/review", number, VerdictStatus.ERRORED, retry_at=until, hard=False)
        events += [(at, replace(told, quota=quota))]
    return [Recorded(seq, at, event) for seq, (at, event) in enumerate(events, 1)]


def next_of(records: list[Recorded], pipeline: Pipeline = PIPELINE) -> Effect:
    (effect,) = plan(pipeline, fold(records))
    return effect


def test_a_wait_says_since_when_and_until_when() -> None:
    records = limited((100.0, 164.0), (164.0, 420.0))
    assert next_of(records) == WaitUntil(420.0, "rate limited", 100.0)


@pytest.mark.parametrize("limits", [{"run": Limits(attempts=3)}, {"stage": Limits(attempts=3)}])
def test_limits_count_what_a_quota_ended_in_the_middle_of_work(limits: dict[str, Limits]) -> None:
    stage = replace(STAGE, limits=limits.get("stage", STAGE.limits))
    pipeline = replace(PIPELINE, stages=(stage,), limits=limits.get("run", PIPELINE.limits))
    hours = [(at * 5 * HOUR + 1, (at + 1) * 5 * HOUR + 1) for at in range(9)]
    for number, worked in ((2, True), (3, True), (9, False)):
        records = [
            replace(one, event=replace(one.event, worked=worked)) if isinstance(one.event, AttemptErrored) else one
            for one in limited(*hours[:number])
        ]
        assert isinstance(next_of(records, pipeline), WaitUntil)
        after = Recorded(len(records) + 1, hours[number - 1][1], TimeReached(hours[number - 1][1]))
        effect = next_of([*records, after], pipeline)
        if number == 3:
            assert isinstance(effect, Pause)
            assert effect.reason is PauseReason.LIMIT
        else:
            assert isinstance(effect, StartAttempt)


def test_an_untold_quota_is_waited_for_as_long_as_the_pipeline_says() -> None:
    half_hours = [(at * HOUR / 2 + 1, (at + 1) * HOUR / 2 + 1) for at in range(60)]
    assert isinstance(next_of(limited(*half_hours[:48])), WaitUntil)
    over = next_of(limited(*half_hours[:49]))
    assert isinstance(over, Pause)
    assert over.reason is PauseReason.INFRASTRUCTURE
    patient, hasty = replace(PIPELINE, quota_wait_s=2 * 86_400), replace(PIPELINE, quota_wait_s=3_600)
    assert isinstance(next_of(limited(*half_hours[:49]), patient), WaitUntil)
    assert isinstance(next_of(limited(*half_hours[:2]), hasty), WaitUntil)
    assert isinstance(next_of(limited(*half_hours[:3]), hasty), Pause)


def test_a_week_that_was_told_is_waited_for_a_day_at_a_time() -> None:
    days = [(day * 86_400.0 + 1, (day + 1) * 86_400.0 + 1) for day in range(7)]
    assert isinstance(next_of(limited(*days)), WaitUntil)
    after = (7 * 86_400.0 + 1, 7 * 86_400.0 + 65)  # untold again: counted from now
    assert isinstance(next_of(limited(*days, after)), WaitUntil)


def test_a_quota_that_resets_for_ever_is_none() -> None:
    told = [(n * HOUR, (n + 1) * HOUR) for n in range(120)]
    assert isinstance(next_of(limited(*told[:97])), WaitUntil)
    assert isinstance(next_of(limited(*told[:98])), Pause)


def test_the_quota_of_a_reviewer_is_no_try() -> None:
    waits = [(10.0, 26.0, True), (26.0, 90.0, True), (90.0, 346.0, True), (346.0, 1370.0, True)]
    assert next_of(reviewed(*waits)) == WaitUntil(1370.0, "gate review: errored", 10.0)
    again = next_of(reviewed(*waits, (1370.0, 1371.0, False)))
    assert again == WaitUntil(1371.0, "gate review: errored")  # its first own try
    failures = [(1370.0 + n, 0.0, False) for n in range(3)]
    assert isinstance(next_of(reviewed(*waits, *failures)), Pause)
    (asked,) = plan(PIPELINE, fold(reviewed(*waits, *failures[:2])))
    assert isinstance(asked, EvaluateGate)
    hasty = replace(PIPELINE, quota_wait_s=600)
    assert isinstance(next_of(reviewed(*waits), hasty), Pause)


def test_waits_grow_to_half_an_hour_where_nobody_told() -> None:
    context = Context("r", PIPELINE, BEGUN[0], 0.0)  # type: ignore[arg-type]
    waits = [context.retry_at(0.0, tries, quota=True) for tries in range(8)]
    assert waits == [16.0, 64.0, 256.0, 1024.0, 1800.0, 1800.0, 1800.0, 1800.0]
    assert context.retry_at(0.0, 0, 5 * HOUR, quota=True) == 5 * HOUR


def test_after_the_wait_it_is_tried_again() -> None:
    (effect,) = plan(PIPELINE, replace(fold(limited((100.0, 164.0), (164.0, 420.0))), now=420.0))
    assert isinstance(effect, StartAttempt)
