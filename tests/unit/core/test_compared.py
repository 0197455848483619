"""What a candidate is compared with: which report, of which commit, made with which tools."""

from __future__ import annotations

from dataclasses import replace

from interlock.core.effects import Before, EvaluateGate
from interlock.core.events import (
    AttemptStarted,
    CandidateProduced,
    Event,
    Evidence,
    HandoffAccepted,
    InputPrepared,
    Recorded,
    RunStarted,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.fold import fold
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.pipeline import AgentSpec, Baseline, Gate, GateKind, Pipeline, Report, Stage
from interlock.core.pipeline import Tests as Whose
from interlock.core.plan import plan

TEST = Gate("test", GateKind.RUN, report=Report.JUNIT)
PASSED, FAILED = VerdictStatus.PASSED, VerdictStatus.FAILED


def pipeline(**more: object) -> Pipeline:
    gate = replace(TEST, **more)
    stages = (Stage("plan", agent="one"), Stage("code", needs=("plan",), agent="one", gates=(gate,)))
    return Pipeline("p", stages, (AgentSpec("one", "command"),))


def judged(subject: AttemptId, tools: str, status: VerdictStatus = PASSED) -> VerdictGiven:
    report = (Evidence("report", f"report on {subject}", 1),)
    return VerdictGiven(subject, "code/test", 1, status, evidence=report, tools=tools)


def asked(said_of: Pipeline, *, on_base: VerdictGiven, on_input: VerdictGiven | None = None) -> EvaluateGate:
    """The judgement of the candidate of `code`, whose input is another tree than the base if it was judged."""
    planned, coded = AttemptId("plan", 1, 1), AttemptId("code", 1, 1)
    commit, tree = ("c1", "t1") if on_input is not None else ("c0", "t0")
    events: tuple[Event | None, ...] = (
        RunStarted("r", "p", "d", "task", "c0", "t0", ("plan", "code")),
        on_base,
        InputPrepared(input_of("plan", 1), "c0", "t0", ("c0",)),
        AttemptStarted(planned, "one", "", "t0"),
        CandidateProduced(planned, commit, tree),
        HandoffAccepted(planned, commit, tree, "record"),
        InputPrepared(input_of("code", 1), commit, tree, (commit,)),
        on_input,
        AttemptStarted(coded, "one", "", tree),
        CandidateProduced(coded, "c2", "t2"),
    )
    told = [event for event in events if event is not None]
    wanted = plan(said_of, fold([Recorded(seq, float(seq), event) for seq, event in enumerate(told, 1)]))
    return next(effect for effect in wanted if isinstance(effect, EvaluateGate))


BASE, INPUT = base_of("code"), input_of("code", 1)


def test_with_the_input_where_it_differs_from_the_base_and_else_with_the_base() -> None:
    effect = asked(pipeline(), on_base=judged(BASE, "a"), on_input=judged(INPUT, "b"))
    assert effect.baseline == f"report on {INPUT}"
    assert effect.before == Before("c1", "t1", "b", True)
    effect = asked(pipeline(), on_base=judged(BASE, "a", FAILED))
    assert effect.baseline == f"report on {BASE}"
    assert effect.before == Before("c0", "t0", "a", False)


def test_with_the_base_where_its_tests_are_run_or_nothing_is_reported() -> None:
    alone = asked(pipeline(report=Report.NONE), on_base=judged(BASE, "a"))
    assert (alone.baseline, alone.before) == ("", Before("c0", "t0", "a", True))
    effect = asked(pipeline(tests=Whose.BASE), on_base=judged(BASE, "a"))
    assert (effect.baseline, effect.before) == (f"report on {BASE}", Before("c0", "t0", "a", True))


def test_what_the_base_may_fail_was_made_with_tools_of_its_own() -> None:
    lenient = pipeline(baseline=Baseline.NO_WORSE)
    effect = asked(lenient, on_base=judged(BASE, "a", FAILED), on_input=judged(INPUT, "b"))
    assert (effect.on_base, effect.on_base_tools) == (f"report on {BASE}", "a")
    assert asked(pipeline(), on_base=judged(BASE, "a")).on_base_tools == ""


def test_a_verdict_of_an_earlier_version_is_taken_as_it_is() -> None:
    effect = asked(pipeline(), on_base=judged(BASE, ""))
    assert (effect.baseline, effect.before) == (f"report on {BASE}", None)
