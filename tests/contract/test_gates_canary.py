"""A test that must fail in real runs of Python's runners: it is shown, it is counted nowhere, and lies show by it."""

import sys
from pathlib import Path

import pytest
from tests.contract.gates_world import World, run_gate
from tests.contract.sets.projects import UNITTEST
from tests.nightly import rest_at_night

from interlock.core.events import Severity, VerdictStatus
from interlock.core.ids import base_of
from interlock.core.pipeline import Baseline, CommandLine, Expect, Gate, GateKind, Report
from interlock.pipelinefile.sets import resolve
from interlock.ports import Judgement

PASSED, FAILED, ERRORED = VerdictStatus
FILES = {
    "app.py": "def add(a, b):\n    return a + b\n",
    "tests/test_app.py": "from app import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n",
}
WRONG = "def add(a, b):\n    return a - b\n"
PYTEST = f'PYTHONPATH=. "{sys.executable}" -B -m pytest -q -p no:cacheprovider --junitxml="$REPORT"'
LYING = "\nimport _pytest.reports as r\nr.TestReport.failed = False\nr.TestReport.passed = True\n"
SILENT = "\nimport unittest\nunittest.TestCase.assertEqual = lambda *_: None\nunittest.TestCase.assertRaises = None\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return World(tmp_path / "world", {"PATH": path})


def gate(options: str = "tests", **more: object) -> Gate:
    return run_gate(f"{PYTEST} {options}", report=Report.JUNIT, canary="pytest", **more)


def judged(world: World, checked: Gate, files: dict[str, str | None], base: str) -> Judgement:
    before = world.judge(checked, base, base, subject=base_of("code"))
    assert before.status is PASSED, before.findings
    baseline = world.evidence(before, "report") if checked.report is Report.JUNIT else None
    return world.judge(checked, world.trees.commit(files, base), base, baseline=baseline, decided_on_input=True)


def ready(world: World, base: str, name: str) -> Gate:
    world.trees.commit({}, base)
    found = resolve(name, world.trees.repository)
    command = CommandLine(shell=found.run)
    return Gate("check", GateKind.RUN, command, found.report, canary=found.canary, used=name)


def test_it_is_in_the_log_and_in_no_finding(world: World) -> None:
    base = world.trees.commit(FILES)
    right = judged(world, gate(), {"app.py": "def add(a, b):\n    return b + a\n"}, base)
    assert (right.status, right.findings) == (PASSED, ())
    assert world.evidence(right, "log").startswith(b"interlock: tests/test_")
    wrong = judged(world, gate(), {"app.py": WRONG}, base)
    assert [finding.message.split(" failed")[0] for finding in wrong.findings] == ["tests.test_app::test_add"]


TWINS = """\
import pytest

@pytest.fixture(autouse=True, scope="session", params=[1, pytest.param(2, marks=pytest.mark.skipif("True"))])
def each(request):
    pass
"""


def test_a_fixture_that_repeats_each_test_and_skips_a_parameter(world: World) -> None:
    base = world.trees.commit({**FILES, "tests/conftest.py": TWINS})
    assert judged(world, gate(), {"README": "."}, base).status is PASSED
    bent = judged(world, gate(), {"app.py": FILES["app.py"] + LYING}, base)
    assert [finding.rule for finding in bent.findings] == ["canary"]


def test_both_sides_of_new_tests_are_judged_without_it(world: World) -> None:
    base = world.trees.commit(FILES)
    new = {"tests/test_new.py": "def test_new():\n    assert 0\n"}
    assert judged(world, gate(expect=Expect.NEW_TESTS_FAIL), new, base).status is PASSED
    none = judged(world, gate(expect=Expect.NEW_TESTS_FAIL), {"README": ""}, base)
    assert [finding.rule for finding in none.findings] == ["no_new_tests"]
    assert judged(world, gate(baseline=Baseline.NO_WORSE), new, base).status is FAILED


def test_an_exit_code_that_says_more_than_that_tests_failed(world: World) -> None:
    base = world.trees.commit({**FILES, "tests/conftest.py": ""})
    ending = "def pytest_sessionfinish(session):\n    session.exitstatus = 3\n"
    found = judged(world, gate(), {"tests/conftest.py": ending}, base)
    assert [finding.rule for finding in found.findings] == ["exit"]


def test_where_it_is_not_run_on_the_base_nothing_is_decided(world: World) -> None:
    base = world.trees.commit(FILES)
    found = world.judge(gate("tests/test_app.py"), base, base, subject=base_of("code"))
    assert (found.status, found.permanent) == (ERRORED, True)
    assert "canary: false" in found.findings[0].message


def test_without_tests_there_is_none(world: World) -> None:
    base = world.trees.commit({"app.py": "", "tests/helper.py": ""})
    found = world.judge(gate(), base, base)
    assert [finding.rule for finding in found.findings] == ["no_tests"]


@pytest.mark.parametrize(
    ("options", "more"),
    # At night: -x again, but from a file.
    rest_at_night(
        [
            ("tests -x", {}),
            ("tests && ls", {}),
            ("tests", {"pytest.ini": "[pytest]\naddopts = -q -x\n"}),
        ],
        2,
    ),
)
def test_where_it_cannot_ride_along_a_second_run_shows_it(world: World, options: str, more: dict[str, str]) -> None:
    base = world.trees.commit({**FILES, **more})
    found = judged(world, gate(options), {"app.py": "def add(a, b):\n    return b + a\n"}, base)
    assert (found.status, found.findings) == (PASSED, ())
    assert [item.name for item in found.evidence] == ["log", "report", "log.must-fail", "report.must-fail"]
    lie = FILES["app.py"] + "\nimport _pytest.reports as r\nr.TestReport.failed = False\nr.TestReport.passed = True\n"
    found = judged(world, gate(options), {"app.py": lie}, base)
    assert "canary" in [finding.rule for finding in found.findings]


@pytest.mark.parametrize("options", ["-p xdist -n 2 tests", "-p no:randomly tests"])
def test_with_several_processes(world: World, options: str) -> None:
    base = world.trees.commit(FILES)
    assert judged(world, gate(options), {"README": ""}, base).status is PASSED


def test_held_out_tests_have_their_own(world: World, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "test_hidden.py").write_text("from app import add\n\n\ndef test_hidden():\n    assert add(1, 1) == 2\n")
    base = world.trees.commit(FILES)
    checked = gate('"$HELD_OUT"', held_out=str(hidden))
    assert judged(world, checked, {"README": ""}, base).status is PASSED
    lie = FILES["app.py"] + "\nimport _pytest.reports as r\nr.TestReport.failed = False\nr.TestReport.passed = True\n"
    assert [finding.rule for finding in judged(world, checked, {"app.py": lie}, base).findings] == ["canary"]
    assert [path.name for path in hidden.iterdir()] == ["test_hidden.py"]


def test_each_of_several_runs_has_its_own(world: World) -> None:
    base = world.trees.commit(FILES)
    found = judged(world, gate(repeat=2), {"README": ""}, base)
    assert found.status is PASSED
    assert world.evidence(found, "log") != world.evidence(found, "log.2")


@pytest.mark.parametrize(
    ("files", "lie"),
    [
        (FILES, LYING),
        ({**FILES, "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-x"\n'}, SILENT),
        (UNITTEST, SILENT),
        (UNITTEST, "\nimport unittest\nunittest.TestResult.addFailure = lambda *_: None\n"),
    ],
)
def test_ready_gates_have_it(world: World, files: dict[str, str], lie: str) -> None:
    base = world.trees.commit(files)
    checked = ready(world, base, "python.test")
    name = "app.py" if "app.py" in files else "adder.py"
    assert judged(world, checked, {"README": ""}, base).status is PASSED
    found = judged(world, checked, {name: files[name] + lie}, base)
    assert [finding.rule for finding in found.findings] == ["canary"]


def test_a_run_that_is_kept_is_judged_alike(world: World) -> None:
    base = world.trees.commit(FILES)
    honest = world.trees.commit({"README": ""}, base)
    lie = world.trees.commit({"app.py": FILES["app.py"] + SILENT}, base)
    baseline = world.evidence(world.judge(gate(), base, base, subject=base_of("code")), "report")
    for _ in range(2):
        found = world.judge(gate(), honest, base, baseline=baseline, decided_on_input=True)
        assert (found.status, found.findings) == (PASSED, ())
        lied = world.judge(gate(), lie, base, baseline=baseline, decided_on_input=True)
        assert [finding.rule for finding in lied.findings] == ["canary"]
    assert (found.cached, lied.cached) == (True, True)


def test_a_gate_that_speaks_by_its_exit_code_alone(world: World) -> None:
    files = {"Cargo.toml": "[package]\n", "src/lib.rs": "\n", "tests/it.rs": "#[test]\nfn b() {}\n"}
    base = world.trees.commit(files)
    told = "cat tests/*.rs; [ $(grep -c '#.test' tests/it.rs) -eq 1 ]"
    found = world.judge(run_gate(told, canary="cargo"), base, base)
    assert (found.status, [item.name for item in found.evidence]) == (PASSED, ["log", "log.must-fail"])
    for lie in ("cat tests/*.rs", told.replace("cat tests/*.rs", "true")):
        checked = run_gate(lie, canary="cargo")
        assert world.judge(checked, base, base).status is ERRORED
        lied = world.judge(checked, base, base, decided_on_input=True)
        assert [finding.rule for finding in lied.findings] == ["canary"]


def test_a_run_that_breaks_off_is_red_for_its_own_reason(world: World) -> None:
    broken = {**FILES, "tests/test_broken.py": "import missing_altogether\n"}
    base = world.trees.commit(broken)
    before = world.judge(gate(), base, base, subject=base_of("code"))
    assert before.status is FAILED
    assert [finding.rule for finding in before.findings] == ["test_failed"]
    baseline = world.evidence(before, "report")
    mended = world.trees.commit(
        {
            "missing_altogether.py": "",
            "tests/test_broken.py": broken["tests/test_broken.py"] + "\n\ndef test_it():\n    pass\n",
        },
        base,
    )
    assert world.judge(gate(), mended, base, baseline=baseline, decided_on_input=True).status is PASSED


def test_a_style_that_is_not_known_is_told(world: World) -> None:
    base = world.trees.commit({"a_test.go": "//go:build never\npackage a\n"})
    report = "<testsuite><testcase classname='a' name='b'/></testsuite>"
    found = world.judge(run_gate(f'echo "{report}" > $REPORT', report=Report.JUNIT, canary="go"), base, base)
    assert found.status is PASSED
    assert [(finding.rule, finding.severity) for finding in found.findings] == [("canary", Severity.WARNING)]


def test_a_proof_by_new_tests_is_made_without_it(world: World) -> None:
    base = world.trees.commit(FILES)
    new = {
        "app.py": FILES["app.py"] + "\n\ndef double(a):\n    return a + a\n",
        "tests/test_double.py": "from app import double\n\n\ndef test_double():\n    assert double(2) == 4\n",
    }
    found = judged(world, gate(expect=Expect.TESTS_PROVE_CHANGE), new, base)
    assert found.status is PASSED
    assert [finding.message.partition(" ")[0] for finding in found.findings] == ["tests.test_double::test_double"]
    idle = judged(world, gate(expect=Expect.TESTS_PROVE_CHANGE), {"README": ""}, base)
    assert [finding.rule for finding in idle.findings] == ["no_new_tests"]
