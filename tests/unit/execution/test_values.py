"""What commands see of a run, and when something is tried again."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from interlock.core.codec import array_reader, array_writer
from interlock.core.events import RunStarted
from interlock.core.ids import AttemptId
from interlock.core.limits import WAIT_MAX_S
from interlock.core.pipeline import AgentSpec, Artifact, CommandLine, Pipeline, Setup, Stage
from interlock.execution.context import Context, ContextReference, context_of, refer
from interlock.execution.documents import artifact_path, attempt_name, gate_values, pointed_at, worker_environment
from interlock.journal import MemoryBlobs
from interlock.ports import Checkout, CheckoutSpec, InfrastructureError

PLAN = Stage("plan-1", produces=(Artifact("size", "size.json"), Artifact("the-plan", "plan.md")))
CODE = Stage("code", ("plan-1",), produces=(Artifact("notes", "notes.md"),), env=("A",), secrets=("B",))
SETUP = (Setup(CommandLine(("make",))),)
PIPELINE = Pipeline("p", (PLAN, CODE, Stage("other", produces=(Artifact("x", "x"),))), setup=SETUP, carry=(".env",))
STARTED = RunStarted("r1", "p", "d", "Mend it.", "base", "tree", (), (("log-level2", "3"),))
CONTEXT = Context("r1", PIPELINE, STARTED, 0.0, {"A": "a", "B": "b", "C": "c", "D": "d", "E": "e"}, 3.0)
FOLDER = ".interlock/artifacts"


def test_artifacts_have_paths() -> None:
    assert artifact_path(PIPELINE, "plan-1/the-plan") == f"{FOLDER}/plan-1/plan.md"
    for name in ("plan-1/none", "none/size"):
        with pytest.raises(KeyError):
            artifact_path(PIPELINE, name)


DOCUMENT = {"a": {"b/c": 1, "d~e": 2, "": 3, "~1": 4}, "list": [5, [6]], "0": 7}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT), ("/a/b~1c", 1), ("/a/d~0e", 2), ("/a/", 3), ("/a/~01", 4), ("/list/0", 5), ("/list/1/0", 6),
        ("/0", 7), ("/list/2", None), ("/list/-1", None), ("/list/x", None), ("/none", None), ("/none/a", None),
        ("/0/a", None), ("/list/1/1", None),
    ],
)  # fmt: skip
def test_a_pointer_leads_to_a_value_or_nowhere(pointer: str, value: object) -> None:
    assert pointed_at(DOCUMENT, pointer) == value


def test_gates_and_workers_see_the_same_values_and_workers_see_more() -> None:
    files = {
        "ARTIFACT_PLAN_1_SIZE": f"{FOLDER}/plan-1/size.json",
        "ARTIFACT_PLAN_1_THE_PLAN": f"{FOLDER}/plan-1/plan.md",
        "ARTIFACT_CODE_NOTES": f"{FOLDER}/code/notes.md",
    }
    common = {"TASK": "Mend it.", "INPUT_LOG_LEVEL2": "3"}
    assert gate_values(CONTEXT, CODE) == {**common, **files}
    root = Path("/p")
    checkout = Checkout(root, root / "tree", root / "home", root / "tmp")
    seen = worker_environment(CONTEXT, CODE, AgentSpec("coder", "command", env=("C",), secrets=("D",)), checkout)
    wanted = {
        **common,
        **{name: f"/p/tree/{path}" for name, path in files.items()},
        "ARTIFACTS": f"/p/tree/{FOLDER}/code",
        "INTERLOCK_RUN": "r1",
        **{"A": "a", "B": "b", "C": "c", "D": "d", "HOME": "/p/home", "TMPDIR": "/p/tmp"},
    }
    assert {name: seen.get(name) for name in (*wanted, "E")} == {**wanted, "E": None}


def test_an_attempt_has_a_name_and_a_ref_in_its_run() -> None:
    attempt = AttemptId("code", 2, 3)
    assert attempt_name("r1", attempt) == "r1/code/2.3"
    assert CONTEXT.ref(attempt) == "refs/interlock/r1/code/2.3"
    assert CONTEXT.checkout_spec == CheckoutSpec(SETUP, (".env",), base="base")


@pytest.mark.parametrize(
    ("tries", "named", "quota", "wait"),
    [
        (0, 0.0, False, 3.0), (1, 0.0, False, 12.0), (2, 0.0, False, 48.0), (3, 0.0, False, 60.0),
        (99, 0.0, False, 60.0),
        (0, 0.0, True, 48.0), (1, 0.0, True, 192.0), (2, 0.0, True, 768.0), (3, 0.0, True, 1_800.0),
        (99, 0.0, True, 1_800.0),
        (0, 100.0, False, 3.0), (0, 101.0, False, 1.0), (3, 5_000.0, True, 4_900.0),
        (0, 100.0 + WAIT_MAX_S + 1, True, WAIT_MAX_S),
    ],
)  # fmt: skip
def test_waits_grow_and_end(tries: int, named: float, quota: bool, wait: float) -> None:
    assert CONTEXT.retry_at(100.0, tries, named, quota=quota) == 100.0 + wait


def test_small_waits_grow_for_as_long_as_six_tries() -> None:
    context = Context("r1", PIPELINE, STARTED, 0.0, {}, 0.001)
    assert context.retry_at(0.0, 7) == context.retry_at(0.0, 6) == pytest.approx(4.096)
    assert context.retry_at(0.0, 5, quota=True) == context.retry_at(0.0, 4, quota=True) == pytest.approx(4.096)


def test_a_context_is_given_to_another_machine_by_reference_and_has_the_environment_of_that_one() -> None:
    blobs, context = MemoryBlobs(), replace(CONTEXT, sandbox="fs")
    text = json.dumps(array_writer(ContextReference)(refer(context, blobs)))
    assert "Mend it." not in text
    reference = array_reader(ContextReference)(json.loads(text))
    assert context_of(reference, blobs, {"A": "theirs"}) == replace(context, environ={"A": "theirs"})
    assert refer(context, blobs) == reference
    with pytest.raises(InfrastructureError, match="is missing"):
        context_of(reference, MemoryBlobs(), {})
    row: list[object] = ["r1", "p", "d", "t", "c", "t", [], [], "", "none"]
    row += [""] * (len(fields(RunStarted)) - len(row))
    newer = blobs.put(json.dumps([*row, "what a newer one added"]).encode())
    with pytest.raises(InfrastructureError, match="upgrade Interlock"):
        context_of(replace(reference, started=newer), blobs, {})
