"""Whole runs: one agent writes fix and tests, tests come first, and what proves nothing is not accepted."""

from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of, verdicts_of

CALC = "def add(a, b):\n    return a - b\n"
OLD = "from calc import add\n\n\ndef test_zero():\n    assert add(2, 0) == 2\n"
QUICK = """\
version: 1
name: quick
agents:
  coder: {use: command, run: sh agent.sh}
stages:
  code:
    agent: coder
    attempts: 1
    adds: ["**/tests/**", "test_*.py"]
    gates:
      - id: test
        use: python.test
        expect: tests_prove_change
"""
LINT = """\
import os, sys
bad = [p for p in sorted(os.listdir("tests")) if "import os" in open("tests/" + p).read()]
result = {"ruleId": "F401", "level": "error", "message": {"text": "unused import"}}
found = [{**result, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "tests/" + p}}}]} for p in bad]
import json
json.dump({"version": "2.1.0", "runs": [{"results": found}]}, open(os.environ["REPORT"], "w"))
"""
TESTS_FIRST = """\
version: 1
name: feature
agents:
  coder: {use: command, run: sh agent.sh}
stages:
  tests:
    agent: coder
    writes: []
"""
FEATURE = (
    TESTS_FIRST
    + """\
    adds: ["**/tests/**", "test_*.py"]
    gates:
%s      - {id: red, use: python.test, expect: new_tests_fail}
  code:
    needs: [tests]
    agent: coder
    gates:
      - {id: lint, run: python3 checks/lint.py, report: sarif}
      - {id: test, use: python.test}
    on_reject:
      - {gate: lint, in: ["**/tests/**"], goto: tests, max: 2}
"""
)
OWN_LINT = "      - {id: lint, run: python3 checks/lint.py, report: sarif}\n"


def begin(root: Path, pipeline: str, agent: str) -> World:
    files = {"calc.py": CALC, "tests/test_old.py": OLD, "interlock.yaml": pipeline, "agent.sh": agent}
    return new_world(root, {**files, "checks/lint.py": LINT})


def write(path: str, text: str) -> str:
    return f"cat > {path} <<'END'\n{text}END\n"


FIX = write("calc.py", CALC.replace("-", "+"))
PROVES = write("tests/test_add.py", "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n")


def test_quick_accepts_a_fix_with_a_test_that_proves_it(tmp_path: Path) -> None:
    world = begin(tmp_path, QUICK, FIX + PROVES)
    world.ask("run", "-t", "add must add").ended(0)
    (attempt,) = stage_of(world.show(), "code")["attempts"]
    verdict = verdicts_of(attempt)["code/test"]
    assert [finding["rule"] for finding in verdict["findings"]] == ["proven"]
    assert "proof.report" in {item["name"] for item in verdict["evidence"]}


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (FIX + write("tests/test_add.py", "def test_add():\n    assert True\n"), "passes without the change too"),
        (FIX + write("tests/test_add.py", "def test_add(:\n"), "tests/test_add.py could not be loaded"),
        (FIX, "add a test that fails without it"),
        (FIX + PROVES + "rm tests/test_old.py\n", "this stage only adds tests"),
    ],
    ids=["tautology", "syntax", "none", "deleted"],
)
def test_quick_rejects_what_proves_nothing(tmp_path: Path, agent: str, said: str) -> None:
    world = begin(tmp_path, QUICK, agent)
    world.ask("run", "-t", "add must add").ended(3)
    assert said in world.ask("show", "-v").out.replace("\n", " ")
    assert "interlock/" not in world.git("branch", "--list")


STAGES = "case $INTERLOCK_ATTEMPT in\n%s\nesac\n"


def staged(**parts: str) -> str:
    return STAGES % "\n".join(f"{name.replace('_', '/')}*)\n{text};;" for name, text in parts.items())


def test_an_import_at_the_top_of_a_new_test_file_is_ordinary_test_first_work(tmp_path: Path) -> None:
    test = write("tests/test_mul.py", "from calc import mul\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n")
    agent = staged(tests_=test, code_=FIX + "printf '\\n\\ndef mul(a, b):\\n    return a * b\\n' >> calc.py\n")
    world = begin(tmp_path, FEATURE % OWN_LINT, agent)
    said = world.ask("run", "-t", "multiply", "--plain").ended(
        0, "tests/1.1    gate red passed", "code/1.1     accepted"
    )
    assert "rejected" not in said.text


def test_a_test_file_that_nobody_could_load_must_run_in_the_end(tmp_path: Path) -> None:
    test = write("tests/test_mul.py", "from calc import mul\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n")
    skips = FIX + "printf 'import pytest\\npytest.skip(allow_module_level=True)\\nmul = 0\\n' >> calc.py\n"
    world = begin(tmp_path, FEATURE % OWN_LINT, staged(tests_=test, code_=skips))
    world.ask("run", "-t", "multiply").ended(3)
    assert "it could not be loaded in the accepted input, and is skipped now" in world.ask(
        "show", "--full"
    ).out.replace("\n", " ")


def test_code_goes_back_to_the_tests_whose_lint_is_at_fault(tmp_path: Path) -> None:
    text = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    first, second = write("tests/test_add.py", f"import os\n{text}"), write("tests/test_add.py", text)
    agent = staged(tests_1=first, tests_=second, code_=FIX)
    world = begin(tmp_path, FEATURE % "", agent)
    world.ask("run", "-t", "add must add", "--plain").ended(0, "sent back to tests")
    code = stage_of(world.show(), "code")
    assert code["epoch"] == 2


def test_a_linter_in_tests_keeps_the_fault_there(tmp_path: Path) -> None:
    text = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    first, second = write("tests/test_add.py", f"import os\n{text}"), write("tests/test_add.py", text)
    world = begin(tmp_path, FEATURE % OWN_LINT, staged(**{"tests_1.1": first, "tests_": second, "code_": FIX}))
    said = world.ask("run", "-t", "add must add", "--plain").ended(0, "tests/1.1    rejected by lint")
    assert "sent back" not in said.text


# --- old tests, traces, check ---------------------------------------------------------------------

AUTHORED = (
    TESTS_FIRST
    + """\
    authors: ["tests/**"]
  code:
    needs: [tests]
    agent: coder
    attempts: 1
    gates:
      - {id: test, use: python.test}
      - {id: old, use: python.test, tests: base}
"""
)


def test_old_tests_judge_the_code_where_a_stage_has_changed_them(tmp_path: Path) -> None:
    weak = write("tests/test_old.py", "def test_zero():\n    pass\n")
    world = begin(tmp_path, AUTHORED, staged(tests_=weak, code_=write("calc.py", "def add(a, b):\n    return 7\n")))
    said = world.ask("run", "-t", "add must add", "--plain").ended(3, "gate test passed", "rejected by old")
    assert "test_zero failed (it passed in the accepted input)" in world.ask("show", "-v").out.replace("\n", " "), (
        said.text
    )


TRACED = """\
version: 1
name: traced
agents:
  coder: {use: command, run: sh agent.sh}
stages:
  plan:
    agent: coder
    writes: []
    produces: {plan: {file: plan.md}}
  code:
    needs: [plan]
    agent: coder
    attempts: 1
    adds: ["**/tests/**"]
    gates:
      - {id: test, use: python.test, expect: tests_prove_change}
      - {id: traced, traces: {of: plan/plan, proven: true}}
"""


@pytest.mark.parametrize(("named", "code"), [("# REQ-1\n", 0), ("# REQ-2\n", 3)])
def test_a_requirement_counts_where_a_test_proves_it(tmp_path: Path, named: str, code: int) -> None:
    plan = 'echo "REQ-1: it adds" > "$ARTIFACTS/plan.md"\n'
    proves = write(
        "tests/test_add.py", f"from calc import add\n\n\n{named}def test_add():\n    assert add(2, 3) == 5\n"
    )
    world = begin(tmp_path, TRACED, staged(plan_=plan, code_=FIX + proves + "echo '# REQ-1' >> calc.py\n"))
    said = world.ask("run", "-t", "add must add", "--plain").ended(code)
    assert ("rejected by traced" in said.text) == bool(code)


def test_check_asks_for_a_proof_of_the_work_of_one_stage(tmp_path: Path) -> None:
    world = begin(tmp_path, QUICK, FIX)
    world.ask("check").ended(0, "code/test passed")
    world.commit({"calc.py": CALC.replace("-", "+")})
    world.ask("check", "--base", "HEAD~1", "--commit", "HEAD").ended(0, "code/test passed")
    named = ("check", "--base", "HEAD~1", "--commit", "HEAD", "--stage", "code")
    world.ask(*named).ended(1, "no_new_tests")
    test = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    world.commit({"tests/test_add.py": test})
    world.ask("check", "--base", "HEAD~2", "--commit", "HEAD", "--stage", "code").ended(0, "code/test passed")


def test_what_an_agent_is_told_of_the_tests_that_it_adds(tmp_path: Path) -> None:
    world = begin(tmp_path, QUICK, 'cp "$BRIEF" brief.txt\n' + FIX + PROVES)
    world.ask("run", "-t", "add must add").ended(0)
    branch = world.git("branch", "--list", "interlock/*", "--format", "%(refname:short)")
    brief = world.git("show", f"{branch}:brief.txt")
    assert "You may add:\n- new test files in **/tests/**" in brief
    assert "at least one must fail without it" in brief
    assert "inside sources" not in brief  # that is for Rust


def test_an_agent_is_told_of_inline_tests_of_rust(tmp_path: Path) -> None:
    later = "  later:\n    needs: [code]\n    agent: coder\n    gates: [{id: old, use: rust.test, tests: base}]\n"
    world = begin(tmp_path, QUICK + later, f'cp "$BRIEF" {tmp_path}/brief.txt\n')
    world.commit({"Cargo.toml": '[package]\nname = "a"\nversion = "1.0.0"\n'})
    world.ask("run", "-t", "add must add", "--until", "code")
    assert "- new tests inside sources, under `#[cfg(test)]`" in (tmp_path / "brief.txt").read_text()


def test_a_continued_workspace_keeps_added_tests_and_no_changed_ones(tmp_path: Path) -> None:
    pipeline = QUICK.replace("attempts: 1", "attempts: 2\n    workspace: continue")
    first = PROVES + "echo '# weaker' >> tests/test_old.py\n"
    world = begin(tmp_path, pipeline, f"if [ -e tests/test_add.py ]; then\n{FIX}else\n{first}fi\n")
    world.ask("run", "-t", "add must add", "--plain").ended(
        0, "code/1.1     rejected by scope", "code/1.2     accepted"
    )


GUARDED = QUICK + "      - {id: old, use: python.test, tests: base}\n"
GROWS = "printf '\\n\\ndef test_add():\\n    assert add(2, 3) == 5\\n' >> tests/test_old.py\n"


def test_a_test_below_the_old_ones_is_a_new_test(tmp_path: Path) -> None:
    world = begin(tmp_path, GUARDED, 'cp "$BRIEF" brief.txt\n' + FIX + GROWS)
    world.ask("run", "-t", "add must add").ended(0)
    (attempt,) = stage_of(world.show(), "code")["attempts"]
    (proven,) = verdicts_of(attempt)["code/test"]["findings"]
    assert (proven["rule"], proven["file"]) == ("proven", "tests/test_old.py")
    branch = world.git("branch", "--list", "interlock/*", "--format", "%(refname:short)")
    assert "new tests in existing test files" in world.git("show", f"{branch}:brief.txt")


def test_tests_that_come_first_may_stand_below_the_old_ones(tmp_path: Path) -> None:
    pipeline = FEATURE.replace("    on_reject", "      - {id: old, use: python.test, tests: base}\n    on_reject") % ""
    agent = f'case "$INTERLOCK_ATTEMPT" in\ntests/*)\n{GROWS};;\n*)\n{FIX};;\nesac\n'
    begin(tmp_path, pipeline, agent).ask("run", "-t", "add must add").ended(0)


def test_a_continued_workspace_keeps_tests_below_the_old_ones(tmp_path: Path) -> None:
    pipeline = GUARDED.replace("attempts: 1", "attempts: 2\n    workspace: continue")
    world = begin(tmp_path, pipeline, f"if grep -q test_add tests/test_old.py; then\n{FIX}else\n{GROWS}fi\n")
    world.ask("run", "-t", "add must add", "--plain").ended(0, "code/1.1     rejected by test", "code/1.2     accepted")


def test_what_fails_from_the_beginning_is_no_excuse_for_the_tests_that_came_first(tmp_path: Path) -> None:
    """`baseline: no_worse` lets old failures be, and not those that the stage before wrote on purpose."""
    lenient = FEATURE.replace("{id: test, use: python.test}", "{id: test, use: python.test, baseline: no_worse}") % ""
    agent = f'case "$INTERLOCK_ATTEMPT" in\ntests/*)\n{PROVES};;\n*/1.1) echo >> calc.py ;;\n*)\n{FIX};;\nesac\n'
    world = begin(tmp_path, lenient, agent)
    (world.repository / "tests/test_red.py").write_text("def test_red():\n    assert False\n")
    world.git("add", "-A")
    world.git("commit", "-qm", "red")
    world.ask("run", "-t", "add must add").ended(0)
    first, second = stage_of(world.show(), "code")["attempts"]
    assert [first["phase"], second["phase"]] == ["rejected", "accepted"]
    (finding,) = verdicts_of(first)["code/test"]["findings"]
    assert finding["rule"] == "test_failed"
    assert "test_add" in finding["message"]


def test_what_is_shown_of_findings_names_each_path_once_and_cuts_no_word(tmp_path: Path) -> None:
    long = "printf \"\\n\\ndef test_add():\\n    assert add(2, 3) == 6, 'long words ' * 200\\n\" >> tests/test_old.py\n"
    agent = f'case "$INTERLOCK_ATTEMPT" in *1.1) echo >> conftest.py ;; *) {FIX}\n{long};; esac\n'
    world = begin(tmp_path, GUARDED.replace("attempts: 1", "attempts: 2"), agent)
    world.ask("run", "-t", "add must add").ended(3)
    shown = world.ask("show", "-v").out
    assert "conftest.py: was added but it is protected" in shown
    assert "conftest.py: conftest.py" not in shown
    assert "[...]" not in shown
    assert "AssertionError: long words" in shown
