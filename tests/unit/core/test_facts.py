"""What is recorded without anything being done for it is made of the effect and the pipeline alone."""

from __future__ import annotations

import pytest

from interlock.core.effects import (
    AcceptHandoff,
    AskApproval,
    Decision,
    DeliverBranch,
    EvaluateGate,
    FinishRun,
    LoseAttempt,
    Operation,
    Pause,
    SendBack,
    StartAttempt,
)
from interlock.core.events import (
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    EffectErrored,
    Event,
    Finding,
    Paused,
    PauseReason,
    RunFinished,
    RunStatus,
    SentBack,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.facts import claim, decided, failed, on_worker
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, CommandLine, Gate, GateKind, Pipeline, Stage

ID = AttemptId("code", 2, 3)
CODE = Stage("code", agent="coder", gates=(Gate("ask", GateKind.APPROVE, question="Merge this?"),))
SCRIPT = Stage("script", command=CommandLine(shell="make all"))
PIPELINE = Pipeline("p", (CODE, SCRIPT, Stage("join")), (AgentSpec("coder", "command", model="large"),))


@pytest.mark.parametrize(
    ("effect", "event"),
    [
        (AskApproval(ID, "code/ask"), ApprovalAsked(ID, "code/ask", "Merge this?")),
        (SendBack(ID, "plan", 1, "digest", ("plan", "code")), SentBack(ID, "plan", 1, "digest", ("plan", "code"))),
        (Pause("code", PauseReason.LOOP, "again"), Paused("code", PauseReason.LOOP, "again")),
        (FinishRun(RunStatus.STOPPED, "red"), RunFinished(RunStatus.STOPPED, "red")),
    ],
)
def test_a_decision_is_its_fact(effect: Decision, event: Event) -> None:
    assert decided(PIPELINE, effect) == event


@pytest.mark.parametrize(
    ("stage", "agent", "by", "model", "level"),
    [
        ("code", "coder", "", "large", "full"),
        ("code", "coder", "ann", "large", ""),  # a person's own work: no program, and no sandbox
        ("script", "", "", "", "full"),
        ("join", "", "", "", ""),
    ],
)
def test_a_claim_says_who_works_and_in_which_sandbox(stage: str, agent: str, by: str, model: str, level: str) -> None:
    attempt = AttemptId(stage, 1, 1)
    effect = StartAttempt(attempt, agent, "commit", "tree", by=by)
    assert claim(PIPELINE, effect, "full") == AttemptStarted(attempt, agent, model, "tree", by, level)


@pytest.mark.parametrize(
    ("effect", "event"),
    [
        (StartAttempt(ID, "coder", "c", "t", errors=2), AttemptErrored(ID, "gone", 1032.0, permanent=True)),
        (LoseAttempt(ID, "ended by me"), AttemptLost(ID, "ended by me; left behind: gone")),
        (
            EvaluateGate(ID, "code/ask", 2, "c", "t", "ic", "it"),
            VerdictGiven(
                ID, "code/ask", 2, VerdictStatus.ERRORED, (Finding("infrastructure", "gone"),), tree="t",
                retry_at=1032.0, permanent=True, hard=False,
            ),
        ),
        (
            AcceptHandoff(ID, "c", "t", "it", (), "", "", 1),
            EffectErrored("AcceptHandoff code/2.3", 1, "gone", 1032.0, permanent=True),
        ),
        (DeliverBranch("c", (), 1), EffectErrored("DeliverBranch", 1, "gone", 1032.0, permanent=True, undone=True)),
    ],
)  # fmt: skip
def test_what_could_not_be_performed_is_counted(effect: Operation, event: Event) -> None:
    assert failed(PIPELINE, effect, "gone", 1032.0, permanent=True) == event


def test_who_tried_on_another_machine_is_named() -> None:
    for effect in (StartAttempt(ID, "coder", "c", "t"), EvaluateGate(ID, "code/ask", 2, "c", "t", "ic", "it")):
        event = on_worker(failed(PIPELINE, effect, "gone", 1032.0, permanent=False), "7@there")
        assert isinstance(event, AttemptErrored | VerdictGiven)
        assert event.worker == "7@there"
