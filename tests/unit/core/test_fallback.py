"""Who works when an agent is down: infrastructure alone decides, and only until a candidate is there."""

import pytest

from interlock.core.effects import Pause, StartAttempt, WaitUntil
from interlock.core.events import (
    AttemptErrored,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Event,
    InputPrepared,
    PauseReason,
    Recorded,
    RunStarted,
)
from interlock.core.fold import fold
from interlock.core.ids import AttemptId, input_of
from interlock.core.pipeline import AgentSpec, Gate, GateKind, Pipeline, Rule, Stage
from interlock.core.plan import plan

SCOPE = Gate("scope", GateKind.SCOPE)
AGENTS = (
    AgentSpec("first", "command", fallback=("second",)),
    AgentSpec("second", "command", fallback=("third", "first")),
    AgentSpec("third", "command"),
    AgentSpec("strong", "command"),
)
BEGUN = (
    RunStarted("r", "p", "d", "task", "c0", "t0", ("code",)),
    InputPrepared(input_of("code", 1), "c0", "t0", ("c0",)),
)


def pipeline(agent: str = "first", *rules: Rule) -> Pipeline:
    stage = Stage("code", agent=agent, gates=(SCOPE,), on_reject=rules, attempts_max=9)
    return Pipeline("p", (stage,), AGENTS)


def history(*agents_and_ends: tuple[str, str]) -> list[Event]:
    events: list[Event] = list(BEGUN)
    for number, (agent, end) in enumerate(agents_and_ends, 1):
        attempt = AttemptId("code", 1, number)
        events.append(AttemptStarted(attempt, agent, "", "t0"))
        events += _ended(attempt, end)
    return events


def _ended(attempt: AttemptId, end: str) -> list[Event]:
    if end == "rejected":
        tree = f"t{attempt.number}"
        print_of = f"f{attempt.number}"
        return [CandidateProduced(attempt, f"c{attempt.number}", tree), CandidateRejected(attempt, tree, "", print_of)]
    return [AttemptErrored(attempt, end, 100.0, permanent=end == "permanent", quota=end == "quota")]


def next_of(pipeline: Pipeline, *ends: tuple[str, str], now: float = 1.0) -> object:
    records = [Recorded(seq, now, event) for seq, event in enumerate(history(*ends), 1)]
    (effect,) = plan(pipeline, fold(records))
    return effect


def agent_of(effect: object) -> str:
    assert isinstance(effect, StartAttempt)
    return effect.agent


def test_one_crash_is_waited_for() -> None:
    assert next_of(pipeline(), ("first", "crashed")) == WaitUntil(100.0, "crashed")


def test_who_is_out_of_quota_is_stood_in_for_at_once() -> None:
    assert agent_of(next_of(pipeline(), ("first", "quota"))) == "second"


def test_who_cannot_be_reached_is_stood_in_for_at_once() -> None:
    assert agent_of(next_of(pipeline(), ("first", "permanent"))) == "second"


def test_three_crashes_in_a_row_are_one_that_is_down() -> None:
    crashes = [("first", "crashed")] * 3
    assert agent_of(next_of(pipeline(), *crashes)) == "second"


def test_the_row_of_those_that_stand_in_ends_with_a_person() -> None:
    down = [("first", "quota"), ("second", "permanent"), ("third", "permanent")]
    effect = next_of(pipeline(), *down)
    assert isinstance(effect, Pause)
    assert effect.reason is PauseReason.INFRASTRUCTURE


def test_where_all_have_no_quota_the_last_one_is_waited_for() -> None:
    down = [("first", "quota"), ("second", "quota"), ("third", "quota")]
    assert next_of(pipeline(), *down) == WaitUntil(100.0, "quota", 1.0)
    assert agent_of(next_of(pipeline(), *down, now=100.0)) == "first"


def test_who_was_given_up_is_not_waited_for_beside_one_that_has_no_quota() -> None:
    down = [*[("first", "crashed")] * 3, ("second", "quota"), ("third", "permanent")]
    assert isinstance(next_of(pipeline(), *down), Pause)
    waits = [*[("first", "crashed")] * 3, ("second", "permanent"), ("third", "quota")]
    assert agent_of(next_of(pipeline(), *waits, now=100.0)) == "third"


def test_a_crash_after_a_quota_is_waited_for_like_any_other() -> None:
    assert next_of(pipeline("third"), ("third", "quota"), ("third", "crashed")) == WaitUntil(100.0, "crashed")


def test_crashes_before_and_after_a_quota_are_counted_together() -> None:
    ends = [("third", "crashed"), ("third", "crashed"), ("third", "quota"), ("third", "crashed")]
    assert isinstance(next_of(pipeline("third"), *ends), Pause)


def test_being_wrong_is_not_being_down() -> None:
    assert agent_of(next_of(pipeline(), ("first", "rejected"))) == "first"


def test_the_first_one_is_asked_again_after_a_candidate() -> None:
    assert agent_of(next_of(pipeline(), ("first", "quota"), ("second", "rejected"))) == "first"


@pytest.mark.parametrize("end", ["quota", "permanent"])
def test_without_one_that_stands_in_nothing_changes(end: str) -> None:
    effect = next_of(pipeline("third"), ("third", end))
    assert isinstance(effect, WaitUntil if end == "quota" else Pause)


def test_who_a_rule_called_in_has_its_own_row() -> None:
    rule = Rule(after=1, agent="strong")
    assert agent_of(next_of(pipeline("first", rule), ("first", "rejected"))) == "strong"
    assert isinstance(next_of(pipeline("first", rule), ("first", "rejected"), ("strong", "permanent")), Pause)


def test_who_stands_in_begins_without_the_failures_of_the_one_that_is_down() -> None:
    own, other = (
        next_of(pipeline(), *ends, now=100.0) for ends in ([("first", "crashed")] * 2, [("first", "crashed")] * 3)
    )
    assert isinstance(own, StartAttempt)
    assert isinstance(other, StartAttempt)
    assert [(own.agent, own.errors), (other.agent, other.errors)] == [("first", 2), ("second", 0)]
