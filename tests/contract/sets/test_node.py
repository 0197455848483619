from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.contract.sets.projects import NODE, lay, run

from interlock.core.pipeline import Report
from interlock.pipelinefile.sets import resolve
from interlock.pipelinefile.sets.node import MOCHA_LOADING, steps

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


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


def runs(test: str, **scripts: str) -> list[str]:
    """The steps of a test script, as sh would run them."""
    return [step.line for step in steps({"scripts": {"test": test, **scripts}}, "test")]


@pytest.mark.parametrize(
    ("test", "scripts", "expected"),
    [
        ("mocha test", {}, ["mocha test"]),
        ("npm run lint && npm run unit", {"lint": "eslint .", "unit": "tape test/*.js"}, ["tape test/*.js"]),
        ("npm test:unit", {"test:unit": "x"}, ["x"]),
        ("yarn unit && pnpm run types", {"unit": "ava", "types": "tsd"}, ["ava"]),
        ("c8 --100 node --test", {}, ["c8 --100 node --test"]),
        ("nyc npm run unit", {"unit": "tape 'a b.js'"}, ["nyc tape 'a b.js'"]),
        ("cross-env NODE_ENV=test mocha", {}, ["env NODE_ENV=test mocha"]),
        ("node ./node_modules/.bin/mocha test", {}, ["mocha test"]),
        ("npx vitest run", {}, ["vitest run"]),
        ("ava", {"pretest": "tsc -b", "posttest": "eslint ."}, ["tsc -b", "ava"]),
        ("for t in test/*.js; do node $t; done", {}, ["for t in test/*.js; do node $t; done"]),
        ("xo && ava || exit 3", {}, ["xo && ava || exit 3"]),
        ("a&&b", {}, ["a&&b"]),
        ("npm run a", {"a": "npm run a"}, ["npm run a"]),
        ("npm run unit -- --watch", {"unit": "ava"}, ["npm run unit -- --watch"]),
    ],
)
def test_a_script_is_seen_through(test: str, scripts: dict[str, str], expected: list[str]) -> None:
    assert runs(test, **scripts) == expected


@pytest.mark.parametrize(
    "said", ["--reporter spec", "-R spec", "--reporter=spec", "-R dot -O a=b", "--reporter-options x=y"]
)
def test_mocha_has_one_reporter_and_that_is_ours(tmp_path: Path, said: str) -> None:
    script = {"scripts": {"test": f"mocha {said} --recursive test/*.js"}, "devDependencies": {"mocha": "10"}}
    (tmp_path / "package.json").write_text(json.dumps(script))
    last = resolve("node.test", tmp_path).run.splitlines()[-1]
    words = f'--require {MOCHA_LOADING} --reporter xunit --reporter-option output="$report" --recursive test/*.js '
    assert last == f"node_modules/.bin/mocha {words}" + '${known[@]+"${known[@]}"}'


def test_what_comes_before_and_after_a_runner_stays(tmp_path: Path) -> None:
    script = {"scripts": {"test": "npm run build && A=1 c8 mocha && ./after.sh", "build": "tsc"}}
    (tmp_path / "package.json").write_text(json.dumps({**script, "devDependencies": {"mocha": "10"}}))
    ready = resolve("node.test", tmp_path)
    assert ready.report is Report.JUNIT
    assert ready.run.splitlines()[-4:] == [
        "sh -c tsc",
        "export A=1",
        f'c8 node_modules/.bin/mocha --require {MOCHA_LOADING} --reporter xunit --reporter-option output="$report" '
        '${known[@]+"${known[@]}"}',
        "sh -c ./after.sh",
    ]
