"""The verbs that need no run, through the real program: what they print where, and their exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.contract.cli_world import LIMIT_S, Said
from tests.contract.program import forked
from tests.contract.sets.projects import NODE, PYTEST, lay

from interlock.bootstrap import build
from interlock.pipelinefile import load_pipeline
from interlock.ports import UsageError
from interlock.service import RunRequest

BROKEN = "version: 1\nname: broken\nstages:\n  code:\n    agnt: own\n    needs: [desing]\n    run: make\n"
TOUCHES = """\
version: 1
name: touches
agents:
  own:
    use: command
    run: [bash, -c, "echo hi >> notes.txt"]
stages:
  code:
    agent: own
    gates:
      - id: hi
        run: grep -q hi notes.txt
  ship:
    needs: [code]
    gates:
      - id: merge
        approve: Merge this?
    on_reject:
      - goto: code
        max: 2
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def committed(folder: Path, files: dict[str, str]) -> Path:
    lay(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")
    return folder


def interlock(folder: Path, *words: str, **environ: str) -> Said:
    code, out, err = forked(words, folder, {**os.environ, **environ}, b"", LIMIT_S)
    said = Said(code, out.decode(), err.decode())
    assert "Traceback" not in said.err
    return said


def status(folder: Path) -> str:
    return subprocess.run(["git", "status", "--short"], cwd=folder, check=True, capture_output=True, text=True).stdout


# --- init and check ------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [PYTEST, NODE], ids=["python", "node"])
def test_check_is_green_right_after_init(repository: Path, files: dict[str, str]):
    if files is NODE and shutil.which("node") is None:
        pytest.skip("no node here")
    committed(repository, files)
    said = interlock(repository, "init")
    assert said.code == 0
    assert ".interlock/pipelines/feature.yaml" in said.out.splitlines()
    assert interlock(repository, "validate").code == 0
    checked = interlock(repository, "check", "--all", "--json")
    assert checked.code == 0, checked.out
    found = {(gate["pipeline"], gate["stage"], gate["gate"]): gate for gate in checked.json()["gates"]}
    assert found["quick", "code", "test"]["status"] == "passed"
    assert found["feature", "code", "test"]["status"] == "passed"
    assert found["feature", "ship", "merge"]["skipped"] == "a person decides"
    assert status(repository) == "?? .interlock/\n"


def test_a_broken_change_is_said_no_to_with_its_place(repository: Path):
    committed(repository, PYTEST)
    interlock(repository, "init", "--no-verify")
    (repository / "src/adder.py").write_text("def add(a: int, b: int) -> int:\n    return a - b\n")
    said = interlock(repository, "check", "-p", "quick")
    assert said.code == 1
    assert "✗ code/test failed" in said.out
    assert "tests/test_adder.py" in said.out
    assert "2 failed" in said.err
    assert interlock(repository, "check", "-p", "quick", "--commit", "HEAD").code == 0


def test_scope_is_judged_where_a_stage_is_named(repository: Path):
    committed(repository, PYTEST)
    interlock(repository, "init", "--no-verify")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "pipelines")
    (repository / "tests/test_adder.py").write_text("")
    said = interlock(repository, "check", "-p", "quick", "--stage", "code", "--json")
    assert said.code == 1
    scope = next(gate for gate in said.json()["gates"] if gate["gate"] == "scope")
    assert scope["status"] == "failed"
    assert scope["judgement"]["findings"][0]["file"] == "tests/test_adder.py"


def test_a_change_cannot_loosen_its_own_gates_where_a_base_is_named(repository: Path):
    pipeline = (
        "version: 1\nname: t\nstages:\n  code:\n    run: make\n    gates:\n      - id: never\n        run: 'false'\n"
    )
    committed(repository, {"interlock.yaml": pipeline, "a": "a\n"})
    committed(repository, {"interlock.yaml": pipeline.replace("'false'", "'true'")})
    assert interlock(repository, "check").code == 0
    assert interlock(repository, "check", "--base", "HEAD~1").code == 1


def test_a_proposal_that_edits_the_pipeline_and_its_gate_scripts_is_judged_by_those_of_the_base(repository: Path):
    pipeline = (
        "version: 1\nname: t\nprotect: [gate.sh]\nstages:\n  code:\n    run: make\n    gates:\n"
        "      - id: judge\n        run: bash gate.sh\n"
    )
    base = {"interlock.yaml": pipeline, "gate.sh": "grep -q good a\n", "a": "good\n"}
    committed(repository, base)
    git(repository, "checkout", "-qb", "proposal")
    loose = pipeline.replace("bash gate.sh", "'true'").replace("protect: [gate.sh]\n", "")
    committed(repository, {"interlock.yaml": loose, "gate.sh": "exit 0\n", "a": "bad\n"})
    words = ("check", "--stage", "code", "--base", "HEAD~1", "--commit", "HEAD", "--json")
    said = interlock(repository, *words)
    assert said.code == 1
    scope = next(gate for gate in said.json()["gates"] if gate["gate"] == "scope")
    assert {one["file"] for one in scope["judgement"]["findings"]} >= {"interlock.yaml", "gate.sh"}


JUDGED = """\
version: 1
name: t
stages:
  tests:
    run: make
    writes: []
    adds: [tests/**]
    gates:
      - {id: kept, run: bash checks/kept.sh}
  code:
    needs: [tests]
    run: make
    writes: [src/**]
    gates:
      - {id: judge, run: bash checks/judge.sh}
"""
JUDGED_FILES = {
    "interlock.yaml": JUDGED,
    "checks/kept.sh": 'test -z "$(ls conftest.py pytest.ini 2>/dev/null)"\n',
    "checks/judge.sh": "! grep -rq BAD src && grep -q one tests/test_a.py\n",
    "src/a.py": "ok\n",
    "tests/test_a.py": "one\n",
}


@pytest.mark.parametrize(
    ("proposed", "failing", "put_back"),
    [
        ({"src/a.py": "fine\n"}, set(), 0),
        ({"src/a.py": "BAD\n"}, {"judge"}, 0),
        ({"src/a.py": "BAD\n", "checks/judge.sh": "exit 0\n"}, {"scope", "judge"}, 1),
        ({"checks/judge.sh": None}, {"scope"}, 1),
        ({"tests/test_a.py": "two\n"}, {"scope"}, 1),
        ({"tests/test_b.py": "new\n"}, set(), 0),
        ({"tests/conftest.py": "new\n"}, {"scope"}, 1),
        ({"conftest.py": "new\n", "src/pytest.ini": "[pytest]\n"}, {"scope"}, 2),
        ({"docs/a.md": "new\n"}, {"scope"}, 0),
        ({"a [x]*.pth": "new\n"}, {"scope"}, 1),
    ],
)
def test_a_proposal_is_judged_with_what_is_protected_in_the_base(repository: Path, proposed, failing, put_back):
    """By `check --base` as docs/ci.md shows it, with no stage named and nothing listed under `protect`."""
    committed(repository, JUDGED_FILES)
    git(repository, "checkout", "-qb", "proposal")
    for name in [name for name, content in proposed.items() if content is None]:
        (repository / name).unlink()
    committed(repository, {name: content for name, content in proposed.items() if content is not None})
    said = interlock(repository, "check", "--base", "main", "--commit", "HEAD", "--json")
    gates = said.json()["gates"]
    assert {gate["gate"] for gate in gates if gate["status"] == "failed"} == failing, said.out
    assert said.code == (1 if failing else 0)
    assert ("judged as in main, not as proposed" in said.err) == bool(put_back)
    if put_back:
        assert said.err.startswith(f"{put_back} protected file")


@pytest.mark.parametrize(
    ("text", "failing"), [("one\nmore\n", set()), ("more\n", {"scope"}), ("none\nmore\n", {"scope"})]
)
def test_a_proposal_lets_test_files_grow_where_the_old_ones_are_asked(repository: Path, text: str, failing: set[str]):
    old = JUDGED + "      - {id: old, run: 'test \"$(cat tests/test_a.py)\" = one', tests: base}\n"
    committed(repository, {**JUDGED_FILES, "interlock.yaml": old})
    git(repository, "checkout", "-qb", "proposal")
    committed(repository, {"tests/test_a.py": text})
    said = interlock(repository, "check", "--base", "main", "--commit", "HEAD", "--json")
    assert {gate["gate"] for gate in said.json()["gates"] if gate["status"] == "failed"} == failing, said.out
    assert ("not as proposed" in said.err) == bool(failing)


def test_a_stage_that_is_asked_by_name_keeps_what_it_authors(repository: Path):
    authored = JUDGED.replace("    adds: [tests/**]\n", "    authors: [tests/**]\n")
    committed(repository, {**JUDGED_FILES, "interlock.yaml": authored})
    git(repository, "checkout", "-qb", "proposal")
    committed(repository, {"tests/test_a.py": "two\n"})
    words = ("check", "--base", "main", "--commit", "HEAD", "--json")
    named = interlock(repository, *words, "--stage", "tests")
    assert named.code == 0
    assert "not as proposed" not in named.err
    whole = interlock(repository, *words)
    assert whole.code == 0, "the stages together may change it, and the old test is what judges"
    assert "1 protected file judged as in main" in whole.err


def test_a_gate_that_cannot_decide_is_not_a_gate_that_said_no(repository: Path):
    pipeline = TOUCHES.replace("grep -q hi notes.txt", "[no-such-program-here]")
    committed(repository, {"interlock.yaml": pipeline})
    said = interlock(repository, "check")
    assert said.code == 5
    assert "! code/hi errored" in said.out


def test_what_a_gate_prints_cannot_reach_the_terminal_raw(repository: Path):
    run = "printf '\\033[2Jgone\\n::error::owned\\n'; exit 1"
    committed(repository, {"interlock.yaml": TOUCHES.replace("grep -q hi notes.txt", json.dumps(run))})
    said = interlock(repository, "check")
    assert said.code == 1
    assert "\x1b" not in said.out + said.err
    assert not any(line.startswith("::") for line in (said.out + said.err).splitlines())


def test_wrong_choices_of_check(repository: Path):
    committed(repository, {"interlock.yaml": TOUCHES})
    assert "no such stage, there are code, ship" in interlock(repository, "check", "--stage", "cod").err
    assert interlock(repository, "check", "--stage", "code", "--all").code == 2
    assert interlock(repository, "check", "--commit", "nothing").code == 2


def test_init_replaces_nothing_unless_forced(repository: Path):
    committed(repository, {**PYTEST, ".interlock/common.yaml": "mine\n"})
    said = interlock(repository, "init", "--no-verify")
    assert said.code == 2
    assert "init --force" in said.err
    assert (repository / ".interlock/common.yaml").read_text() == "mine\n"
    assert interlock(repository, "init", "--force", "--agent", "codex", "--no-verify", "--json").json()["written"]
    assert "codex" in (repository / ".interlock/common.yaml").read_text()
    again = interlock(repository, "init", "--agent", "codex")
    assert (again.code, again.out) == (0, "")


# --- validate and plan ---------------------------------------------------------------------------


def test_validate_says_all_mistakes_on_stderr(repository: Path):
    committed(repository, {"interlock.yaml": BROKEN})
    said = interlock(repository, "validate")
    assert (said.code, said.out) == (2, "")
    lines = said.err.splitlines()
    assert lines[0].startswith("interlock.yaml:5:5: unknown key agnt: did you mean agent?")
    assert any(line.startswith("interlock.yaml:6:") for line in lines)
    assert lines[-1] == "interlock.yaml: not valid: 2 mistakes"
    found = interlock(repository, "validate", "--json").json()
    assert found["valid"] is False
    assert found["pipelines"][0]["mistakes"][0]["line"] == 5


def test_a_mistake_in_an_included_file_is_told_once(repository: Path):
    pipeline = "version: 1\ninclude: [.interlock/shared.yaml]\nstages:\n  code: {run: 'true'}\n"
    shared = "agents:\n  own: {use: codex, modle: x}\n"
    files = {
        "interlock.yaml": pipeline,
        ".interlock/pipelines/b.yaml": pipeline.replace(".interlock/", "../"),
        ".interlock/shared.yaml": shared,
    }
    committed(repository, files)
    lines = interlock(repository, "validate").err.splitlines()
    assert [line.split(":")[0] for line in lines].count(".interlock/shared.yaml") == 1, lines
    assert any(line.endswith("b.yaml: not valid: 1 mistake (named above)") for line in lines), lines


def test_validate_reads_what_it_resolved(repository: Path):
    committed(repository, {"interlock.yaml": TOUCHES})
    said = interlock(repository, "validate", "--resolved")
    assert said.code == 0
    (repository / "resolved.yaml").write_text(said.out)
    (repository / "below").mkdir()
    assert "resolved.yaml: valid" in interlock(repository / "below", "validate", "-p", "../resolved.yaml").out


def test_plan_bounds_the_attempts(repository: Path):
    committed(repository, {"interlock.yaml": TOUCHES})
    said = interlock(repository, "plan")
    assert said.code == 0
    assert "worst case: 9 attempts" in said.out  # three in each of three epochs
    assert "back to code, at most 2 times" in said.out
    found = interlock(repository, "plan", "--until", "code", "--json").json()
    assert [stage["id"] for stage in found["stages"]] == ["code"]
    assert found["attempts_worst"] == 3
    assert found["deliver"] is None


def test_outside_of_a_repository_it_says_so(tmp_path: Path):
    said = interlock(tmp_path, "validate")
    assert said.code == 2
    assert "git init" in said.err


# --- the rest ------------------------------------------------------------------------------------


def test_doctor_looks_and_makes_nothing(repository: Path):
    committed(repository, {"interlock.yaml": TOUCHES, ".interlock/pipelines/bad.yaml": BROKEN})
    said = interlock(repository, "doctor", "--json")
    found = said.json()
    assert said.code == 2  # for the bad pipeline
    assert found["pipelines"] == {"interlock.yaml": True, ".interlock/pipelines/bad.yaml": False}
    assert set(found["disk_bytes"]) == {"journal", "evidence", "objects", "kits", "setups", "checkouts", "templates"}
    assert not Path(found["state"]).exists()


def test_doctor_without_git(tmp_path: Path):
    said = interlock(tmp_path, "doctor", PATH=f"bin::{tmp_path}")
    assert "bin, an empty entry in PATH is ignored" in said.out
    assert said.code == 5
    assert "✗ git: git is not on the PATH" in said.out


def test_schema_and_completion(tmp_path: Path):
    assert json.loads(interlock(tmp_path, "schema").out)["title"] == "Interlock pipeline"
    for shell in ("bash", "zsh", "fish"):
        assert "_INTERLOCK_COMPLETE" in interlock(tmp_path, "completion", shell).out
    asked = {"_INTERLOCK_COMPLETE": "zsh_complete", "COMP_WORDS": "interlock valid", "COMP_CWORD": "1"}
    assert "validate" in interlock(tmp_path, **asked).out


def test_transform_names_what_is_wrong(tmp_path: Path):
    (tmp_path / "a.pdf").write_text("no pdf")
    assert "is not a PDF" in interlock(tmp_path, "transform", "pdf-to-text", "a.pdf").err
    assert interlock(tmp_path, "transform", "docx", "a.pdf").code == 2


def test_gc_spares_what_is_young_and_what_is_unfinished(repository: Path, own_home: Path):
    committed(repository, {"interlock.yaml": TOUCHES, "notes.txt": "start\n"})
    unfinished = driven(repository)
    cancelled = driven(repository, until="code")
    assert interlock(repository, "gc", "--json").json()["collected"]["refs"] == 0
    age(own_home / ".local/state", seconds=2 * 86_400)
    foreseen = interlock(repository, "gc", "--dry-run", "--json").json()["collected"]
    assert foreseen["refs"] > 0
    store = next((own_home / ".local/state/interlock").glob("*/store.git"))
    assert (store / "refs/interlock" / cancelled).is_dir()
    freed = interlock(repository, "gc", "--json").json()["collected"]
    assert freed["refs"] == foreseen["refs"]
    assert 0 < freed["objects"] <= foreseen["objects"]
    assert (store / "refs/interlock" / unfinished).is_dir()
    assert not (store / "refs/interlock" / cancelled).exists()


def driven(repository: Path, until: str = "") -> str:
    app = build(repository, os.environ)
    try:
        loaded = load_pipeline(repository / "interlock.yaml", repository)
        base = app.workspaces.import_base("HEAD")
        task = f"say hi ({until or 'all'})"
        run = app.service.start_run(RunRequest(loaded.pipeline, task, base.commit, base.tree, until=until))
        app.owner.drive(run)
    except UsageError as error:  # pragma: no cover - a defect of the test
        raise AssertionError(str(error)) from error
    finally:
        app.close()
    return run


def age(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then), follow_symlinks=False)
