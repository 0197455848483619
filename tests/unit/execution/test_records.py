"""Documents that outlive a run, each compared as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.execution.recorder import Scene

from interlock.core.effects import AcceptHandoff, RejectCandidate
from interlock.core.events import (
    AttemptStarted,
    CandidateProduced,
    Evidence,
    Finding,
    HandoffAccepted,
    InputPrepared,
    RunStarted,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Gate, GateKind, Pipeline, Stage
from interlock.execution.context import Context
from interlock.execution.records import (
    candidate_message,
    delivery_message,
    feedback_document,
    handoff_record,
    shortened,
)

ID = AttemptId("code", 2, 3)
GATES = (
    Gate("test", GateKind.RUN, digest="digest of test"),
    Gate("look", "review", digest="digest of look"),
    Gate("hidden", GateKind.RUN, held_out="rounding"),
    Gate("bird", GateKind.RUN, canary="pytest"),
)
PIPELINE = Pipeline("mend", (Stage("code", gates=GATES, digest="digest of code"),), digest="digest of mend")
STARTED = RunStarted(
    "r1", "mend", "d", "Mend it.", "base", "base tree", ("code",), sandbox="bwrap", pipeline_text="its text"
)
CONTEXT = Context("r1", PIPELINE, STARTED, 10.0)
KEPT = (Evidence("log", "its log", 3), Evidence("report", "its report", 4))
PASSED = VerdictGiven(ID, "code/test", 1, VerdictStatus.PASSED, evidence=KEPT, tree="tree", digest="its key")
DOUBTED = VerdictGiven(ID, "code/look", 2, VerdictStatus.FAILED, tree="tree", by="bob", hard=False)
SENT = (Evidence("brief", "its brief", 5), Evidence("log", "what it said", 12))
HANDOFF = AcceptHandoff(
    ID, "commit", "tree", "input tree", (PASSED, DOUBTED), "", "", 1,
    AttemptStarted(ID, "coder", "a model", "input tree", sandbox="full"),
    CandidateProduced(ID, "commit", "tree", evidence=SENT),
    InputPrepared(AttemptId("code", 2, 0), "input", "input tree", ("plan commit",)),
    (HandoffAccepted(AttemptId("plan", 1, 1), "plan commit", "plan tree", "record of the plan"),),
)  # fmt: skip


def test_a_handoff_has_one_record() -> None:
    """The bytes are an interface: others verify the handoff with them."""
    record = handoff_record(CONTEXT, HANDOFF, "delivered tree")
    golden = Path(__file__).parent / "golden" / "handoff.json"
    assert json.loads(record) == json.loads(golden.read_text())
    assert record == json.dumps(json.loads(record), sort_keys=True, separators=(",", ":")).encode()


def test_the_record_names_other_machines_and_the_sandbox_that_was_in_force_there() -> None:
    made, verdict = replace(HANDOFF.candidate, worker="7@one", sandbox="fs"), replace(PASSED, worker="9@two")
    record = json.loads(handoff_record(CONTEXT, replace(HANDOFF, candidate=made, verdicts=(verdict,))))
    said = record["predicate"]["interlock"]
    assert (said["attempt"]["worker"], said["attempt"]["sandbox"]) == ("7@one", "fs")
    assert said["verdicts"][0]["worker"] == "9@two"


@pytest.mark.parametrize(
    ("override_by", "by", "result"), [("ann", "", "FAILED"), ("", "ann", "PASSED"), ("ann", "bob", "FAILED")]
)
def test_the_record_says_which_person_accepted(override_by: str, by: str, result: str) -> None:
    record = json.loads(handoff_record(CONTEXT, replace(HANDOFF, override_by=override_by, by=by)))["predicate"]
    said = record["interlock"]["override_by"], record["interlock"]["accepted_by"], record["verificationResult"]
    assert said == (override_by, by, result)


@pytest.mark.parametrize(
    "changed",
    [
        replace(HANDOFF, commit="other"),
        replace(HANDOFF, started=replace(HANDOFF.started, model="another")),
        replace(HANDOFF, candidate=replace(HANDOFF.candidate, claim="Done.")),
        replace(HANDOFF, prepared=replace(HANDOFF.prepared, sources=("other",))),
        replace(HANDOFF, inputs=()),
        replace(HANDOFF, inputs=(replace(HANDOFF.inputs[0], record="another"),)),
        replace(HANDOFF, verdicts=(DOUBTED, PASSED)),
        replace(HANDOFF, verdicts=(replace(PASSED, notes=("so",)), DOUBTED)),
        replace(HANDOFF, verdicts=(PASSED, replace(DOUBTED, findings=(Finding("E1", "no"),)))),
    ],
)
def test_nothing_that_it_hangs_on_can_change_without_another_record(changed: AcceptHandoff) -> None:
    assert handoff_record(CONTEXT, changed) != handoff_record(CONTEXT, HANDOFF)


@pytest.mark.parametrize("changed", [{"task": "Break it."}, {"by": "bob"}, {"pipeline_text": "other"}])
def test_nor_can_the_run_that_it_is_of(changed: dict[str, str]) -> None:
    context = replace(CONTEXT, started=replace(STARTED, **changed))
    assert handoff_record(context, HANDOFF) != handoff_record(CONTEXT, HANDOFF)


def feedback(*verdicts: VerdictGiven, scene: Scene | None = None, red_before: tuple[str, ...] = ()) -> Any:
    effect = RejectCandidate(ID, "commit", "tree", "input tree", verdicts, 1, red_before)
    return json.loads(feedback_document((scene or Scene()).world, CONTEXT, effect, "its patch"))


def test_feedback_has_findings_and_the_end_of_the_output_and_of_what_is_hidden_a_count() -> None:
    scene = Scene()
    long = scene.blobs.put(b"cut" + b"\xff" + b"x" * 3_999)
    short = scene.blobs.put(b"it failed")
    log, other = (Evidence("log", long, 4_003),), (Evidence("log", short, 9),)
    wrong = Finding("E1", "a.py:3: it is wrong", file="a.py", line=3)
    secret = Finding("E2", "what is hidden", file="hidden.py", line=9, secret=True)
    verdicts = (
        VerdictGiven(ID, "code/test", 1, VerdictStatus.FAILED, (wrong,), log),
        VerdictGiven(ID, "code/look", 1, VerdictStatus.PASSED, (Finding("E3", "a note"),), other),
        VerdictGiven(ID, "code/hidden", 1, VerdictStatus.FAILED, (secret,), other),
        VerdictGiven(ID, "code/bird", 1, VerdictStatus.FAILED, (Finding("E4", "it did not fail"),), other),
    )
    assert feedback(*verdicts, scene=scene, red_before=("code/test", "code/hidden", "code/look")) == {
        "attempt": "code/2.3",
        "findings": [
            {"gate": "code/test", "file": "a.py", "line": 3, "message": "it is wrong"},
            {"gate": "", "file": "", "line": 0, "message": "1 held-out check failed"},
            {"gate": "code/bird", "file": "", "line": 0, "message": "it did not fail"},
            {"gate": "code/test", "file": "", "line": 0, "message": "it failed before your change as well"},
            {"gate": "", "file": "", "line": 0, "message": "what is held out failed before your change as well"},
        ],
        "output": {"code/test": "�" + "x" * 3_999},
        "patch": "its patch",
    }


def test_feedback_of_a_gate_without_a_log_has_no_output() -> None:
    said = feedback(VerdictGiven(ID, "code/test", 1, VerdictStatus.FAILED, (Finding("E1", "no"),)))
    assert (said["output"], len(said["findings"])) == ({}, 1)


@pytest.mark.parametrize(
    ("line", "short"),
    [
        ("x" * 72, "x" * 72),
        ("x" * 73, "x" * 69 + "..."),
        ("a " + "x" * 72, "a..."),
        ("x" * 68 + " y" + "z" * 9, "x" * 68 + "..."),
    ],
)
def test_a_subject_is_cut_between_words(line: str, short: str) -> None:
    assert shortened(line) == short


LONG = "Mend " + "x" * 80


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("  Mend it.  ", "Mend it.\n\nInterlock-Run: r1\n"),
        ("Mend it.\n\nAll of it.\n", "Mend it.\n\nAll of it.\n\nInterlock-Run: r1\n"),
        (LONG, f"Mend...\n\n{LONG}\n\nInterlock-Run: r1\n"),
        (f"{LONG}\nmore", f"Mend...\n\n{LONG}\nmore\n\nInterlock-Run: r1\n"),
        ("", "interlock: mend\n\nInterlock-Run: r1\n"),
    ],
)
def test_a_delivery_says_the_task(task: str, message: str) -> None:
    assert delivery_message(replace(CONTEXT, started=replace(STARTED, task=task))) == message


def test_messages_are_bounded() -> None:
    long = delivery_message(replace(CONTEXT, started=replace(STARTED, task="x " * 9_000)))
    assert 4_000 < len(long) < 4_300
    name = candidate_message(CONTEXT, ID, "ann " * 99)
    assert name.split("\n")[0] == "interlock: code/2.3 by ann ann ann ann ann ann ann ann ann ann ann..."
    assert len(name) < 320
