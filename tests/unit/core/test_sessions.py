"""Whose session a retry resumes: that of the newest candidate, where the same agent made it and it was rejected."""

from __future__ import annotations

import pytest

from interlock.core.effects import StartAttempt
from interlock.core.events import (
    SESSION,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Event,
    Evidence,
    InputPrepared,
    Recorded,
    RunStarted,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.fold import fold
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.pipeline import AgentSpec, Gate, GateKind, Pipeline, Rule, Stage
from interlock.core.plan import plan

FIRST, SECOND, THIRD = (AttemptId("code", 1, number) for number in (1, 2, 3))
RUN = (
    RunStarted("r", "p", "d", "task", "c0", "t0", ("code",)),
    VerdictGiven(base_of("code"), "code/test", 1, VerdictStatus.PASSED),
    InputPrepared(input_of("code", 1), "c0", "t0", ("c0",)),
)


def made(attempt: AttemptId, agent: str, session: str) -> tuple[Event, ...]:
    evidence = (Evidence("log", "log of it", 3), *((Evidence(SESSION, session, 3),) if session else ()))
    produced = CandidateProduced(attempt, f"c{attempt.number}", f"t{attempt.number}", evidence=evidence)
    return AttemptStarted(attempt, agent, "", "t0"), produced


def rejected(attempt: AttemptId, agent: str, session: str) -> tuple[Event, ...]:
    no = CandidateRejected(attempt, f"t{attempt.number}", "feedback", str(attempt.number), gates=("code/test",))
    return *made(attempt, agent, session), no


def errored(attempt: AttemptId, agent: str) -> tuple[Event, ...]:
    return AttemptStarted(attempt, agent, "", "t0"), AttemptErrored(attempt, "crashed", 0.0)


def next_session(events: tuple[Event, ...], *rules: Rule, resumes: bool = True) -> str:
    stage = Stage(
        "code", agent="coder", gates=(Gate("test", GateKind.RUN),), on_reject=rules, attempts_max=9, resumes=resumes
    )
    pipeline = Pipeline("p", (stage,), (AgentSpec("coder", "command"), AgentSpec("another", "command")))
    state = fold(Recorded(seq, 0.0, event) for seq, event in enumerate((*RUN, *events), 1))
    [effect] = [each for each in plan(pipeline, state) if isinstance(each, StartAttempt)]
    return effect.session


@pytest.mark.parametrize(
    ("events", "session"),
    [
        ((), ""),
        (rejected(FIRST, "coder", "s1"), "s1"),
        (rejected(FIRST, "coder", ""), ""),
        (rejected(FIRST, "another", "s1"), ""),
        (errored(FIRST, "coder"), ""),
        ((*rejected(FIRST, "coder", "s1"), *rejected(SECOND, "coder", "s2")), "s2"),
        ((*rejected(FIRST, "coder", "s1"), *rejected(SECOND, "coder", "")), ""),
        ((*rejected(FIRST, "coder", "s1"), *rejected(SECOND, "another", "s2")), ""),
        ((*rejected(FIRST, "coder", "s1"), *errored(SECOND, "coder")), "s1"),
        ((*made(FIRST, "coder", "s1"), AttemptLost(FIRST, "a person wants another one now")), ""),
    ],
)
def test_the_session_is_of_the_newest_candidate_of_the_same_agent(events: tuple[Event, ...], session: str) -> None:
    assert next_session(events) == session
    assert next_session(events, resumes=False) == ""


def test_an_agent_that_a_rule_puts_in_resumes_nothing_of_the_other() -> None:
    assert next_session(rejected(FIRST, "coder", "s1"), Rule(agent="another")) == ""
    both = (*rejected(FIRST, "coder", "s1"), *rejected(SECOND, "another", "s2"))
    assert next_session(both, Rule(agent="another")) == "s2"


def test_the_session_stays_the_same_while_the_attempt_works() -> None:
    events = (*rejected(FIRST, "coder", "s1"), AttemptStarted(SECOND, "coder", "", "t0"))
    assert next_session(events) == "s1"
