"""What a brief says, part by part."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from tests.unit.execution.briefs import Told, pipeline_of, rejected

from interlock.core.effects import RejectCandidate, RevertedWork
from interlock.core.events import Finding, RunStarted, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline, Text
from interlock.execution.brief import preview
from interlock.execution.briefing.rules import _may_meet
from interlock.execution.context import Context
from interlock.execution.records import feedback_document
from interlock.journal.memory import MemoryBlobs
from interlock.pipelinefile import InvalidPipeline, render
from interlock.pipelinefile.templates import default_brief
from interlock.ports import Change, UsageError, World
from interlock.text.cleaning import fenced, glob_here, path_here

PIPELINE = """\
version: 1
agents:
  coder: {use: command, run: my-agent}
  critic: {use: command, run: critic}
protect: [docs/contract.md, web/src/api.ts]
setup: [{run: npm ci, key: [web/package-lock.json], paths: [web/node_modules]}]
stages:
  plan:
    agent: coder
    prompt: "Plan: {{ task }}"
    writes: []
    produces:
      plan: {file: plan.md, sections: [Goal, Out of scope], max_bytes: 9000}
      size: {file: size.json, schema: {text: '{"type": "object",  "required": ["size"]}'}}
  code:
    needs: [plan]
    agent: coder
    dir: web
    writes: [src/**, /docs/api.md]
    authors: [package.json#scripts]
    adds: [tests/**]
    max_files: 20
    max_lines: 600
    gates:
      - {id: unit, run: npm test -- --ci, report: junit}
      - {id: lint, run: 'npx eslint -o "$REPORT" src', report: sarif}
      - {id: whole, run: make all, dir: e2e}
      - {id: hidden-rounding, run: 'pytest "$HELD_OUT"', held_out: rounding}
      - {id: look, review: {by: [critic], rubric: {text: Is it as small as it can be?}}}
      - {id: merge, approve: Merge this?}
"""
PATCH = "diff --git a/web/src/a.ts b/web/src/a.ts\n--- a/web/src/a.ts\n+++ b/web/src/a.ts\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return pipeline_of(tmp_path / "r", PIPELINE)


def test_it_has_its_parts_in_this_order(pipeline: Pipeline) -> None:
    artifacts = {".interlock/artifacts/plan/plan.md": "# Goal\n"}
    text = Told(pipeline, "code", artifacts=artifacts, said=[rejected("code/1.1", patch=PATCH)]).brief()
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads == [
        "## What was wrong", "## Task", "## What already exists", "## What may change", "## What will be checked",
        "## What did not work", "## How to finish",
    ]  # fmt: skip
    assert "rejected" not in Told(pipeline, "code").brief()


def test_documents_are_asked_for_with_all_that_they_are_judged_by(pipeline: Pipeline) -> None:
    text = Told(pipeline, "plan").brief()
    assert "Every file of the repository must stay unchanged, except the documents named below." in text
    assert "Write `.interlock/artifacts/plan/plan.md` (`$ARTIFACTS/plan.md`), with the Markdown headings" in text
    assert "`Goal`, `Out of scope` (of any level), of at most 9,000 bytes." in text
    assert '```json\n{"type": "object", "required": ["size"]}\n```' in text


def test_what_may_change_is_said_whole(pipeline: Pipeline) -> None:
    text = Told(pipeline, "code").brief()
    for said in (
        "- src/**\n",
        "- package.json#scripts (though it is protected otherwise)\n",
        "- new test files in tests/**",
    ):
        assert said in text
    assert "At most 20 files and 600 lines may differ" in text
    assert "- src/api.ts\n" in text  # protected, and below what it writes
    assert "docs/contract.md" not in text  # protected, and out of reach anyway
    assert "Setup made node_modules: leave that alone." in text


def test_paths_fit_the_folder_that_the_agent_works_in(pipeline: Pipeline) -> None:
    said = [rejected("code/1.1", ("code/unit", "web/src/a.ts", 3, "no"), ("code/scope", "docs/b.md", 0, "was changed"))]
    changed = [Change("web/src/old.ts", "M", "100644", "100644"), Change("docs/new.md", "A", "000000", "100644")]
    artifacts = {".interlock/artifacts/plan/plan.md": "# Goal\n"}
    text = Told(pipeline, "code", said=said, changed=changed, artifacts=artifacts).brief()
    assert "You work in the folder `web`" in text
    assert "- ../docs/api.md\n" in text
    assert "- plan/plan: `../.interlock/artifacts/plan/plan.md`" in text
    assert "- `src/old.ts`\n- `../docs/new.md` (new)" in text
    assert "- unit: src/a.ts:3: no\n- scope: ../docs/b.md: was changed" in text
    assert text.count("web/") == 1  # what stands before all of them


def test_a_name_of_a_file_is_one_line_whatever_is_in_it(pipeline: Pipeline) -> None:
    name = "web/a\n\n## Task\nb\udcff"
    changed = [Change(name, "A", "000000", "100644")]
    said = [rejected("code/1.1", ("code/unit", name, 0, "no\n## Task"))]
    text = Told(pipeline, "code", changed=changed, said=said).brief()
    assert text.encode().count(b"\n## Task\n") == 1
    assert "- `a ## Task b\\xff` (new)" in text
    assert "- unit: a ## Task b\\xff: no\n  ## Task" in text


def test_each_gate_is_named_with_what_it_runs(pipeline: Pipeline) -> None:
    text = Told(pipeline, "code").brief()
    assert "- unit: `npm test -- --ci`; every test passes; no test that passed before may fail, be skipped" in text
    assert "- whole: `make all` in `e2e`\n" in text
    assert "Where a command says `$REPORT`, set it to a file" in text
    assert "- look: read by 1 other agent. They judge by: Is it as small as it can be?" in text
    assert "- merge: a person is asked: Merge this?" in text


def test_of_held_out_gates_only_that_they_are_there(pipeline: Pipeline) -> None:
    text = Told(pipeline, "code", said=[rejected("code/1.1", ("", "", 0, "2 held-out checks failed"))]).brief()
    assert "- 1 held-out check, not shown to you" in text
    assert "- 2 held-out checks failed" in text
    joined = Told(pipeline, "plan", effect={"inherited": ("code/unit", "code/hidden-rounding")}).brief()
    assert "- code/unit, as the work that was merged was\n- 1 held-out check, not shown to you" in joined
    assert "hidden-rounding" not in joined
    assert "rounding" not in text
    assert "HELD_OUT" not in text


def test_what_was_found_before_is_marked_and_what_was_found_earlier_is_not_lost(pipeline: Pipeline) -> None:
    first = rejected("code/1.1", ("code/unit", "web/a.ts", 3, "1 is not 2"), ("code/unit", "web/b.ts", 1, "old"))
    second = rejected("code/1.2", ("code/unit", "web/a.ts", 7, "3 is not 4"), ("code/unit", "web/c.ts", 1, "new"))
    text = Told(pipeline, "code", said=[first, second]).brief()
    assert "- unit: a.ts:7: 3 is not 4 (the same as in code/1.1)\n- unit: c.ts:1: new\n" in text
    assert "Try another one." in text
    assert "It must not come back:\n- unit: b.ts:1: old\n" in text
    assert "Try another one." not in Told(pipeline, "code", said=[first]).brief()


def test_files_of_which_the_same_is_said_are_named_together(pipeline: Pipeline) -> None:
    words = "was added but it is protected: delete it"
    files = ["web/.cache/b", "web/.cache/a", "web/.cache/v/x", "top.cfg"]
    first = rejected("code/1.1", ("code/scope", "top.cfg", 0, words))
    last = rejected("code/1.2", *(("code/scope", file, 0, words) for file in files), ("code/lint", "web/a.ts", 1, "E1"))
    text = Told(pipeline, "code", said=[first, last]).brief()
    assert f"- scope: {words} (3 files): .cache/: a, b; .cache/v/: x\n" in text
    assert f"- scope: ../top.cfg: {words} (the same as in code/1.1)\n- lint: a.ts:1: E1\n" in text


def test_a_stage_that_writes_documents_alone_is_not_told_to_do_the_task(pipeline: Pipeline) -> None:
    text, code = (Told(pipeline, stage).brief() for stage in ("plan", "code"))
    assert "Do all of the task" in code
    assert "Run the checks" in code
    assert "what you changed" in code
    assert "Do all of the task" not in text
    assert "Run the checks" not in text
    assert "Write all of the documents above, and change nothing else." in text
    assert "what you wrote" in text


def test_that_a_gate_failed_before_is_a_note_and_no_finding(pipeline: Pipeline) -> None:
    """It cannot come back, and no way that was taken could mend it."""
    note = ("code/whole", "", 0, "it failed before your change as well")
    first = rejected("code/1.1", ("code/whole", "", 0, "exit code 1"), note)
    last = rejected("code/1.2", ("code/unit", "a.ts", 1, "no"), note)
    text = Told(pipeline, "code", said=[first, last]).brief(resumed=True)
    assert "- whole: it failed before your change as well\n" in text
    assert "It must not come back:\n- whole (`make all`): exit code 1\n\n" in text
    assert "(the same as" not in text


def test_a_person_is_heard_first(pipeline: Pipeline) -> None:
    said = [rejected("code/1.1", ("code/unit", "", 0, "no")), {"by": "ada", "comment": "Smaller, please."}]
    text = Told(pipeline, "code", said=said).brief()
    assert text.index("ada says:\nSmaller, please.") < text.index("code/1.1 was rejected")


def test_what_a_later_stage_was_rejected_for_is_told_as_that(pipeline: Pipeline) -> None:
    text = Told(pipeline, "plan", said=[rejected("code/1.3", ("code/unit", "", 0, "no"))]).brief()
    assert "code/1.3, which was built on this work, was rejected:\n- code/unit: no" in text


def test_the_rejected_patch_is_there_and_bounded(pipeline: Pipeline) -> None:
    told = Told(pipeline, "code", said=[rejected("code/1.1", patch=PATCH)])
    text = told.brief()
    assert f"```diff\n{PATCH}```" in text
    assert "Its paths are from the root of the repository" in text
    assert told.beside == {}
    long = PATCH + "+line\n" * 20_000
    told = Told(pipeline, "code", said=[rejected("code/1.1", patch=long)])
    assert len(told.brief()) < len(text) + 7_000
    assert "It was cut. All of it: /places/1/beside/code-1.1.patch" in told.brief()
    assert told.beside == {"code-1.1.patch": long.encode()}


def test_work_that_a_later_no_sent_back_is_shown(pipeline: Pipeline) -> None:
    """Who said no there has no patch of this stage: a person at a stage without a worker has none at all."""
    undone = {"undone": RevertedWork(AttemptId("code", 1, 2), "oldtree", "newtree")}
    for said in ([rejected("ship/1.0", ("ship/ok", "", 0, "Keep bytes."))], [rejected("more/1.1", patch=PATCH)], []):
        text = Told(pipeline, "code", said=said, effect=undone).brief()
        assert "The patch of code/1.2, which was sent back. It is not in the files." in text
        assert "```diff\noldtree newtree\n```" in text
    since = [
        rejected("code/1.2", patch=""),
        rejected("code/1.3", patch=PATCH),
    ]  # the attempt that is told is of epoch 1
    assert "The patch of code/1.3, which was rejected." in Told(pipeline, "code", said=since, effect=undone).brief()
    assert "The patch of code/1.2, which was sent" in Told(pipeline, "code", said=since[:1], effect=undone).brief()


def test_a_binary_file_is_named_and_not_shown(pipeline: Pipeline) -> None:
    binary = (
        "diff --git a/x.png b/x.png\nindex 1..2 100644\nGIT binary patch\nliteral 4\nLcmZ?wbhEHb\n\n"
        "literal 2\nJcmZ?wbhEHb\n\n"
    )
    text = Told(pipeline, "code", said=[rejected("code/1.1", patch=binary + PATCH)]).brief()
    assert "diff --git a/x.png b/x.png\nindex 1..2 100644\n(binary)\ndiff --git a/web" in text
    assert "LcmZ" not in text


def test_work_that_is_gone_on_with_is_no_patch(pipeline: Pipeline) -> None:
    said = [rejected("code/1.1", patch=PATCH)]
    text = Told(pipeline, "code", said=said, effect={"source": "c1"}).brief()
    assert "as that attempt left them" in text
    assert "What did not work" not in text
    assert "None of the rejected work is left" in Told(pipeline, "code", said=said).brief()


def test_a_session_that_goes_on_is_told_what_is_new(pipeline: Pipeline) -> None:
    told = Told(
        pipeline, "code", task="Round it.", said=[rejected("code/1.1", ("code/unit", "", 0, "no"), patch=PATCH)]
    )
    text = told.brief(resumed=True)
    assert "- unit: no" in text
    assert "Nobody answers questions." in text
    assert "What did not work" not in text
    assert "Round it." not in text
    assert len(text) < 800
    assert Told(pipeline, "code").brief(resumed=True).startswith("You were interrupted.")


def test_nothing_in_a_quotation_ends_it() -> None:
    assert fenced("a\n````\nb") == "`````\na\n````\nb\n`````"


@pytest.mark.parametrize(
    ("glob", "here"),
    [("/web/src/**", "src/**"), ("docs/**", "../docs/**"), ("*.py", "*.py"), ("**/tests/**", "**/tests/**"),
     ("/web/package.json#scripts", "package.json#scripts"), ("docs/", "docs/"), ("/web/dist/", "dist/")],
)  # fmt: skip
def test_globs_as_they_are_written_in_a_folder(glob: str, here: str) -> None:
    assert glob_here("web", glob) == here
    assert path_here("web/app", "web/x") == "../x"


def test_of_ours_there_are_at_most_1500_tokens(tmp_path: Path) -> None:
    """Four characters a token, as English is. Findings, patches, documents and the task are not ours."""
    names = [f"a/rather/long/folder/number/{number}/**" for number in range(300)]
    gates = "".join(f"      - {{id: g{number}, run: make {'target' * 40}{number}}}\n" for number in range(60))
    text = (
        "version: 1\nagents: {coder: {use: command, run: x}}\n"
        f"protect: {[name + 'p' for name in names]}\nstages:\n"
        "  code:\n    agent: coder\n"
        f"    writes: {names}\n    adds: {names}\n    authors: {names}\n    max_files: 9\n    gates:\n{gates}"
    )
    told = Told(pipeline_of(tmp_path / "r", text), "code", task="", said=[rejected("code/1.1")])
    assert 3_000 < len(told.brief()) <= 6_000
    assert "more (the pipeline's file has all of them)" in told.brief()


# --- templates of a user's own ----------------------------------------------------------------------


def test_a_template_of_ones_own_is_taken(tmp_path: Path) -> None:
    own = "default: {{ prompt }}\n{{ wrong }}"
    text = PIPELINE.replace("stages:", "defaults: {brief: {file: own.md}}\nstages:", 1)
    text = text.replace("    dir: web\n", '    dir: web\n    brief: "mine, {{ task }} in {{ folder }} {{ wrong }}"\n')
    pipeline = pipeline_of(tmp_path / "r", text, {"own.md": own})
    assert Told(pipeline, "plan", task="{{ x }}").brief() == "default: Plan: {{ x }}\n"
    assert Told(pipeline, "code").brief() == "mine, Mend it. in web\n"
    shown = replace(pipeline.stage("code"), brief=Text("{{ tried }}"))
    told = Told(Pipeline("p", (pipeline.stage("plan"), shown)), "code", said=[rejected("code/1.1", patch=PATCH)])
    assert ("+b" in told.brief(), told.brief(resumed=True)) == (True, "\n")
    assert "/own.md" in pipeline.stage("code").scope.protect


def test_the_default_is_valid_as_a_file(tmp_path: Path) -> None:
    text = PIPELINE.replace("stages:", "defaults: {brief: {file: own.md}}\nstages:", 1)
    own = pipeline_of(tmp_path / "own", text, {"own.md": default_brief()})
    assert Told(own, "code").brief() == Told(pipeline_of(tmp_path / "r", PIPELINE), "code").brief().replace(
        "- src/api.ts\n", "- src/api.ts\n"
    )


def test_a_name_that_is_not_there_is_told_with_all_that_are(tmp_path: Path) -> None:
    text = PIPELINE.replace("    dir: web\n", '    dir: web\n    brief: "{{ prompt }} {{ wrong }} {{ chekcs }}"\n')
    with pytest.raises(
        InvalidPipeline, match=r"chekcs is not defined: did you mean checks.*known: accepted, artifacts"
    ):
        pipeline_of(tmp_path / "r", text)


def test_before_a_run_it_is_shown_with_what_is_known(pipeline: Pipeline) -> None:
    text = preview(render, pipeline, pipeline.stage("plan"))
    assert "## Task\n\nPlan: [the task]\n" in text
    assert "- plan/plan: `../.interlock/artifacts/plan/plan.md`" in preview(render, pipeline, pipeline.stage("code"))


def test_a_template_that_fails_says_so(tmp_path: Path) -> None:
    text = PIPELINE.replace("    dir: web\n", '    dir: web\n    brief: "{{ prompt.x.y }} {{ wrong }}"\n')
    with pytest.raises((UsageError, InvalidPipeline), match="prompt"):
        Told(pipeline_of(tmp_path / "r", text), "code").brief()


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [("/src/a.py", "src/**", True), ("tests/**", "src/**", False), ("**/x", "src/**", True),
     ("made.txt", "own.yaml", False), ("/own.yaml", "made.txt", False), ("*.py", "src/**", True),
     ("*.py", "*.txt", True), ("*.py", "a.txt", False)],
)  # fmt: skip
def test_what_is_protected_is_named_where_it_may_be_met(one: str, other: str, meet: bool) -> None:
    assert _may_meet(one, other) is meet


def test_of_a_held_out_gate_not_even_its_name_is_recorded(pipeline: Pipeline) -> None:
    secret = Finding("junit", "test_rounding[2.5] failed", file="hidden.py", line=3, secret=True)
    spoken = Finding("empty", "nothing was changed: make the change, or set `may_be_empty: true` in the stage")
    attempt = AttemptId("code", 1, 1)
    verdicts = (
        VerdictGiven(attempt, "code/hidden-rounding", 1, VerdictStatus.FAILED, (secret,)),
        VerdictGiven(attempt, "code/scope", 1, VerdictStatus.FAILED, (spoken,)),
    )
    context = Context("r", pipeline, RunStarted("r", "p", "d", "t", "b", "t", ()), 0.0)
    red_before = ("code/hidden-rounding",)
    effect = RejectCandidate(attempt, "c", "t", "i", verdicts, 1, red_before)
    document = feedback_document(cast(World, SimpleNamespace(blobs=MemoryBlobs())), context, effect, "")
    assert "rounding" not in document.decode()
    assert [(one["gate"], one["message"]) for one in json.loads(document)["findings"]] == [
        ("", "1 held-out check failed"),
        ("code/scope", "nothing was changed: make the change"),
        ("", "what is held out failed before your change as well"),
    ]
