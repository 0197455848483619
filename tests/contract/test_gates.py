"""The referee on real trees and real commands."""

from pathlib import Path

import pytest
from tests.contract.gates_world import World, git, run_gate

from interlock.conventions.judge_files import PROTECTED
from interlock.core.events import VerdictStatus
from interlock.core.ids import base_of
from interlock.core.pipeline import CommandLine, Gate, GateKind, Report, Scope, Stage
from interlock.ports import Cancelled, UsageError

PASSED, FAILED, ERRORED = VerdictStatus


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def base(world: World) -> str:
    return world.trees.commit({"src/app.py": "one = 1\n", "tests/test_app.py": "...\n", "Makefile": "all:\n"})


def rules(judgement) -> list[str]:
    return [finding.rule for finding in judgement.findings]


@pytest.mark.parametrize(
    ("files", "scope", "rule"),
    [
        ({"src/app.py": "one = 2\n"}, Scope(writes=("src/**",)), None),
        ({"src/app.py": "one = 2\n"}, Scope(), None),
        ({"README.md": "x"}, Scope(writes=("src/**",)), "outside_writes"),
        ({"src/app.py": "x"}, Scope(writes=()), "outside_writes"),
        ({"tests/test_app.py": "x"}, Scope(protect=("tests/**",)), "protected"),
        ({"tests/test_app.py": None}, Scope(protect=("tests/**",)), "protected"),
        ({"tests/test_app.py": "x"}, Scope(writes=("**",), protect=("tests/**",)), "protected"),
        ({"tests/test_app.py": "x"}, Scope(writes=("src/**",), protect=("tests/**",), authors=("tests/**",)), None),
        ({"conftest.PY": "x"}, Scope(protect=("conftest.py",)), "protected"),
        ({"SRC/app.py": "x"}, Scope(), None),
        ({"tests/TEST_new.py": "x"}, Scope(protect=("test_*.py",)), "protected"),
        ({"src/conftest.py": "x"}, Scope(protect=("conftest.py",)), "protected"),
        ({".interlock/agents.yaml": "x"}, Scope(), "reserved"),
        ({".interlock/agents.yaml": "x"}, Scope(writes=("**",), authors=("**",)), "reserved"),
        ({".INTERLOCK/agents.yaml": "x"}, Scope(), "reserved"),
        ({".interlock/artifacts/plan/plan.md": "x"}, Scope(), "reserved"),
        ({".interlock/artifacts/code/note.md": "x"}, Scope(writes=()), None),
        ({".gitattributes": "* -diff"}, Scope(protect=PROTECTED), "protected"),
        ({".github/workflows/ci.yml": "x"}, Scope(protect=PROTECTED), "protected"),
        ({".github/workflows/ci.yml": "x"}, Scope(writes=(".github/**",)), None),
        ({"a": "x", "b": "x"}, Scope(max_files=1), "max_files"),
        ({"a": "1\n2\n3\n"}, Scope(max_lines=2), "max_lines"),
        ({"a": "1\n2\n"}, Scope(max_lines=2, max_files=1), None),
        ({}, Scope(), "empty"),
    ],
)
def test_scope(world: World, base: str, files, scope: Scope, rule: str | None) -> None:
    judgement = world.scope(scope, world.trees.commit(files, base), base)
    assert rules(judgement) == ([rule] if rule else [])
    assert judgement.status is (FAILED if rule else PASSED)


AUTHORED = "pyproject.toml#tool.ruff"


@pytest.mark.parametrize(
    ("files", "scope", "blamed"),
    [
        ({"pyproject.toml": '[tool.ruff]\nselect = ["E"]\n'}, Scope(), ["tool.ruff.select"]),
        ({"pyproject.toml": '[tool.ruff]\nselect = ["E"]\n'}, Scope(authors=(AUTHORED,)), []),
        ({"pyproject.toml": '[tool.ruff]\nselect = ["E"]\n'}, Scope(authors=("pyproject.toml",)), []),
        ({"pyproject.toml": '[tool.ruff]\nselect = ["E"]\n'}, Scope(authors=("*.toml",), writes=()), []),
        ({"pyproject.toml": "[tool.mypy]\n"}, Scope(authors=(AUTHORED,)), ["tool.mypy"]),
        ({"pyproject.toml": "[tool.ruffian]\nx = 1\n"}, Scope(authors=(AUTHORED,)), ["tool.ruffian.x"]),
        ({"pyproject.toml": "[project]\nname = 'x'\n"}, Scope(), []),
        (
            {"pyproject.toml": "[project]\nname = 'x'\n"},
            Scope(writes=("src/**",), authors=(AUTHORED,)),
            ["project.name"],
        ),
        ({"pyproject.toml": "[tool.ruff]\nx = 1\n"}, Scope(writes=("src/**",), authors=(AUTHORED,)), []),
        ({"pyproject.toml": "[tool.ruff]\nx = 1\n"}, Scope(protect=("pyproject.toml",), authors=(AUTHORED,)), []),
        ({"deep/package.json": '{"jest": {}}'}, Scope(), ["jest"]),
        ({"package.json": "{"}, Scope(), ["cannot be read"]),
    ],
)
def test_scope_judges_a_mixed_file_table_by_table(world: World, base: str, files, scope: Scope, blamed) -> None:
    judgement = world.scope(scope, world.trees.commit(files, base), base)
    assert [finding.rule for finding in judgement.findings] == ["judged_table"] * len(blamed)
    assert all(words in finding.message for words, finding in zip(blamed, judgement.findings, strict=True))


def test_a_name_that_differs_from_one_that_judges_by_letter_case_alone(world: World, base: str) -> None:
    """`Contest.java` is no test, but on some systems `fooTEST.java` is the file `FooTest.java`."""
    scope = Scope(protect=("*Test.java",))
    old = world.trees.commit({"FooTest.java": "x"}, base)
    assert rules(world.scope(scope, world.trees.commit({"fooTEST.java": "y"}, old), old)) == ["letter_case"]
    assert rules(world.scope(scope, world.trees.commit({"Contest.java": "y"}, old), old)) == []


def test_no_folder_becomes_a_repository(world: World, base: str) -> None:
    """A later stage whose folder it is would have git run what its config names."""
    planted = {"pkg/HEAD": "ref: refs/heads/x", "pkg/objects/keep": "", "pkg/refs/keep": "", "pkg/config": "[core]"}
    commit = world.trees.commit(planted, base)
    assert rules(world.scope(Scope(), commit, base)) == ["repository"]
    assert rules(world.scope(Scope(authors=("pkg/**",)), commit, base)) == []
    assert rules(world.scope(Scope(), world.trees.commit({"pkg/config": "[core]\n"}, commit), commit)) == ["repository"]
    assert rules(world.scope(Scope(), world.trees.commit({"pkg/config": None}, commit), commit)) == []


def test_scope_names_file_and_table_and_who_may_change_it(world: World, base: str) -> None:
    commit = world.trees.commit({"pyproject.toml": '[tool.ruff]\nselect = ["E"]\n'}, base)
    assert world.scope(Scope(), commit, base).findings[0].message == (
        "pyproject.toml: tool.ruff.select was changed, but it steers what judges: put it back as it was; only a stage"
        ' with `authors: ["pyproject.toml#tool.ruff.select"]` may change it'
    )


@pytest.mark.parametrize(
    ("files", "scope", "rule"),
    [
        ({"requirements.txt": "a\n"}, Scope(), None),
        ({"requirements.txt": "./a\n"}, Scope(), "dependency"),
        ({"requirements.txt": "./a\n"}, Scope(authors=("requirements.txt",)), None),
        ({"web/package.json": '{"devDependencies": {"mocha": "file:fake"}}'}, Scope(), "dependency"),
        ({"package-lock.json": '{"packages": {"a": {"resolved": "https://x.example/a"}}}'}, Scope(), "dependency"),
    ],
)
def test_scope_judges_where_dependencies_come_from(world: World, base: str, files, scope: Scope, rule) -> None:
    judgement = world.scope(scope, world.trees.commit(files, base), base)
    assert rules(judgement) == ([rule] if rule else [])
    assert all(finding.file in files for finding in judgement.findings)


@pytest.mark.parametrize(
    ("files", "hidden"),
    [
        ({".gitignore": "*.log\n/dist/\n# src\n!src\n"}, ""),
        ({".gitignore": "app.py\n"}, "app.py hides src/app.py"),
        ({".gitignore": "/src/\n"}, "/src/ hides src/app.py"),
        ({"src/.gitignore": "/app.*\n"}, "/app.* hides src/app.py"),
        ({"src/.gitignore": "*.py\n"}, "*.py hides src/app.py"),
        ({".ignore": "*\n"}, "* hides "),
        ({".rgignore": "app.py\n"}, "app.py hides src/app.py"),
        ({"src/.qwenignore": "app.py\n"}, "app.py hides src/app.py"),
        ({".gitignore": "deploy/\n", "deploy/run": "rm\n"}, "deploy/ hides deploy/run"),
        ({".gitignore": "*.o\n", "app.o": "as it was built\n"}, ""),
        ({"src/.gitignore": "/test_app.py\n"}, ""),
    ],
)
def test_a_candidate_hides_none_of_its_files_from_linters(world: World, base: str, files, hidden: str) -> None:
    judgement = world.scope(Scope(), world.trees.commit(files, base), base)
    assert rules(judgement) == (["ignored"] if hidden else [])
    assert all(hidden in finding.message for finding in judgement.findings)


def test_scope_takes_no_link_for_a_mixed_file(world: World, base: str) -> None:
    world.trees.commit({"src/app.py": "x"}, base)
    (world.trees.repository / "package.json").symlink_to("src/app.py")
    judgement = world.scope(Scope(), world.trees.seal(), base)
    assert rules(judgement) == ["judged_table"]


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({"tests/test_new.py": "x"}, None),
        ({"tests/data/x.bin": b"\0"}, None),
        ({"tests/test_app.py": "x"}, "protected"),
        ({"tests/test_app.py": None}, "protected"),
        ({"tests/conftest.py": "x"}, "protected"),
        ({"tests/app.py": "x"}, "protected"),
        ({"src/app.py": "x"}, "outside_writes"),
    ],
)
def test_a_stage_that_adds_tests_changes_none(world: World, base: str, files, rule: str | None) -> None:
    scope = Scope(writes=(), adds=("tests/**",), protect=PROTECTED)
    assert rules(world.scope(scope, world.trees.commit(files, base), base)) == ([rule] if rule else [])


def test_scope_names_path_and_what_would_be_right(world: World, base: str) -> None:
    judgement = world.scope(Scope(writes=("src/**",)), world.trees.commit({"README.md": "x"}, base), base)
    assert judgement.findings[0].file == "README.md"
    assert judgement.findings[0].message == (
        "README.md: was added but this stage may write only src/**: delete it, and keep to these"
    )


def test_scope_says_of_a_new_file_to_delete_it(world: World, base: str) -> None:
    """Nobody can put back what was not there."""
    for scope in (Scope(writes=()), Scope(protect=("new.txt",)), Scope(writes=(), adds=("*.txt",), protect=("*.txt",))):
        found = world.scope(scope, world.trees.commit({"new.txt": "x", ".interlock/x": "x"}, base), base).findings
        assert len(found) == 2 or scope.adds
        assert all("delete it" in one.message and "put it back" not in one.message for one in found)


def test_scope_lets_a_stage_be_empty(world: World, base: str) -> None:
    assert world.scope(Scope(), base, base, may_be_empty=True).status is PASSED
    stage = Stage("ship", gates=(Gate("scope", GateKind.SCOPE),))
    assert world.judge(stage.gates[0], base, base, stage).status is PASSED


def test_scope_sees_modes_and_links(world: World, base: str) -> None:
    (world.trees.repository / "tests/test_app.py").chmod(0o755)
    mode = world.scope(Scope(writes=("src/**",)), world.trees.seal(), base)
    assert "mode changed from 100644 to 100755" in mode.findings[0].message
    world.trees.commit({"src/app.py": None}, base)
    (world.trees.repository / "src").rmdir()
    (world.trees.repository / "src").symlink_to("tests")
    link = world.scope(Scope(writes=("src/**",)), world.trees.seal(), base)
    assert rules(link) == ["outside_writes"]
    assert "as a symbolic link" in link.findings[0].message


def test_scope_refuses_submodules(world: World, base: str) -> None:
    world.trees.commit({}, base)
    git("update-index", "--add", "--cacheinfo", f"160000,{base},vendored", cwd=world.trees.repository)
    git("commit", "-qm", "link", cwd=world.trees.repository)
    commit = git("rev-parse", "HEAD", cwd=world.trees.repository)
    assert rules(world.scope(Scope(writes=("**",)), commit, base)) == ["submodule"]


def test_conflicts_join_what_may_be_written_and_markers_must_go(world: World, base: str) -> None:
    marked = world.trees.commit({"README.md": "a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n"}, base)
    scope = Scope(writes=("src/**",))
    left = world.scope(scope, world.trees.commit({"src/app.py": "x"}, marked), marked, conflicts=("README.md",))
    assert [(finding.rule, finding.line) for finding in left.findings] == [("conflict", 2)]
    merged = world.trees.commit({"README.md": "a\nb\nc\n"}, marked)
    assert world.scope(scope, merged, marked, conflicts=("README.md",)).status is PASSED


@pytest.mark.parametrize(
    ("shell", "decided", "status", "rule"),
    [
        ("true", False, PASSED, None),
        ("echo broken; exit 3", False, FAILED, "exit"),
        ("kill -9 $$", False, FAILED, "exit"),
        ("no-such-program", False, ERRORED, "not_found"),
        ("no-such-program", True, FAILED, "not_found"),
        ("false | true", False, FAILED, "exit"),
        ("test -f src/app.py && test ! -e .interlock", False, PASSED, None),
        ('test "$UNDECLARED" = ""', False, FAILED, "exit"),
    ],
)
def test_exit_codes(world: World, base: str, shell: str, decided: bool, status, rule: str | None) -> None:
    judgement = world.judge(run_gate(shell), base, base, decided_on_input=decided)
    assert judgement.status is status
    assert rules(judgement) == ([rule] if rule else [])


def test_the_end_of_the_output_is_the_finding_and_all_of_it_the_log(world: World, base: str) -> None:
    judgement = world.judge(run_gate("seq 1 2000; printf '\\033[31mbad\\033[0m\\n::error::x\\n'; exit 1"), base, base)
    message = judgement.findings[0].message
    assert message.startswith("exit code 1\n")
    assert message.endswith("2000\nbad\n| ::error::x")
    assert len(message) <= 2000
    assert world.evidence(judgement, "log").startswith(b"1\n2\n3\n")


def test_an_argv_that_is_not_there(world: World, base: str) -> None:
    gate = Gate("check", GateKind.RUN, CommandLine(argv=("./missing",)))
    assert world.judge(gate, base, base).status is ERRORED
    assert world.judge(gate, base, base).permanent
    assert world.judge(gate, base, base, decided_on_input=True).status is FAILED


@pytest.mark.parametrize(("decided", "status"), [(False, ERRORED), (True, FAILED)])
@pytest.mark.parametrize(
    "shell",
    [
        "true",
        ": > $REPORT",
        "echo '<testsuites><testsuite><testcase' > $REPORT",
        "echo '{}' > $REPORT",
        "echo '<html></html>' > $REPORT",
        """echo '<testsuite><testcase name="a"/></testsuite>' > r.xml; ln -s "$PWD/r.xml" $REPORT""",
        "mkfifo $REPORT",
        "mkdir $REPORT",
        """echo '<!DOCTYPE x [<!ENTITY a "b">]><testsuites/>' > $REPORT""",
    ],
)
def test_what_is_no_report_decides_nothing(world: World, base: str, shell: str, decided: bool, status) -> None:
    judgement = world.judge(run_gate(shell, report=Report.JUNIT), base, base, decided_on_input=decided)
    assert (judgement.status, rules(judgement)) == (status, ["report"])


@pytest.mark.parametrize(("decided", "status"), [(False, ERRORED), (True, FAILED)])
def test_no_time_left(world: World, base: str, decided: bool, status) -> None:
    judgement = world.judge(run_gate("sleep 60", timeout_s=1), base, base, decided_on_input=decided)
    assert (judgement.status, rules(judgement)) == (status, ["timeout"])


def test_cancelled(world: World, base: str) -> None:
    world.cancel.set()
    with pytest.raises(Cancelled):
        world.judge(run_gate("true"), base, base)


def test_human_gates_are_not_for_the_referee(world: World, base: str) -> None:
    with pytest.raises(UsageError, match="approve"):
        world.judge(Gate("merge", GateKind.APPROVE), base, base)


def test_a_folder_of_reports(world: World, base: str) -> None:
    shell = (
        "mkdir $REPORT; for n in a b; do"
        " echo \"<testsuite name='$n'><testcase classname='$n' name='t'/></testsuite>\" > $REPORT/TEST-$n.xml; done"
    )
    gate = run_gate(shell, report=Report.JUNIT)
    judgement = world.judge(gate, base, base, subject=base_of("code"))
    assert judgement.status is PASSED
    again = world.judge(gate, world.trees.commit({"x": ""}, base), base, baseline=world.evidence(judgement, "report"))
    assert again.status is PASSED
    fewer = run_gate(shell.replace("a b", "a"), report=Report.JUNIT)
    lost = world.judge(fewer, base, base, baseline=world.evidence(judgement, "report"))
    assert rules(lost) == ["test_vanished"]


@pytest.mark.parametrize(
    ("path", "folder", "glob"),
    [
        ("tests/test_new.py", "", "tests/**"),
        ("web/tests/deep/test_new.py", "web", "tests/**"),
        ("src/test_new.py", "", "src/test_new.py"),
    ],
)
def test_who_adds_a_test_is_told_of_adds(world: World, base: str, path: str, folder: str, glob: str) -> None:
    stage = Stage("code", agent="a", dir=folder, scope=Scope(protect=PROTECTED))
    added = world.trees.commit({path: "x"}, base)
    (finding,) = world.judge(Gate("scope", GateKind.SCOPE), added, base, stage).findings
    assert finding.message.endswith(f"delete it; only a stage with `adds: [{glob}]` may add it")
    assert finding.rule == "protected"
