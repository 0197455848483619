"""The traces gate on real trees: what is forgotten is named, and what cannot be traced is never a pass."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.gates_world import World

from interlock.core.events import Evidence, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Artifact, Gate, Pipeline, Stage
from interlock.gates.kinds.traces import Traces
from interlock.gates.proof import PROVEN
from interlock.ports import Judgement

PASSED, FAILED, ERRORED = VerdictStatus
PLAN = "# Plan\n\n- REQ-1: in UTF-8\n- REQ-12: fast (see REQ-1)\n- NET-API-3: small\n"


@pytest.fixture
def trace(tmp_path: Path) -> Callable[..., Judgement]:
    world = World(tmp_path / "world")

    def judged(
        files: dict[str, str | bytes], *within: str, plan: str = PLAN, pattern: str = "", writes: str = ""
    ) -> Judgement:
        base = world.trees.commit({".interlock/artifacts/plan/plan.md": plan, "README": "REQ\n"})
        made = world.trees.commit(files, base)
        gate = Gate("traced", "traces", options=Traces("plan/plan", within, pattern))
        first = Stage("plan", produces=(Artifact("plan", "plan.md"),))
        produces = (Artifact("notes", writes),) if writes else ()
        stage = Stage("code", needs=("plan",), agent="coder", produces=produces, gates=(gate,))
        return world.judge(gate, made, base, stage, pipeline=Pipeline("test", (first, stage)))

    return judged


def named(judgement: Judgement) -> list[str]:
    return [finding.message.split()[0] for finding in judgement.findings]


def test_every_id_is_named_somewhere(trace) -> None:
    judgement = trace({"src/a.py": "# REQ-1, REQ-12\n", "tests/test_a.py": "def test(): 'NET-API-3'\n"})
    assert (judgement.status, judgement.findings) == (PASSED, ())


def test_what_is_forgotten_is_named_and_a_longer_id_is_another(trace) -> None:
    judgement = trace({"src/a.py": "# REQ-12 REQ-10 XREQ-1 NET-API-31\n"})
    assert judgement.status is FAILED
    assert named(judgement) == ["REQ-1", "NET-API-3"]


def test_the_document_itself_proves_nothing(trace) -> None:
    assert named(trace({"src/a.py": "nothing\n"})) == ["REQ-1", "REQ-12", "NET-API-3"]


def test_only_the_named_files_count(trace) -> None:
    all_of_them = "REQ-1 REQ-12 NET-API-3\n"
    assert trace({"src/a.py": all_of_them}, "/tests/").status is FAILED
    assert trace({"src/a.py": "", "tests/unit/a.py": all_of_them}, "/tests/").status is PASSED


def test_a_stage_with_documents_is_traced_in_these(trace) -> None:
    all_of_them = "REQ-1 REQ-12 NET-API-3\n"
    assert trace({"src/a.py": all_of_them}, writes="notes.md").status is FAILED
    written = {".interlock/artifacts/code/notes.md": all_of_them}
    assert trace(written, writes="notes.md").status is PASSED


def test_ids_of_another_shape(trace) -> None:
    plan = "must(login), must(logout)"
    assert named(trace({"a": "must(login)"}, plan=plan, pattern=r"must\(\w+\)")) == ["must(logout)"]


def test_a_document_without_ids_is_never_a_pass(trace) -> None:
    judgement = trace({"a": "REQ-1"}, plan="# Plan\n\nall of it, in UTF-8\n")
    assert (judgement.status, judgement.permanent) == (ERRORED, True)
    assert "plan/plan contains no id such as REQ-1" in judgement.findings[0].message


def test_junk_and_large_files_are_no_trouble(trace) -> None:
    junk = {"a.bin": b"\xff\xfe\0REQ-1\0", "big": b"x" * 1_000_001 + b" REQ-12", "b": "REQ-12 NET-API-3"}
    assert trace(junk).status is PASSED


# --- proven --------------------------------------------------------------------------------------

TESTS = """\
import pytest


# REQ-1
def test_one():
    pass


class TestMore:
    @pytest.mark.slow  # REQ-12
    def test_two(self):
        pass

    def test_three(self):
        "NET-API-3"
"""


@pytest.fixture
def proven(tmp_path: Path) -> Callable[..., Judgement]:
    world = World(tmp_path / "world")

    def judged(files: dict[str, str], *tests: tuple[str, str], status: VerdictStatus = PASSED) -> Judgement:
        base = world.trees.commit({".interlock/artifacts/plan/plan.md": PLAN})
        made = world.trees.commit(files, base)
        gate = Gate("traced", "traces", options=Traces("plan/plan", proven=True))
        told = [{"id": name, "file": file, "line": 1, "reason": "for an assertion"} for name, file in tests]
        kept = world.cellar.put(json.dumps({"tests": told, "files": sorted(files)}).encode())
        subject = AttemptId("code", 1, 1)
        said = VerdictGiven(subject, "code/test", 1, status, evidence=(Evidence(PROVEN, kept, 1),))
        pipeline = Pipeline("test", (Stage("plan", produces=(Artifact("plan", "plan.md"),)), Stage("code")))
        return world.judge(gate, made, base, pipeline=pipeline, hard_verdicts=(said,))

    return judged


def test_an_id_counts_where_a_test_names_it_that_proves_the_change(proven) -> None:
    files = {"tests/test_a.py": TESTS, "src/a.py": "# REQ-1 REQ-12 NET-API-3\n"}
    one, two = ("tests.test_a::test_one", "tests/test_a.py"), ("tests.test_a.TestMore::test_two", "")
    three = ("tests.test_a.TestMore::test_three[1]", "tests/test_a.py")
    assert proven(files, one, two, three).status is PASSED
    assert named(proven(files, one)) == ["REQ-12", "NET-API-3"]
    assert named(proven(files, one, two, three, status=FAILED)) == ["REQ-1", "REQ-12", "NET-API-3"]
    assert named(proven(files)) == ["REQ-1", "REQ-12", "NET-API-3"]


def test_in_other_languages_the_id_or_the_whole_file_names_it(proven) -> None:
    files = {"test/a.test.js": "// REQ-1\n", "test/b.test.js": ""}
    judgement = proven(files, ("REQ-12: is fast", ""), ("test/b.test.js::NET-API-3 works", "test/b.test.js"))
    assert judgement.status is PASSED
    assert named(proven(files, ("NET-API-3 works", "test/b.test.js"))) == ["REQ-1", "REQ-12"]
