"""Parts of a brief that a usual run does not have: merges in conflict, large schemas, records of earlier versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.execution.recorder import Scene

from interlock.core.conflicts import Side, SideChange, Undecided
from interlock.core.effects import StartAttempt
from interlock.core.events import Finding, RunStarted
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, Artifact, Input, Pipeline, Scope, Stage, Text
from interlock.execution.brief import compose, preview
from interlock.execution.briefing.inputs import accepted, conflicts, documents
from interlock.execution.briefing.rejections import Comment, Found, Rejection, read, tried, wrong
from interlock.execution.context import Context
from interlock.journal import MemoryBlobs
from interlock.pipelinefile import render
from interlock.ports import Change, Checkout

STAGE = Stage("code", dir="web", scope=Scope(protect=("tests/**", "*.lock"), authors=("tests/mine/**",)))
SIDES = (("plan", "c1"), ("docs", "c2"), ("data", "c3"))
BINARY = Undecided(
    "web/a.png", "binary", (Side("plan", "c1", SideChange.CHANGED), Side("docs", "c2", SideChange.DELETED)), "theirs"
)
MARKED = Undecided("web/b.py", "modify/rename", (Side("data", "c3", SideChange.ADDED),), "both", marked=True)
PATHS = ("web/a.png", "web/b.py", "web/c.py", "tests/test_a.py", "x.lock", "tests/mine/test_b.py")
BROKEN = (
    Finding("E1", "web/c.py:3: it is wrong", file="web/c.py", line=3),
    Finding("E2", "no", file="d.py"),
    Finding("E3", "none"),
)
MERGE = (Path(__file__).parent / "golden" / "merge.md").read_text().rstrip("\n")
CHECKS = """\
The merged files fail checks, before any work of yours:
- c.py:3: it is wrong
- ../d.py: no
- none"""


def started(**fields: object) -> StartAttempt:
    return StartAttempt(AttemptId("code", 1, 1), "coder", "c", "t", **fields)  # type: ignore[arg-type]


def test_a_merge_in_conflict_is_told_whole() -> None:
    undecided = (BINARY, MARKED)
    merge = started(conflicts=PATHS, undecided=undecided, sides=SIDES)
    assert conflicts(STAGE, merge) == MERGE
    assert conflicts(STAGE, replace(merge, broken=BROKEN)) == f"{MERGE}\n\n{CHECKS}"
    assert conflicts(STAGE, started(broken=BROKEN)) == CHECKS
    assert conflicts(STAGE, started()) == ""


def test_of_a_merge_only_what_there_is_is_told() -> None:
    begin = "You start from a merge, which are in conflict."
    assert conflicts(STAGE, started(conflicts=("web/c.py",))) == (
        f"{begin}\n\nMerging left markers in these files. Merge both sides and remove the markers:\n- c.py"
    )
    bare = conflicts(STAGE, started(conflicts=("web/a.png",), undecided=(BINARY,), sides=SIDES[:1]))
    assert "Merging left markers" not in bare
    assert bare.startswith(f"{begin}\n\nThese paths have no markers")
    assert bare.endswith("`git diff -M from/plan from/plan` shows what was moved elsewhere.")


LARGE = json.dumps({"description": "x" * 3_000})


@pytest.mark.parametrize(
    ("artifact", "said"),
    [
        (Artifact("a", "a.md"), "."),
        (Artifact("a", "a.md", max_bytes=9_000_000), ", of at most 9,000,000 bytes."),
        (Artifact("a", "a.md", Text(LARGE)), ". It must fit the JSON Schema of the pipeline."),
        (Artifact("a", "a.md", Text(LARGE, "web/s.json")), ". It must fit the JSON Schema in `s.json`."),
        (Artifact("a", "a.md", Text(" {é ")), ". It must fit this JSON Schema:\n```json\n{é\n```"),
        (Artifact("a", "a.md", Text('{"a":  "é"}')), '. It must fit this JSON Schema:\n```json\n{"a": "é"}\n```'),
    ],
)
def test_a_document_is_asked_for(artifact: Artifact, said: str) -> None:
    stage = replace(STAGE, produces=(artifact, Artifact("b", "b.md")))
    assert documents(stage) == (
        f"Write `../.interlock/artifacts/code/a.md` (`$ARTIFACTS/a.md`){said}\n\n"
        "Write `../.interlock/artifacts/code/b.md` (`$ARTIFACTS/b.md`)."
    )


def test_what_is_there_is_named_with_what_became_of_it() -> None:
    plan = Stage("plan", produces=(Artifact("other", "other.md"), Artifact("plan", "plan.md")))
    changed = [
        Change("web/new.py", "A", "000000", "100644"), Change("gone.py", "D", "100644", "000000"),
        Change("web/" + "x" * 400, "M", "100644", "100644"), Change(".interlock/artifacts/plan/plan.md", "A", "0", "1"),
    ]  # fmt: skip
    text = accepted(Pipeline("p", (plan, STAGE)), STAGE, ["plan/plan"], changed)
    assert text.startswith(
        "- plan/plan: `../.interlock/artifacts/plan/plan.md`\n\n"
        "Changed so far:\n- `new.py` (new)\n- `../gone.py` (deleted)\n- `xxx"
    )
    assert 300 < len(text.splitlines()[-1]) < 400
    assert accepted(Pipeline("p", (plan, STAGE)), STAGE, [], changed[-1:]) == ""


def test_before_a_run_the_prompt_has_all_its_values() -> None:
    prompt = "{{ task }} {{ inputs.a }} {{ inputs.b }} {{ run.id }} {{ stage.id }} {{ artifacts['plan/plan'] }}"
    rest = "{{ feedback }}{{ wrong }}{{ conflicts }}{{ tried }}{{ instructions }}{{ continued }}{{ resumed }}"
    plan = Stage("plan", produces=(Artifact("plan", "plan.md"),))
    code = Stage("code", ("plan",), prompt=Text(prompt), brief=Text("{{ prompt }} " + rest))
    pipeline = Pipeline("p", (plan, code), inputs=(Input("a"), Input("b", default="3")))
    assert preview(render, pipeline, code) == (
        "[the task] [the input a] 3 [the run] code [the content of plan.md, as plan will have written it] FalseFalse\n"
    )


def test_feedback_of_earlier_versions_is_read() -> None:
    blobs, digest = MemoryBlobs(), "d" * 64
    said = [
        {"by": "ann", "comment": "Smaller."},
        {"attempt": "code/1.1", "findings": ["code/test: no: x", {"gate": "g", "message": "m", "file": "f", "line": 2}],
         "output": {"code/test": "it failed"}, "patch": f"/blobs/{digest[:2]}/{digest[2:]}"},
    ]  # fmt: skip
    assert read(blobs, [blobs.put(json.dumps(one).encode()) for one in said]) == (
        Comment("ann", "Smaller."),
        Rejection(
            "code/1.1", (Found("code/test", "no: x"), Found("g", "m", "f", 2)), {"code/test": "it failed"}, digest
        ),
    )


def test_the_output_of_three_gates_is_shown() -> None:
    output = {f"code/g{number}": f"output {number}" for number in range(4)}
    text = wrong(STAGE, [Comment("ann", "Smaller."), Rejection("code/1.1", (Found("code/g0", "no"),), output)])
    shown = "".join(f"\n\nEnd of the output of g{number}:\n```\noutput {number}\n```" for number in range(3))
    assert text == f"ann says:\nSmaller.\n\ncode/1.1 was rejected:\n- g0: no{shown}"


def test_the_newest_patch_that_changes_something_is_shown() -> None:
    blobs = MemoryBlobs()
    index = f"index {'0' * 40}..{'1' * 40} 100644\n"
    first, empty = blobs.put(f"--- a\n{index}+++ b\n".encode()), blobs.put(b"\n")
    said = [Rejection("code/1.1", (), {}, first), Rejection("code/1.2", (), {}, empty), Rejection("code/1.3", ())]
    head = "The patch of code/1.1, which was rejected. It is not in the files."
    assert tried(Stage("code"), said, blobs) == (f"{head}\n\n```diff\n--- a\n+++ b\n```", "", b"")
    assert tried(STAGE, said[1:], blobs) == ("", "", b"")


def test_only_findings_of_whole_files_are_named_together() -> None:
    found = (
        Found("code/lint", "E1", "web/a.py", 1), Found("code/lint", "E1", "web/b.py", 2), Found("code/lint", "E2"),
        Found("code/lint", "E2"),
        Found("code/lint", "E3\nmore", "web/a.py"), Found("code/lint", "E3\nmore", "web/b.py"),
        Found("code/lint", "E4", "web/b.py"), Found("code/look", "E4", "web/b.py"),
        Found("code/lint", "E4", "web/a.py"),
    )  # fmt: skip
    assert wrong(STAGE, [Rejection("code/1.1", found)]).split("\n- ") == [
        "code/1.1 was rejected:", "lint: a.py:1: E1", "lint: b.py:2: E1", "lint: E2", "lint: E2",
        "lint: a.py: E3\n  more", "lint: b.py: E3\n  more", "lint: E4 (2 files): a.py, b.py", "look: b.py: E4",
    ]  # fmt: skip


VALUES = "{{ task }} {{ inputs.a }} {{ run.id }} {{ stage.id }} {{ artifacts['plan/plan'] }} {{ accepted }}"


def test_documents_and_changes_are_read_from_the_input() -> None:
    scene = Scene(read=[b"\xff" + b"x" * 200_000, None], changes=(Change("web/new.py", "A", "000000", "100644"),))
    plan = Stage("plan", produces=(Artifact("plan", "plan.md", max_bytes=300_000), Artifact("none", "none.md")))
    code = Stage("code", ("plan",), "coder", brief=Text(VALUES), instructions=())
    started = RunStarted("r1", "p", "d", "t", "base", "base tree", (), (("a", "3"),))
    context = Context("r1", Pipeline("p", (plan, code), (AgentSpec("coder", "command"),)), started, 0.0)
    effect = StartAttempt(AttemptId("code", 1, 1), "coder", "input", "input tree")
    place = Checkout(Path("/p"), Path("/p/tree"), Path("/p/home"), Path("/p/tmp"))
    assert compose(scene.world, context, effect, place) == (
        f"t 3 r1 code �{'x' * 199_999} - plan/plan: `.interlock/artifacts/plan/plan.md`\n\n"
        "Changed so far:\n- `web/new.py` (new)\n"
    )
    folder = ".interlock/artifacts/plan"
    assert scene.calls == [
        ("read", "input", f"{folder}/plan.md", {"max_bytes": 300_000}),
        ("read", "input", f"{folder}/none.md", {"max_bytes": 10_000_000}),
        ("changes", "base", "input"),
    ]
