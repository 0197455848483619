"""Which rule of `on_reject` a rejection matches, and what follows."""

import pytest

from interlock.core.effects import Effect, Pause, SendBack, StartAttempt
from interlock.core.events import (
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Finding,
    HandoffAccepted,
    InputPrepared,
    PauseReason,
    Recorded,
    RunStarted,
    Severity,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.feedback import files
from interlock.core.fold import fold
from interlock.core.ids import AttemptId, input_of
from interlock.core.pipeline import AgentSpec, Gate, GateKind, Pipeline, Rule, Stage
from interlock.core.plan import plan

ATTEMPT = AttemptId("code", 1, 1)


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (("tests/a.py", "tests/b/c.py"), True),
        (("tests/a.py", "a.py"), False),
        (("", "tests/a.py"), False),
        ((), False),
    ],
)
def test_a_rule_for_files_holds_where_all_findings_lie_in_them(found: tuple[str, ...], holds: bool) -> None:
    lint, scope = Gate("lint", GateKind.RUN), Gate("scope", GateKind.SCOPE)
    rule = Rule(gate="lint", within=("tests/**",), pause=True)
    stage = Stage("code", agent="coder", gates=(scope, lint), on_reject=(rule,), attempts_max=9)
    pipeline = Pipeline("p", (stage,), (AgentSpec("coder", "command"),))
    events = (
        RunStarted("r", "p", "d", "task", "c0", "t0", ("code",)),
        InputPrepared(input_of("code", 1), "c0", "t0", ("c0",)),
        AttemptStarted(ATTEMPT, "coder", "", "t0"),
        CandidateProduced(ATTEMPT, "c1", "t1"),
        CandidateRejected(ATTEMPT, "t1", "", "print", gates=("code/lint",), files=found),
    )
    state = fold([Recorded(seq, 0.0, event) for seq, event in enumerate(events, 1)])
    paused = any(isinstance(one, Pause) and one.reason is PauseReason.RULE for one in plan(pipeline, state))
    assert paused is holds


def after_rejections(rules: tuple[Rule, ...], *rejected: tuple[tuple[str, ...], tuple[str, ...]]) -> Effect:
    """What is wanted of `code` after rejections by these gates for these reasons."""
    gates = tuple(Gate(name, GateKind.RUN) for name in ("lint", "test"))
    code = Stage("code", ("plan",), agent="coder", gates=gates, on_reject=rules, attempts_max=9)
    agents = (AgentSpec("coder", "command"), AgentSpec("another", "command"))
    pipeline = Pipeline("p", (Stage("plan", agent="coder"), code), agents)
    plan_one, events = AttemptId("plan", 1, 1), [RunStarted("r", "p", "d", "task", "c0", "t0", ("plan", "code"))]
    events += [InputPrepared(input_of("plan", 1), "c0", "t0", ("c0",)), AttemptStarted(plan_one, "coder", "", "t0")]
    events += [CandidateProduced(plan_one, "c1", "t1"), HandoffAccepted(plan_one, "c1", "t1", "record")]
    events.append(InputPrepared(input_of("code", 1), "c1", "t1", ("c1",)))
    for number, (said_no, reasons) in enumerate(rejected, start=1):
        attempt = AttemptId("code", 1, number)
        events += [AttemptStarted(attempt, "coder", "", "t1"), CandidateProduced(attempt, f"d{number}", f"u{number}")]
        events.append(CandidateRejected(attempt, f"u{number}", "feedback", str(number), gates=said_no, reasons=reasons))
    state = fold(Recorded(seq, 0.0, event) for seq, event in enumerate(events, 1))
    [wanted] = [each for each in plan(pipeline, state) if isinstance(each, SendBack | Pause | StartAttempt)]
    return wanted


LINT, TEST = ("code/lint",), ("code/test",)


def test_a_rule_holds_for_the_gate_it_names_and_the_first_that_holds_is_followed() -> None:
    rules = (Rule(gate="lint", goto="plan"), Rule(gate="test", pause=True), Rule(agent="another"))
    sent = after_rejections(rules, (LINT, ()))
    assert isinstance(sent, SendBack)
    assert (sent.target, sent.rule, sent.resets) == ("plan", 0, ("plan", "code"))
    paused = after_rejections(rules, (TEST, ()))
    assert isinstance(paused, Pause)
    assert paused.reason is PauseReason.RULE
    both = after_rejections(rules, ((*TEST, *LINT), ()))
    assert isinstance(both, SendBack)
    neither = after_rejections(rules, (("plan/plan",), ()))
    assert isinstance(neither, StartAttempt)
    assert neither.agent == "another"


def test_a_rule_holds_for_the_reason_it_names() -> None:
    rules = (Rule(reason="design", goto="plan"), Rule(gate="test", reason="flaky", pause=True))
    assert isinstance(after_rejections(rules, (LINT, ("design", "style"))), SendBack)
    assert isinstance(after_rejections(rules, (TEST, ("flaky",))), Pause)
    for gates, reasons in ((LINT, ("flaky",)), (TEST, ("style",)), (TEST, ())):
        assert isinstance(after_rejections(rules, (gates, reasons)), StartAttempt)


def test_a_rule_for_many_rejections_holds_from_that_number_on() -> None:
    rules = (Rule(after=2, agent="another"),)
    agents = [after_rejections(rules, *[(LINT, ())] * count) for count in (1, 2, 3)]
    assert [isinstance(each, StartAttempt) and each.agent for each in agents] == ["coder", "another", "another"]


def test_the_files_of_a_rejection_are_those_of_what_failed_it() -> None:
    findings = (
        Finding("F401", "unused", file="tests/a.py"),
        Finding("W1", "long", Severity.WARNING, file="src/a.py"),
        Finding("more", "and 12 more findings like these"),
    )
    failed = VerdictGiven(ATTEMPT, "code/lint", 1, VerdictStatus.FAILED, findings)
    passed = VerdictGiven(ATTEMPT, "code/test", 1, VerdictStatus.PASSED, (Finding("x", "y", file="b.py"),))
    assert files((failed, passed)) == ("tests/a.py",)
    hidden = Finding("test_failed", "no", file="tests/held_out.py", secret=True)
    assert files((VerdictGiven(ATTEMPT, "code/hidden", 1, VerdictStatus.FAILED, (hidden,)),)) == ("",)
