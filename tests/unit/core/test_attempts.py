"""What follows on rejections, and what the next attempt is given."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.core.histories import FAILED, PASSED, READY, after

from interlock.core.effects import Effect, EvaluateGate, Pause, SendBack, StartAttempt
from interlock.core.events import (
    Action,
    AnswerTaken,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Event,
    Evidence,
    Finding,
    InputPrepared,
    PauseReason,
    RunStarted,
    SentBack,
    Usage,
    VerdictGiven,
)
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.limits import amounts, limit_reached
from interlock.core.pipeline import (
    AgentSpec,
    CommandLine,
    Gate,
    GateKind,
    Limits,
    Pipeline,
    Rule,
    Stage,
    WorkspaceMode,
)
from interlock.core.plan import plan
from interlock.gates.kinds.review import Review

CODER = (AgentSpec("coder", "command"), AgentSpec("other", "command"))
CODE = Stage("code", agent="coder", gates=(Gate("test", GateKind.RUN),), attempts_max=3)
RETRY = AnswerTaken("a1", Action.RETRY, "ann", stage="code")
Told = tuple[str, str]  # tree and fingerprint of a rejected candidate


def rejections(*told: Told, begin: int = 1, **more: object) -> tuple[Event, ...]:
    events: list[Event] = []
    for number, (tree, fingerprint) in enumerate(told, begin):
        attempt = AttemptId("code", 1, number)
        session = (Evidence("session", f"s{number}", 1),)
        said = CandidateRejected(attempt, tree, f"told {number}", fingerprint, gates=("code/test",))
        events += [AttemptStarted(attempt, "coder", "", "t0")]
        events += [CandidateProduced(attempt, f"c{number}", tree, usage=Usage(100, 50, cost_usd=0.5), evidence=session)]
        events += [replace(said, **more)]  # type: ignore[arg-type]
    return tuple(events)


def next_of(*events: Event, stage: Stage = CODE, limits: Limits | None = None) -> Effect:
    pipeline = Pipeline("p", (stage,), CODER, limits=limits or Limits())
    (effect,) = plan(pipeline, after(*READY, *events))
    return effect


PAUSES = [
    (("t1", "a"), ("t1", "b"), PauseReason.NO_PROGRESS, "code/1.2 is the same tree as one that was rejected before"),
    (("t1", "a"), ("t2", "a"), ("t3", "a"), PauseReason.NO_PROGRESS, "the same findings for the third time"),
]


@pytest.mark.parametrize("row", PAUSES)
def test_without_progress_a_person_is_asked(row: tuple[object, ...]) -> None:
    *told, reason, detail = row
    stage = replace(CODE, attempts_max=9)
    assert next_of(*rejections(*told), stage=stage) == Pause("code", reason, detail)  # type: ignore[arg-type]
    assert isinstance(next_of(*rejections(*told[:-1]), stage=stage), StartAttempt)  # type: ignore[arg-type]


def test_what_changed_nothing_has_no_tree_of_its_own_and_a_retry_counts_anew() -> None:
    stage = replace(CODE, attempts_max=9)
    same = (("t1", "a"), ("t1", "b"))
    assert isinstance(next_of(*rejections(*same, empty=True), stage=stage), StartAttempt)
    retried = (*rejections(*same), RETRY)
    assert isinstance(next_of(*retried, *rejections(("t1", "a"), begin=3), stage=stage), StartAttempt)


@pytest.mark.parametrize(
    ("events", "most", "detail"),
    [
        (rejections(("t1", "a")), 1, "the only attempt was rejected"),
        (rejections(("t1", "a"), ("t2", "b")), 2, "all 2 attempts were rejected"),
        ((*rejections(("t1", "a")), RETRY, *rejections(("t2", "b"), begin=2)), 1,
         "the only attempt since the last retry was rejected (2 in all)"),
        ((*rejections(("t1", "a")), RETRY, *rejections(("t2", "b"), ("t3", "c"), begin=2)), 2,
         "all 2 attempts since the last retry were rejected (3 in all)"),
    ],
)  # fmt: skip
def test_when_all_attempts_are_used_a_person_is_asked(events: tuple[Event, ...], most: int, detail: str) -> None:
    assert next_of(*events, stage=replace(CODE, attempts_max=most)) == Pause("code", PauseReason.ATTEMPTS, detail)
    assert isinstance(next_of(*events, stage=replace(CODE, attempts_max=most + 1)), StartAttempt)


def test_gates_that_failed_before_any_work_are_named() -> None:
    red = VerdictGiven(base_of("code"), "code/lint", 1, FAILED)
    stage = replace(CODE, gates=(*CODE.gates, Gate("lint", GateKind.RUN)), attempts_max=1)
    said = next_of(red, *rejections(("t1", "a"), gates=("code/lint", "code/test")), stage=stage)
    assert isinstance(said, Pause)
    assert said.detail == "the only attempt was rejected (gate code/lint failed before any work as well)"


def test_a_rule_a_reason_or_a_stage_without_worker_leads_to_a_person() -> None:
    one = rejections(("t1", "a"))
    escalated = next_of(
        *rejections(("t1", "a"), reasons=("escalate",)), stage=replace(CODE, on_reject=(Rule(goto="code"),))
    )
    assert escalated == Pause("code", PauseReason.ESCALATED, "gate code/test asks for a decision by a person")
    paused = next_of(*one, stage=replace(CODE, on_reject=(Rule(pause=True),)))
    assert paused == Pause("code", PauseReason.RULE, "gate code/test failed, and an `on_reject` rule says pause")
    idle = next_of(*one, stage=replace(CODE, agent=""))
    assert idle == Pause("code", PauseReason.NO_RULE, "no `on_reject` rule applies")


def test_a_goto_is_followed_as_often_as_it_says_and_its_work_is_told() -> None:
    stage = replace(CODE, on_reject=(Rule(goto="code", max=1),))
    sent = next_of(*rejections(("t1", "a")), stage=stage)
    assert sent == SendBack(AttemptId("code", 1, 1), "code", 0, "told 1", ("code",))
    pipeline, again = Pipeline("p", (stage,), CODER), AttemptId("code", 2, 1)

    second = (
        SentBack(AttemptId("code", 1, 1), "code", 0, "told 1", ("code",)),
        InputPrepared(input_of("code", 2), "c0", "t0", ("c0",)),
    )
    state = after(*READY, *rejections(("t1", "a")), *second)
    (start,) = plan(pipeline, state)
    assert isinstance(start, StartAttempt)
    assert (start.attempt, start.feedback) == (again, ("told 1",))
    assert start.undone is not None
    assert (start.undone.attempt, start.undone.input_tree, start.undone.tree) == (AttemptId("code", 1, 1), "t0", "t1")
    rejected = (
        AttemptStarted(again, "coder", "", "t0"),
        CandidateProduced(again, "c9", "t9"),
        CandidateRejected(again, "t9", "", "z", gates=("code/test",)),
    )
    (pause,) = plan(pipeline, after(*READY, *rejections(("t1", "a")), *second, *rejected))
    assert pause == Pause("code", PauseReason.LOOP, "sent back to code 1 times already")


def test_the_next_attempt_is_given_what_the_stage_says() -> None:
    one = rejections(("t1", "a"))
    fresh = next_of(*one)
    assert isinstance(fresh, StartAttempt)
    assert (fresh.source, fresh.session, fresh.feedback) == ("", "", ("told 1",))
    goes_on = next_of(*one, stage=replace(CODE, workspace=WorkspaceMode.CONTINUE, resumes=True))
    assert isinstance(goes_on, StartAttempt)
    assert (goes_on.source, goes_on.session) == ("c1", "s1")
    another = next_of(*one, stage=replace(CODE, resumes=True, on_reject=(Rule(agent="other"),)))
    assert isinstance(another, StartAttempt)
    assert (another.agent, another.session) == ("other", "")
    script = next_of(stage=replace(CODE, agent="", command=CommandLine(argv=("true",))))
    assert isinstance(script, StartAttempt)
    assert (script.agent, script.source) == ("", "")


def test_what_a_merge_breaks_is_told_but_not_what_is_held_out() -> None:
    shown, hidden = Finding("r", "broken", file="a.py"), Finding("r", "secret", secret=True)
    gate = Gate("test", GateKind.RUN)
    stages = (
        Stage("a", agent="coder", gates=(gate,)),
        Stage("b", agent="coder"),
        replace(CODE, id="code", needs=("a", "b")),
    )
    pipeline = Pipeline("p", stages, CODER)
    said = VerdictGiven(input_of("code", 1), "a/test", 1, FAILED, (shown, hidden))
    own = VerdictGiven(input_of("code", 1), "code/test", 1, FAILED, (Finding("r", "own"),))
    state = after(
        RunStarted("r", "p", "d", "task", "c0", "t0", ("code",)),
        *(VerdictGiven(base_of(name), f"{name}/test", 1, FAILED) for name in ("code",)),
        InputPrepared(input_of("code", 1), "m", "tm", ("ca", "cb")),
        said,
        own,
    )
    starts = [each for each in plan(pipeline, state) if isinstance(each, StartAttempt)]
    assert [start.broken for start in starts] == [(shown,)]


@pytest.mark.parametrize(
    ("limits", "own", "said"),
    [
        (Limits(attempts=1), Limits(attempts=0), "attempts: 1 of 1 used"),
        (Limits(tokens=150), Limits(attempts=0), "tokens: 150 of 150 used"),
        (Limits(cost_usd=0.4), Limits(attempts=0), "cost_usd: 0.5 of 0.4 used"),
        (Limits(), Limits(attempts=1), "code.attempts: 1 of 1 used"),
        (Limits(), Limits(attempts=0, tokens=100), "code.tokens: 150 of 100 used"),
        (Limits(), Limits(attempts=0, cost_usd=0.5), "code.cost_usd: 0.5 of 0.5 used"),
        (Limits(wall_s=1), Limits(attempts=0), "wall: 2 of 1 used"),
    ],
)
def test_a_limit_of_the_run_or_of_the_stage_stops_the_next_attempt(limits: Limits, own: Limits, said: str) -> None:
    events, stage = rejections(("t1", "a")), replace(CODE, limits=own)
    pipeline, state = Pipeline("p", (stage,), CODER, limits=limits), after(*READY, *events)
    assert next_of(*events, stage=stage, limits=limits) == Pause("code", PauseReason.LIMIT, said)
    assert limit_reached(pipeline, state, "code", reviewing=True) == ("" if "attempts:" in said else said)
    name = said.partition(":")[0]
    raised = replace(RETRY, action=Action.RAISE, stage="", limits=((name, 1000.0),))
    assert isinstance(next_of(*events, raised, stage=stage, limits=limits), StartAttempt)


def test_limits_are_near_from_four_fifths_on_and_the_least_is_what_remains() -> None:
    stage = replace(CODE, limits=Limits(attempts=0, tokens=188, cost_usd=9.0))
    limits = Limits(attempts=2, tokens=187, cost_usd=0.75)
    state = after(*READY, *rejections(("t1", "a")))
    shown = [
        (each.name, each.used, each.bound, each.near) for each in amounts(Pipeline("p", (stage,), limits=limits), state)
    ]
    assert shown == [
        ("attempts", 1, 2, False),
        ("tokens", 150, 187, True),
        ("cost_usd", 0.5, 0.75, False),
        ("code.tokens", 150, 188, False),
        ("code.cost_usd", 0.5, 9.0, False),
    ]
    start = next_of(*rejections(("t1", "a")), stage=stage, limits=limits)
    assert isinstance(start, StartAttempt)
    assert (start.remaining.tokens, start.remaining.cost_usd) == (37, 0.25)


def test_a_review_is_told_what_hard_gates_noted_and_what_it_said_of_the_attempt_before() -> None:
    gates = (Gate("test", GateKind.RUN), *(Gate(name, "review", options=Review(("other",))) for name in ("one", "two")))
    pipeline = Pipeline("p", (replace(CODE, gates=gates),), CODER)
    first, second = AttemptId("code", 1, 1), AttemptId("code", 1, 2)
    before = [VerdictGiven(first, f"code/{name}", 1, FAILED, hard=False) for name in ("one", "two")]
    hard = VerdictGiven(second, "code/test", 1, PASSED)
    events = (
        AttemptStarted(first, "coder", "", "t0"),
        CandidateProduced(first, "c1", "t1"),
        VerdictGiven(first, "code/test", 1, PASSED),
        *before,
        CandidateRejected(first, "t1", "", "print", gates=("code/one", "code/two")),
        AttemptStarted(second, "coder", "", "t0"),
        CandidateProduced(second, "c2", "t2"),
        hard,
    )
    (one,) = plan(pipeline, after(*READY, *events))
    said = VerdictGiven(second, "code/one", 1, PASSED, hard=False)
    (two,) = plan(pipeline, after(*READY, *events, said))
    assert isinstance(one, EvaluateGate)
    assert isinstance(two, EvaluateGate)
    assert [(one.gate, one.former), (two.gate, two.former)] == [("code/one", before[0]), ("code/two", before[1])]
    assert one.hard_verdicts == two.hard_verdicts == (hard,)


@pytest.mark.parametrize(
    ("most", "agent", "wanted"),
    [(3, "coder", ["a", "b", "c"]), (2, "coder", ["a", "b"]), (1, "coder", ["a"]), (1, "", ["a", "b"])],
)
def test_no_more_attempts_begin_than_the_run_has_left(most: int, agent: str, wanted: list[str]) -> None:
    """`a` is at work; where it is a script, which is not counted, one agent may begin."""
    script = CommandLine(argv=("true",))
    stages = (
        Stage("a", agent=agent, command=None if agent else script),
        Stage("b", agent="coder"),
        Stage("c", agent="coder"),
    )
    pipeline = Pipeline("p", stages, CODER, limits=Limits(attempts=most))
    state = after(
        RunStarted("r", "p", "d", "task", "c0", "t0", ("a", "b", "c")),
        *(InputPrepared(input_of(name, 1), "c0", "t0", ("c0",)) for name in ("a", "b", "c")),
        AttemptStarted(AttemptId("a", 1, 1), agent, "", "t0"),
    )
    assert [each.attempt.stage for each in plan(pipeline, state) if isinstance(each, StartAttempt)] == wanted
