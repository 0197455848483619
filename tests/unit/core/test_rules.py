"""Rules of `on_reject` that look at files."""

import pytest

from interlock.core.effects import Pause
from interlock.core.events import (
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Finding,
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
