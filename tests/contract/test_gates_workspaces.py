"""The referee in the clean rooms of the real store: nothing of a gate is left, and nothing leads out."""

import os
import threading
from pathlib import Path

import pytest
from tests.contract.gates_world import Cellar, Trees, run_gate

from interlock.core.events import VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Gate, GateKind, Pipeline, Report, Scope, Stage
from interlock.gates import Bench, Referee
from interlock.ports import Case
from interlock.workspaces import GitWorkspaces


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "user")


def judged(tmp_path: Path, trees: Trees, gate: Gate, commit: str, base: str):
    workspaces = GitWorkspaces(tmp_path / "store", tmp_path / "places", trees.repository, os.environ)
    try:
        for wanted in (base, commit):
            workspaces.import_base(wanted)
        cellar = Cellar(tmp_path / f"blobs-{gate.id}")
        referee = Referee(Bench(workspaces, cellar, cellar, os.environ, tmp_path / "locks", tmp_path / "slots"))
        stage = Stage("code", agent="coder", gates=(gate,), scope=Scope(writes=("src/**",)))
        tree, input_tree = trees.tree(commit), trees.tree(base)
        subject = AttemptId("code", 1, 1)
        case = Case("r", subject, stage, gate, Pipeline("p", (stage,)), commit, tree, base, input_tree, base, {})
        judgement = referee.evaluate(case, threading.Event())
    finally:
        workspaces.close()
    return judgement, cellar


def test_run(tmp_path: Path, trees: Trees) -> None:
    base = trees.commit({"src/app.py": "1\n"})
    commit = trees.commit({"src/app.py": "2\n"}, base)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "expected").write_text("2\n")
    report = "<testsuite><testcase classname='a' name='b'/></testsuite>"
    shell = f'diff src/app.py "$HELD_OUT/expected" && git status --porcelain && echo "{report}" > "$REPORT"'
    gate = run_gate(shell, report=Report.JUNIT, held_out=str(hidden))
    judgement, cellar = judged(tmp_path, trees, gate, commit, base)
    assert (judgement.status, judgement.findings) == (VerdictStatus.PASSED, ())
    assert [cellar.get(item.digest).decode().strip() for item in judgement.evidence] == ["", report]
    assert [path for path in (tmp_path / "places").rglob("*") if path.is_file() and "beside" in path.parts] == []


def test_scope(tmp_path: Path, trees: Trees) -> None:
    base = trees.commit({"src/app.py": "1\n"})
    commit = trees.commit({"README.md": "2\n"}, base)
    judgement, _ = judged(tmp_path, trees, Gate("scope", GateKind.SCOPE), commit, base)
    assert [finding.file for finding in judgement.findings] == ["README.md"]
