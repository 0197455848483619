"""Node: node:test, vitest, jest or mocha; eslint or biome; tsc; the build script.

Rule: a script of package.json is taken as it reads where the user stands, so a candidate that edits its
own package.json changes nothing. A tool of the project is run from node_modules, never from the network; with the
configuration that it had there, as long as that is there; and tests do not see where the report goes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from interlock.core.pipeline import Report
from interlock.spec.sets import folder as look
from interlock.spec.sets.ready import Ready, lines, missing, need, placed, plain, reporting
from interlock.spec.sets.scripts import Step, steps

NODE_TEST_REPORT = (
    "--test-reporter=spec --test-reporter-destination=stdout "
    '--test-reporter=junit --test-reporter-destination="$report"'
)
TEST_FILE = re.compile(r"(^|/)(test|tests|__tests__)/.*\.[cm]?[jt]sx?$|(^|[/.\-_])(test|spec)\.[cm]?[jt]sx?$")
NO_TEST = "no test specified"  # what `npm init` writes
REPORT = 'report="$REPORT"; unset REPORT HELD_OUT'
JEST_REPORT = '"${TMPDIR:-/tmp}/interlock-jest.cjs"'
MOCHA_LOADING = '"${TMPDIR:-/tmp}/interlock-mocha.cjs"'
# Of a script's own words: where reports go is ours, and no run ends at its first failure. Each with its value or not.
OURS_WITH_VALUE = frozenset(
    {
        "--reporter",
        "--reporters",
        "-R",
        "--reporter-option",
        "--reporter-options",
        "-O",
        "--outputFile",
        "--max-failures",
    }
)
OURS = re.compile(r"-b|--bail(=.*)?|--(reporters?|reporter-options?|outputFile(\.\w+)?|max-failures)=.*|--watch.*")
PATH = 'export PATH="$PWD/node_modules/.bin:$PATH"'
INSTALL = "let the pipeline's setup install the packages"


def test(folder: Path) -> Ready:
    """What the test script runs, made to report where that is known how; else the script as it is."""
    script = _script(folder, "test")
    if script:
        found = steps(_package(folder), "test")
        able = [index for index, step in enumerate(found) if _reports(folder, step)]
        return _made_to_report(folder, found, able[0]) if len(able) == 1 else _by_steps(folder, script, found)
    for runner in _RUNNERS:
        if _depends_on(folder, runner):
            return _RUNNERS[runner](folder, [])
    if any(TEST_FILE.search(name) for name in look.files(folder)):
        return _node_test(f"node --test {NODE_TEST_REPORT}", "node:test: there are tests, and no test script")
    return missing("node.test", "package.json has no test script, and there are no test files")


def lint(folder: Path) -> Ready:
    """eslint or biome where configured, else the lint script."""
    if look.has(folder, "eslint.config.*", ".eslintrc*") or "eslintConfig" in _package(folder):
        return _eslint(folder)
    if look.has(folder, "biome.json", "biome.jsonc"):
        return _tool("node.lint", "biome", "lint .", "biome, because it is configured")
    if script := _script(folder, "lint"):
        return _as_written(folder, "lint", script)
    return missing("node.lint", "no linter is configured and package.json has no lint script")


def types(folder: Path) -> Ready:
    """The script for types where there is one, else tsc where there is a tsconfig.json."""
    for name in ("typecheck", "type-check", "types", "check-types", "tsc"):
        if script := _script(folder, name):
            return _as_written(folder, name, script, member="types")
    if look.has(folder, "tsconfig.json"):
        return _tool("node.types", "tsc", "--noEmit -p tsconfig.json", "tsc, because there is a tsconfig.json")
    return missing("node.types", "there is no tsconfig.json and no typecheck script")


def build(folder: Path) -> Ready:
    """The build script."""
    if script := _script(folder, "build"):
        return _as_written(folder, "build", script)
    return missing("node.build", "package.json has no build script")


def _node_test(command: str, why: str) -> Ready:
    return replace(reporting(Report.JUNIT, lines(_node("node.test"), REPORT, command), why, "node"), canary="node")


def _reports(folder: Path, step: Step) -> bool:
    """Whether it is known how the step can be made to report."""
    if step.program == "node":
        return "--test" in step.words
    return step.program in _RUNNERS and _depends_on(folder, step.program)


def _made_to_report(folder: Path, found: Sequence[Step], index: int) -> Ready:
    """One step of the test script reports; what comes before and after it is run as it is written."""
    step = found[index]
    if step.program == "node":  # the reporter's options must stand before any path, which would end node's own
        ready = _node_test(f"node {NODE_TEST_REPORT} {' '.join(step.words[1:])}", "node:test, from the test script")
    else:
        ready = _RUNNERS[step.program](folder, step.words[1:])
    if any((folder / word.strip("'\"")).is_file() for word in step.words[1:] if not word.startswith("-")):
        ready = replace(ready, canary="")  # it runs files by name, and so none that is added
    *needed, command = ready.run.split("\n")
    before = [f"sh -c {shlex.quote(each.line)}" for each in found[:index]]
    after = [f"sh -c {shlex.quote(each.line)}" for each in found[index + 1 :]]
    path = PATH if before or after or step.wrapper else ""
    own = "export " + " ".join(step.env) if step.env else ""
    wrapped = " ".join((*step.wrapper, command))
    return replace(ready, run=lines(*needed, path, *before, own, wrapped, *after))


def _by_steps(folder: Path, script: str, found: Sequence[Step]) -> Ready:
    """The test script by its exit code, without the steps of linters; as it is where it has no other."""
    if not found:
        return _as_written(folder, "test", script)
    run = lines(_node("node.test"), PATH, *(f"sh -c {shlex.quote(step.line)}" for step in found))
    return plain(run, "the test script of package.json, by its exit code", "node")


def _vitest(folder: Path, rest: Sequence[str]) -> Ready:
    rest = [word for word in _without_ours(rest) if word not in ("run", "watch", "dev")]
    options = 'run --reporter=default --reporter=junit --outputFile.junit="$report"'
    known = _configured(folder, rest, "vitest.config.*", "vite.config.*")
    return _reporting_tool("vitest", f"{options} {' '.join(rest)}", "vitest", known)


def _jest(folder: Path, rest: Sequence[str]) -> Ready:
    """With a reporter of ours, so that none has to be among the project's packages."""
    rest = _without_ours(rest)
    options = f"--ci --forceExit --reporters=default --reporters={JEST_REPORT} {' '.join(rest)}"
    reporter = lines(placed("jest_report.cjs", JEST_REPORT), 'export INTERLOCK_JEST_REPORT="$report"')
    known = _configured(folder, rest, "jest.config.*")
    return _reporting_tool("jest", options, "jest", lines(reporter, known))


def _mocha(folder: Path, rest: Sequence[str]) -> Ready:
    """A test file that cannot be loaded is a test that fails, as elsewhere."""
    ours = f'--require {MOCHA_LOADING} --reporter xunit --reporter-option output="$report"'
    before = lines(placed("mocha_loading.cjs", MOCHA_LOADING), _configured(folder, rest, ".mocharc.*"))
    return _reporting_tool("mocha", f"{ours} {' '.join(_without_ours(rest))}", "mocha with its xunit report", before)


def _without_ours(words: Sequence[str]) -> list[str]:
    before = ("", *words)
    return [
        word
        for last, word in zip(before, words, strict=False)
        if last not in OURS_WITH_VALUE and word not in OURS_WITH_VALUE and not OURS.fullmatch(word)
    ]


def _configured(folder: Path, words: Sequence[str], *names: str) -> str:
    """A phrase for the options that keep to the known configuration: a stage may be allowed to move that."""
    known = look.has(folder, *names)
    if not known or any(word == "-c" or word.startswith("--config") for word in words):
        return "known=()"
    return f"known=(--config {shlex.quote(known)}); [ -f {shlex.quote(known)} ] || known=()"


_RUNNERS = {"vitest": _vitest, "jest": _jest, "mocha": _mocha}


def _eslint(folder: Path) -> Ready:
    formatter = "@microsoft/eslint-formatter-sarif"
    if not _depends_on(folder, formatter):
        return _tool("node.lint", "eslint", ".", "eslint by its exit code, because it is configured")
    path = "node_modules/.bin/eslint"
    run = lines(_node("node.lint"), need("node.lint", path, INSTALL), f'{path} -f {formatter} -o "$REPORT" .')
    return reporting(Report.SARIF, run, "eslint with its SARIF formatter", "node")


def _reporting_tool(program: str, options: str, why: str, before: str) -> Ready:
    path = f"node_modules/.bin/{program}"
    command = f'{path} {options.rstrip()} ${{known[@]+"${{known[@]}}"}}'
    run = lines(_node("node.test"), need("node.test", path, INSTALL), REPORT, before, command)
    return replace(reporting(Report.JUNIT, run, f"{why}, because the project depends on it", "node"), canary=program)


def _tool(gate: str, program: str, options: str, why: str) -> Ready:
    path = f"node_modules/.bin/{program}"
    return plain(lines(_node(gate), need(gate, path, INSTALL), f"{path} {options}"), why, "node")


def _as_written(folder: Path, name: str, script: str, *, member: str = "") -> Ready:
    """A script in the way npm runs it: by sh, with the project's programs on PATH, after its `pre` script."""
    gate = f"node.{member or name}"
    scripts = [part for part in (_script(folder, f"pre{name}"), script, _script(folder, f"post{name}")) if part]
    run = lines(_node(gate), PATH, *(f"sh -c {shlex.quote(part)}" for part in scripts))
    return plain(run, f"the {name} script of package.json, by its exit code", "node")


def _node(gate: str) -> str:
    return need(gate, "node", "install Node where the gate runs")


def _package(folder: Path) -> dict[str, object]:
    return dict(look.json_object(folder, "package.json"))


def _script(folder: Path, name: str) -> str:
    script = look.at(_package(folder), "scripts").get(name)
    return script if isinstance(script, str) and NO_TEST not in script else ""


def _depends_on(folder: Path, package: str) -> bool:
    content = _package(folder)
    return any(package in look.at(content, kind) for kind in ("devDependencies", "dependencies"))
