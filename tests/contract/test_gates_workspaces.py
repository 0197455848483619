"""The referee in the clean checkouts of the real store: nothing of a gate is left, and nothing leads out."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.gates_world import Cellar, Trees, run_gate

from interlock.core.events import VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import CommandLine, Gate, GateKind, Pipeline, Report, Scope, Setup, Stage
from interlock.gates.locks import Slots
from interlock.gates.referee import GateContext, Referee
from interlock.ports import GateRequest, InfrastructureError
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
        referee = Referee(
            GateContext(workspaces, cellar, cellar, os.environ, tmp_path / "locks", Slots(tmp_path / "slots"))
        )
        stage = Stage("code", agent="coder", gates=(gate,), scope=Scope(writes=("src/**",)))
        tree, input_tree = trees.tree(commit), trees.tree(base)
        subject = AttemptId("code", 1, 1)
        request = GateRequest(
            "r", subject, stage, gate, Pipeline("p", (stage,)), commit, tree, base, input_tree, base, {}
        )
        judgement = referee.evaluate(request, threading.Event())
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
    assert [path for path in (tmp_path / "gates").rglob("*") if path.is_file() and "beside" in path.parts] == []


def test_deep_folders_in_place_of_held_out_files_end_no_gate(tmp_path: Path, trees: Trees) -> None:
    base = trees.commit({"src/app.py": "1\n"})
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/expected").write_text("2\n")
    deep = "import os\nos.chdir(os.environ['HELD_OUT'])\nfor _ in range(1500): os.mkdir('a'); os.chdir('a')"
    gate = run_gate(f'chmod 777 "$HELD_OUT"; python3 -c "{deep}"; echo made', held_out=str(tmp_path / "hidden"))
    judgement, cellar = judged(tmp_path, trees, gate, base, base)
    assert [cellar.get(item.digest) for item in judgement.evidence] == [b"made\n"]
    assert list((tmp_path / "gates").iterdir()) == []


def test_scope(tmp_path: Path, trees: Trees) -> None:
    base = trees.commit({"src/app.py": "1\n"})
    commit = trees.commit({"README.md": "2\n"}, base)
    judgement, _ = judged(tmp_path, trees, Gate("scope", GateKind.SCOPE), commit, base)
    assert [finding.file for finding in judgement.findings] == ["README.md"]


# --- setup


def of_setup(tmp_path: Path, trees: Trees, commit: str, base: str, gates: tuple[Gate, ...], number: int = 1):
    """The gates' judgements of `commit` where setup installs from deps.lock, as far as it is there."""
    installs = "mkdir -p .venv/bin; cp deps.lock .venv/lock; grep -q good deps.lock"
    shell = f"echo $(cat deps.lock) >> {tmp_path}/runs; {installs}"
    setup = Setup(CommandLine(shell=shell), ("deps.lock",), (".venv",))
    workspaces = GitWorkspaces(tmp_path / "store", tmp_path / "places", trees.repository, os.environ)
    cellar = Cellar(tmp_path / f"blobs-{len(list(tmp_path.glob('blobs-*')))}")
    try:
        for wanted in (base, commit):
            workspaces.import_base(wanted)
        referee = Referee(
            GateContext(workspaces, cellar, cellar, os.environ, tmp_path / "locks", Slots(tmp_path / "slots"))
        )
        stage = Stage("code", agent="coder", gates=gates)
        subject = AttemptId("code", 1, 1)
        pipeline = Pipeline("p", (stage,), setup=(setup,))
        cases = [
            GateRequest(
                "r", subject, stage, gate, pipeline, commit, trees.tree(commit), base, trees.tree(base), base, {},
                number=number,
            )
            for gate in gates
        ]  # fmt: skip
        return [referee.evaluate(request, threading.Event()) for request in cases]
    finally:
        workspaces.close()


LINT, TEST = run_gate("grep good .venv/lock"), replace(run_gate("! grep bad .venv/lock"), id="test")


def test_setup_that_fails_on_the_candidate_rejects_it_once_for_all_gates(tmp_path: Path, trees: Trees) -> None:
    base = trees.commit({"deps.lock": "good\n"})
    commit = trees.commit({"deps.lock": "bad\n"}, base)
    judged = of_setup(tmp_path, trees, commit, base, (LINT, TEST))
    assert [judgement.status for judgement in judged] == [VerdictStatus.FAILED] * 2
    assert [finding.rule for judgement in judged for finding in judgement.findings] == ["setup"] * 2
    assert (tmp_path / "runs").read_text().split() == ["bad", "bad", "good"]


def test_setup_that_fails_on_the_base_is_infrastructure(tmp_path: Path, trees: Trees) -> None:
    base = trees.commit({"deps.lock": "bad\n"})
    commit = trees.commit({"deps.lock": "worse\n"}, base)
    with pytest.raises(InfrastructureError, match="on the accepted input as well"):
        of_setup(tmp_path, trees, commit, base, (LINT,))
    with pytest.raises(InfrastructureError, match="setup: "):
        of_setup(tmp_path, trees, base, base, (LINT,))


def test_a_tracked_tool_is_a_finding_of_scope_and_is_never_used(tmp_path: Path, trees: Trees) -> None:
    base = trees.commit({"deps.lock": "good\n", ".venv/old": "1\n", ".venv/gone": "1\n"})
    commit = trees.commit(
        {".venv/bin/tool": "x\n", ".VENV/x": "y\n", ".venv/old": "2\n", ".venv/gone": None, "src/x": "1\n"}, base
    )
    tool = run_gate('test -z "$(ls .venv/bin)" && test ! -e .venv/old')
    scope, ran = of_setup(tmp_path, trees, commit, base, (Gate("scope", GateKind.SCOPE), tool))
    found = [(finding.rule, finding.file) for finding in scope.findings]
    assert found == [("setup_path", path) for path in (".VENV/x", ".venv/bin/tool", ".venv/old")]
    assert ran.status is VerdictStatus.PASSED


def test_a_link_in_place_of_a_folder_that_leads_to_setup(tmp_path: Path, trees: Trees) -> None:
    base = trees.commit({"deps.lock": "good\n"})
    (trees.repository / ".venv").symlink_to("elsewhere")
    (scope,) = of_setup(tmp_path, trees, trees.seal(), base, (Gate("scope", GateKind.SCOPE),))
    assert [finding.rule for finding in scope.findings] == ["setup_path"]
