"""The traces gate on real trees: what is forgotten is named, and what cannot be traced is never a pass."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.gates_world import World

from interlock.core.events import VerdictStatus
from interlock.core.pipeline import Artifact, Gate, GateKind, Pipeline, Stage, Traces
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
        gate = Gate("traced", GateKind.TRACES, traces=Traces("plan/plan", within, pattern))
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
    assert "plan/plan holds no id such as REQ-1" in judgement.findings[0].message


def test_junk_and_large_files_are_no_trouble(trace) -> None:
    junk = {"a.bin": b"\xff\xfe\0REQ-1\0", "big": b"x" * 1_000_001 + b" REQ-12", "b": "REQ-12 NET-API-3"}
    assert trace(junk).status is PASSED
