from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.contract.sets.projects import NODE, lay, run

from interlock.core.pipeline import Report
from interlock.spec.sets import resolve

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    return tmp_path / "tmp"


def package(scripts: dict[str, str], *packages: str) -> dict[str, str]:
    content = {"scripts": scripts, "devDependencies": dict.fromkeys(packages, "*")}
    return {"package.json": json.dumps(content)}


@needs_node
def test_node_test_green_and_red(project: Path, tmp: Path):
    ready = resolve("node.test", lay(project, NODE))
    assert ready.report is Report.JUNIT
    green = run(ready, project, tmp)
    assert green.code == 0, green.output
    assert green.cases() == {"test::adds": "passed"}
    lay(project, {"adder.js": "export const add = (a, b) => a - b;\n"})
    red = run(ready, project, tmp)
    assert red.code == 1
    assert red.cases() == {"test::adds": "failure"}


@needs_node
def test_node_test_with_a_path_in_its_script(project: Path, tmp: Path):
    lay(project, NODE)
    lay(project, {"package.json": '{"type": "module", "scripts": {"test": "node --test test/"}}'})
    green = run(resolve("node.test", project), project, tmp)
    assert green.cases() == {"test::adds": "passed"}, green.output


@needs_node
def test_tests_without_a_script_are_run_by_node_test(project: Path, tmp: Path):
    lay(project, {**NODE, "package.json": '{"type": "module"}'})
    assert run(resolve("node.test", project), project, tmp).cases() == {"test::adds": "passed"}


@needs_node
def test_a_script_is_judged_as_it_was_where_the_user_stands(project: Path, tmp: Path):
    ready = resolve("node.test", lay(project, package({"pretest": "exit 3", "test": "true && true"})))
    assert ready.report is Report.NONE
    lay(project, package({"test": "true"}))
    assert run(ready, project, tmp).code == 3


@needs_node
def test_a_program_of_the_project_that_was_not_installed_ends_with_127(project: Path, tmp: Path):
    ready = resolve("node.test", lay(project, package({"test": "vitest"}, "vitest")))
    ran = run(ready, project, tmp)
    assert ran.code == 127
    assert "vitest is missing" in ran.output


@pytest.mark.parametrize(
    ("files", "phrase", "report"),
    [
        (package({"test": "vitest --coverage"}, "vitest"), 'outputFile.junit="$report" --coverage', Report.JUNIT),
        (package({"test": "jest --watch -b --reporters x"}, "jest"), 'interlock-jest.cjs" ${known', Report.JUNIT),
        (package({"test": "jest"}, "jest"), "node_modules/.bin/jest --ci --forceExit", Report.JUNIT),
        (package({"test": "mocha -r ts-node/register"}, "mocha"), '="$report" -r ts-node/register', Report.JUNIT),
        (package({"test": "mocha -R dot --bail x"}, "mocha"), '="$report" x ${known', Report.JUNIT),
        (
            {"jest.config.cjs": "", **package({"test": "jest"}, "jest")},
            "known=(--config jest.config.cjs)",
            Report.JUNIT,
        ),
        (package({"test": "node --test a b"}), "node --test-reporter=spec", Report.JUNIT),
        (package({"test": "tap | tee log"}), "sh -c 'tap | tee log'", Report.NONE),
        (package({"test": 'echo "Error: no test specified" && exit 1'}, "vitest"), "vitest run", Report.JUNIT),
    ],
)
def test_the_test_script_is_made_to_report(project: Path, files: dict[str, str], phrase: str, report: Report):
    ready = resolve("node.test", lay(project, files))
    assert phrase in ready.run
    assert ready.report is report


@pytest.mark.parametrize(
    ("name", "files", "phrase"),
    [
        ("node.lint", {"eslint.config.js": "", **package({}, "eslint")}, "node_modules/.bin/eslint ."),
        ("node.lint", {"eslint.config.js": "", **package({}, "@microsoft/eslint-formatter-sarif")}, '-o "$REPORT"'),
        ("node.lint", {"biome.json": "{}"}, "biome lint ."),
        ("node.lint", package({"lint": "standard"}), "sh -c standard"),
        ("node.types", {"tsconfig.json": "{}"}, "tsc --noEmit"),
        ("node.types", package({"typecheck": "tsc -b"}), "sh -c 'tsc -b'"),
        ("node.build", package({"build": "tsup"}), "sh -c tsup"),
    ],
)
def test_the_other_gates(project: Path, name: str, files: dict[str, str], phrase: str):
    ready = resolve(name, lay(project, files))
    assert phrase in ready.run
    assert ready.applies


def test_a_broken_package_json_is_no_crash(project: Path):
    assert not resolve("node.test", lay(project, {"package.json": "{"})).applies
