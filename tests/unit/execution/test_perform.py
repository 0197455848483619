"""Effects against ports that keep every call: what a port is asked, and every field of the event."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.execution.recorder import NOW, Scene

from interlock.core.conflicts import Side, SideChange, Undecided
from interlock.core.delivery import Deliver
from interlock.core.effects import (
    Before,
    CheckWhen,
    DeliverBranch,
    EvaluateGate,
    LoseAttempt,
    Operation,
    PrepareInput,
    RejectCandidate,
)
from interlock.core.events import (
    AttemptLost,
    CandidateRejected,
    Delivered,
    DeliveryBegun,
    EffectErrored,
    Event,
    Evidence,
    Finding,
    InputPrepared,
    Paused,
    PauseReason,
    RunStarted,
    StageSkipped,
    Usage,
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.feedback import fingerprint
from interlock.core.ids import AttemptId, input_of
from interlock.core.pipeline import Artifact, CommandLine, Gate, GateKind, Pipeline, Stage, When
from interlock.execution.context import Context
from interlock.gates.kinds.review import Review
from interlock.ports import (
    DeliveryRefused,
    Fenced,
    GateRequest,
    InfrastructureError,
    Judgement,
    Merged,
    Stamp,
    UnfitSetup,
    UsageError,
)

ID = AttemptId("code", 2, 3)
INPUT = input_of("code", 2)
TEST = Gate("test", GateKind.RUN, CommandLine(("make", "test")))
ASK = Gate("ask", GateKind.APPROVE, question="Merge this?")
LOOK = Gate("look", "review", options=Review(by=("critic",)))
PLAN = Stage("plan", produces=(Artifact("size", "size.json"), Artifact("plan", "plan.md")))
CODE = Stage(
    "code", ("plan",), gates=(TEST, ASK, LOOK), secrets=("TOKEN",), when=When("plan/size", "/files/1", '{"n": 1}')
)
LAST = Stage("last", ("code",))
DELIVER = Deliver(branch="fix/{{ inputs.level }}/{{ run.id }}", author="Ann <ann@example.org>", sign=True)
PIPELINE = Pipeline("p", (PLAN, CODE, LAST), deliver=DELIVER)
STARTED = RunStarted(
    "r1", "p", "d", "Mend it.", "base", "base tree", ("plan", "code"), (("level", "3"),), sandbox="bwrap"
)
CONTEXT = Context("r1", PIPELINE, STARTED, 10.9, {"TOKEN": "a-long-token"}, 2.0)
BUSY = InfrastructureError("busy")
GONE = InfrastructureError("gone", permanent=True, undone=True)
WRONG = UsageError("c0 is not a commit")
UNDECIDED = (Undecided("a.bin", "binary", (Side("a", "c1", SideChange.CHANGED),)),)
PASSED = VerdictGiven(ID, "code/test", 1, VerdictStatus.PASSED)
FAILED = VerdictGiven(
    ID,
    "code/test",
    1,
    VerdictStatus.FAILED,
    (Finding("E1", "it is wrong", file="a.py", reason="design"), Finding("E2", "and this", file="b.py")),
)


def test_an_effect_of_a_former_owner_does_nothing() -> None:
    scene = Scene()
    scene.fence = [False]
    with pytest.raises(Fenced, match="run r1 is controlled by another process"):
        scene.perform(CONTEXT, DeliverBranch("commit", (), 1))


# --- inputs -------------------------------------------------------------------------------------


def test_an_input_is_a_merge() -> None:
    scene = Scene(merge=Merged("merged", "its tree", ("a.bin", "b.py"), UNDECIDED))
    effect = PrepareInput(INPUT, ("c1", "c2"), 1, ("a", "b"))
    assert scene.perform(CONTEXT, effect) == [
        InputPrepared(INPUT, "merged", "its tree", ("c1", "c2"), ("a.bin", "b.py"), ("a", "b"), UNDECIDED)
    ]
    stamp = Stamp("interlock: input of code/2.0", 10)
    assert scene.calls == [("merge", ("c1", "c2"), stamp, "refs/interlock/r1/code/2.0", ("a", "b"))]


@pytest.mark.parametrize(
    ("error", "number", "event"),
    [
        (BUSY, 1, EffectErrored("PrepareInput code/2.0", 1, "busy", NOW + 2.0)),
        (BUSY, 3, EffectErrored("PrepareInput code/2.0", 3, "busy", NOW + 32.0)),
        (GONE, 1, EffectErrored("PrepareInput code/2.0", 1, "gone", NOW + 2.0, True, True)),
        (OSError("a broken disk"), 1, EffectErrored("PrepareInput code/2.0", 1, "a broken disk", NOW + 2.0)),
        (WRONG, 2, EffectErrored("PrepareInput code/2.0", 2, "c0 is not a commit", NOW + 8.0, True)),
    ],
)
def test_a_failed_effect_is_tried_again_later(error: Exception, number: int, event: EffectErrored) -> None:
    assert Scene(merge=error).perform(CONTEXT, PrepareInput(INPUT, ("c",), number)) == [event]


WANTED = b'{"files": [0, {"n": 1}]}'
OTHER = "plan/size/files/1 is [2], not " + '{"n": 1}'
NULL = "plan/size/files/1 is null, not " + '{"n": 1}'
LONG = f'plan/size/files/1 is "{"x" * 295} ..., not {{"n": 1}}'
BROKEN = "the merge is broken"
NOBODY = "the merge is broken, and code would be skipped: nobody fixes it"


@pytest.mark.parametrize(
    ("content", "broken", "event"),
    [
        (WANTED, "", WhenHeld(INPUT)),
        (WANTED, BROKEN, WhenHeld(INPUT)),
        (b'{"files": [0, [2]]}', "", StageSkipped(INPUT, OTHER)),
        (b'{"files": [0, [2]]}', BROKEN, Paused("code", PauseReason.CONFLICT, NOBODY)),
        (b'{"files": [0]}', "", StageSkipped(INPUT, NULL)),
        (b"", "", StageSkipped(INPUT, NULL)),
        (None, "", StageSkipped(INPUT, NULL)),
        (b'{"files": [0, "' + b"x" * 400 + b'"]}', "", StageSkipped(INPUT, LONG)),
        (BUSY, "", EffectErrored("CheckWhen code/2.0", 2, "busy", NOW + 8.0)),
        (WRONG, "", EffectErrored("CheckWhen code/2.0", 2, "c0 is not a commit", NOW + 8.0, True)),
    ],
)
def test_a_condition_decides_whether_a_stage_is_skipped(content: object, broken: str, event: Event) -> None:
    scene = Scene(read=content)
    assert scene.perform(CONTEXT, CheckWhen(INPUT, "input", 2, broken)) == [event]
    path = ".interlock/artifacts/plan/size.json"
    assert scene.calls == [("read", "input", path, {"max_bytes": 10_000_000})]


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000 + b"]" * 100_000], ids=["open", "deep"])
def test_a_condition_on_what_is_no_json_needs_a_person(content: bytes) -> None:
    [event] = Scene(read=content).perform(CONTEXT, CheckWhen(INPUT, "input", 1))
    assert isinstance(event, EffectErrored)
    assert event.why.startswith("when: plan/size is not JSON: ")
    assert (event.permanent, event.undone) == (True, False)


def test_a_stage_without_a_condition_is_never_skipped() -> None:
    scene, subject = Scene(), input_of("last", 1)
    assert scene.perform(CONTEXT, CheckWhen(subject, "input", 1)) == [WhenHeld(subject)]
    assert scene.calls == []


# --- judgement ----------------------------------------------------------------------------------


def test_a_gate_is_asked_with_all_that_it_may_need_and_all_it_says_is_kept() -> None:
    said = Judgement(
        VerdictStatus.FAILED, FAILED.findings, (Evidence("log", "d", 1),), "key", True, True, True, Usage(1), 7.0, True,
        tools="t",
    )  # fmt: skip
    scene = Scene(evaluate=said, removal_notes=("cannot remove x",))
    effect = EvaluateGate(
        ID, "code/test", 4, "commit", "tree", "input", "input tree", scene.blobs.put(b"baseline"),
        scene.blobs.put(b"on base"), True, ("a.bin",), UNDECIDED, (PASSED,), FAILED,
        Before("before", "tree before", "t", True), "t2",
    )  # fmt: skip
    assert scene.perform(CONTEXT, effect) == [
        VerdictGiven(
            subject=ID,
            gate="code/test",
            number=4,
            status=VerdictStatus.FAILED,
            findings=FAILED.findings,
            evidence=(Evidence("log", "d", 1),),
            tree="tree",
            digest="key",
            cached=True,
            flaky=True,
            retry_at=0.0,
            permanent=True,
            sandbox="bwrap",
            hard=True,
            usage=Usage(1),
            notes=("cannot remove x",),
            quota=False,
            tools="t",
        )
    ]
    [(_, case, cancel), *_] = scene.calls
    assert cancel is scene.cancel
    assert case.alone is scene.world.alone
    assert case == GateRequest(
        run="r1",
        subject=ID,
        stage=CODE,
        gate=TEST,
        pipeline=PIPELINE,
        commit="commit",
        tree="tree",
        input_commit="input",
        input_tree="input tree",
        base_commit="base",
        values={
            "TASK": "Mend it.",
            "INPUT_LEVEL": "3",
            "ARTIFACT_PLAN_SIZE": ".interlock/artifacts/plan/size.json",
            "ARTIFACT_PLAN_PLAN": ".interlock/artifacts/plan/plan.md",
        },
        baseline=b"baseline",
        on_base=b"on base",
        decided_on_input=True,
        conflicts=("a.bin",),
        undecided=UNDECIDED,
        sandbox="bwrap",
        number=4,
        hard_verdicts=(PASSED,),
        former=FAILED,
        before=Before("before", "tree before", "t", True),
        on_base_tools="t2",
        base_tree="base tree",
    )


def test_a_worker_says_that_it_judged_and_asks_no_command_where_the_level_is_not_in_force() -> None:
    effect = EvaluateGate(ID, "code/test", 1, "commit", "tree", "input", "input tree")
    scene = Scene(evaluate=Judgement(VerdictStatus.PASSED))
    scene.world = replace(scene.world, worker="7@worker")
    [event] = scene.perform(CONTEXT, effect)
    assert (event.worker, event.status) == ("7@worker", VerdictStatus.PASSED)
    scene.world = replace(scene.world, lacks=lambda level: f"no {level} here")
    [event] = scene.perform(CONTEXT, effect)
    assert (event.status, event.permanent) == (VerdictStatus.ERRORED, False)
    assert event.findings[0].message == "sandbox bwrap is not in force on 7@worker: no bwrap here"


UNSURE = Judgement(VerdictStatus.ERRORED, (Finding("infrastructure", "x"),))


@pytest.mark.parametrize(
    ("answer", "number", "retry_at", "permanent", "quota", "message"),
    [
        (BUSY, 1, NOW + 2.0, False, False, "busy"),
        (BUSY, 2, NOW + 8.0, False, False, "busy"),
        (GONE, 1, NOW + 2.0, True, False, "gone"),
        (OSError("a broken disk"), 1, NOW + 2.0, False, False, "a broken disk"),
        (WRONG, 1, NOW + 2.0, True, False, "c0 is not a commit"),
        (UnfitSetup("its setup fails", b""), 1, NOW + 2.0, True, False, "its setup fails"),
        (UNSURE, 1, NOW + 2.0, False, False, "x"),
        (replace(UNSURE, quota=True), 1, NOW + 32.0, False, True, "x"),
        (replace(UNSURE, quota=True, retry_at=NOW + 5), 1, NOW + 5, False, True, "x"),
    ],
)
def test_a_gate_that_could_not_decide_is_asked_again_later(
    answer: object, number: int, retry_at: float, permanent: bool, quota: bool, message: str
) -> None:
    effect = EvaluateGate(ID, "code/look", number, "commit", "tree", "input", "input tree")
    scene = Scene(evaluate=answer)
    assert scene.perform(CONTEXT, effect) == [
        VerdictGiven(
            ID, "code/look", number, VerdictStatus.ERRORED, (Finding("infrastructure", message),), tree="tree",
            retry_at=retry_at, permanent=permanent, sandbox="bwrap", hard=False, quota=quota,
        )
    ]  # fmt: skip
    case = scene.calls[0][1]
    assert (case.baseline, case.on_base, case.former, case.decided_on_input) == (None, None, None, False)


def test_a_rejection_says_who_rejected_and_where() -> None:
    soft = replace(FAILED, gate="code/look", hard=False)
    scene = Scene(patch=b"a patch with a-long-token in it")
    [event] = scene.perform(CONTEXT, RejectCandidate(ID, "commit", "tree", "input tree", (PASSED, FAILED, soft), 1))
    assert isinstance(event, CandidateRejected)
    verdicts = (PASSED, FAILED, soft)
    assert event == CandidateRejected(
        ID, "tree", event.feedback, fingerprint(verdicts), False, True, ("code/test", "code/look"), ("design",),
        ("a.py", "b.py"),
    )  # fmt: skip
    assert scene.calls == [("patch", "input tree", "tree")]
    assert b"a-long-token" not in b"".join(scene.blobs._contents.values())
    [event] = scene.perform(CONTEXT, RejectCandidate(ID, "commit", "tree", "tree", (PASSED, soft), 1))
    assert isinstance(event, CandidateRejected)
    assert (event.hard, event.empty, event.gates) == (False, True, ("code/look",))


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"discard": None}, "the owner stopped"),
        ({"discard": None, "removal_notes": ("x", "y")}, "the owner stopped; left behind: x; left behind: y"),
        ({"discard": OSError("busy"), "removal_notes": ("x",)}, "the owner stopped; left behind: busy"),
        ({"discard": WRONG}, "the owner stopped; left behind: c0 is not a commit"),
    ],
)
def test_a_lost_attempt_is_removed(answers: dict[str, Any], why: str) -> None:
    scene = Scene(**answers)
    assert scene.perform(CONTEXT, LoseAttempt(ID, "the owner stopped")) == [AttemptLost(ID, why)]
    assert scene.calls[0] == ("discard", "r1", ID)


# --- delivery -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("named", "branch"), [("", "fix/3/r1"), ("mine", "mine")])
def test_a_delivery_sends_what_was_accepted(named: str, branch: str) -> None:
    scene = Scene(send="sent", create_branch=None)
    assert scene.perform(CONTEXT, DeliverBranch("commit", ("c1", "c2"), 1, named)) == [
        DeliveryBegun(branch, "sent", "commit"),
        Delivered(branch, "sent", "commit"),
    ]
    stamp = Stamp("Mend it.\n\nInterlock-Run: r1\n", 10, "Ann <ann@example.org>")
    assert scene.calls == [
        ("send", "commit", "base", branch, stamp, ("c1", "c2"), {"sign": True}),
        ("create_branch", branch, "sent"),
    ]


@pytest.mark.parametrize(
    ("error", "permanent", "undone"),
    [
        (DeliveryRefused("it is checked out"), True, True),
        (WRONG, True, False),
        (OSError("a broken disk"), False, False),
    ],
)
def test_a_delivery_that_cannot_be_sent_has_not_begun(error: Exception, permanent: bool, undone: bool) -> None:
    scene = Scene(send=error)
    assert scene.perform(CONTEXT, DeliverBranch("commit", (), 1)) == [
        EffectErrored("DeliverBranch", 1, str(error), NOW + 2.0, permanent, undone)
    ]


def test_a_branch_whose_name_cannot_be_filled_in_needs_a_person() -> None:
    deliver = replace(DELIVER, branch="{{ nothing }}")
    context = replace(CONTEXT, pipeline=replace(PIPELINE, deliver=deliver, _by_id={}))
    [event] = Scene(send="sent").perform(context, DeliverBranch("commit", (), 1))
    assert isinstance(event, EffectErrored)
    assert event.permanent
    assert event.why


@pytest.mark.parametrize("error", [WRONG, OSError("a broken disk")])
def test_a_branch_that_could_not_be_created_is_told(error: Exception) -> None:
    [_, event] = Scene(send="sent", create_branch=error).perform(CONTEXT, DeliverBranch("commit", (), 1))
    assert event == EffectErrored("DeliverBranch", 1, str(error), NOW + 2.0, isinstance(error, UsageError))


BROKEN_JOURNAL = InfrastructureError("the journal cannot be read")


@pytest.mark.parametrize(
    "effect",
    [
        PrepareInput(INPUT, ("c",), 1),
        RejectCandidate(ID, "commit", "tree", "input tree", (FAILED,), 1),
        EvaluateGate(ID, "code/test", 1, "commit", "tree", "input", "input tree"),
        LoseAttempt(ID, "the owner stopped"),
        DeliverBranch("commit", (), 1),
    ],
)
def test_where_nobody_can_tell_who_owns_the_run_nothing_is_done_and_that_is_told(effect: Operation) -> None:
    def unreadable() -> bool:
        raise BROKEN_JOURNAL

    scene = Scene()
    scene.world = replace(scene.world, holds_fence=unreadable)
    [event] = scene.perform(CONTEXT, effect)
    assert "the journal cannot be read" in str(event)
    assert [call for call in scene.calls if call[0] != "removal_notes"] == []
