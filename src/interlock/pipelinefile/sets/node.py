"""Node: node:test, vitest, jest or mocha; eslint or biome; tsc; the build script.

Rule: scripts are read from the user's package.json when the pipeline is loaded, so a candidate that edits its own
changes nothing. Tools are run from node_modules, never from the network, and with the configuration that was there at
that time, as long as it exists. Tests do not see the path of the report.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

from interlock.core.pipeline import Report
from interlock.pipelinefile import repo
from interlock.pipelinefile.sets import ResolvedGate, by_exit_code, by_report, cannot_run, lines, require, write_program

NODE_TEST_REPORT = (
    "--test-reporter=spec --test-reporter-destination=stdout "
    '--test-reporter=junit --test-reporter-destination="$report"'
)
TEST_FILE = re.compile(r"(^|/)(test|tests|__tests__)/.*\.[cm]?[jt]sx?$|(^|[/.\-_])(test|spec)\.[cm]?[jt]sx?$")
NO_TEST = "no test specified"  # what `npm init` writes
REPORT = 'report="$REPORT"; unset REPORT HELD_OUT'
JEST_REPORT = '"${TMPDIR:-/tmp}/interlock-jest.cjs"'
MOCHA_LOADING = '"${TMPDIR:-/tmp}/interlock-mocha.cjs"'
# Words of a script that are dropped: reports are ours to place, and a run must not end at its first failure.
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


def test(folder: Path) -> ResolvedGate:
    """What the test script runs, with a report if its runner is known; else the script as it is."""
    script = _script(folder, "test")
    if script:
        found = steps(_package(folder), "test")
        able = [index for index, step in enumerate(found) if _reports(folder, step)]
        return _made_to_report(folder, found, able[0]) if len(able) == 1 else _by_steps(folder, script, found)
    for runner in _RUNNERS:
        if _depends_on(folder, runner):
            return _RUNNERS[runner](folder, [])
    if any(TEST_FILE.search(name) for name in repo.files(folder)):
        return _node_test(f"node --test {NODE_TEST_REPORT}", "node:test: there are tests, and no test script")
    return cannot_run("node.test", "package.json has no test script, and there are no test files")


def lint(folder: Path) -> ResolvedGate:
    """eslint or biome if configured, else the lint script."""
    if repo.has(folder, "eslint.config.*", ".eslintrc*") or "eslintConfig" in _package(folder):
        return _eslint(folder)
    if repo.has(folder, "biome.json", "biome.jsonc"):
        return _tool("node.lint", "biome", "lint .", "biome, because it is configured")
    if script := _script(folder, "lint"):
        return _as_written(folder, "lint", script)
    return cannot_run("node.lint", "no linter is configured and package.json has no lint script")


def types(folder: Path) -> ResolvedGate:
    """The script for types if there is one, else tsc if there is a tsconfig.json."""
    for name in ("typecheck", "type-check", "types", "check-types", "tsc"):
        if script := _script(folder, name):
            return _as_written(folder, name, script, member="types")
    if repo.has(folder, "tsconfig.json"):
        return _tool("node.types", "tsc", "--noEmit -p tsconfig.json", "tsc, because there is a tsconfig.json")
    return cannot_run("node.types", "there is no tsconfig.json and no typecheck script")


def build(folder: Path) -> ResolvedGate:
    """The build script."""
    if script := _script(folder, "build"):
        return _as_written(folder, "build", script)
    return cannot_run("node.build", "package.json has no build script")


def _node_test(command: str, why: str) -> ResolvedGate:
    return replace(by_report(Report.JUNIT, lines(_node("node.test"), REPORT, command), why, "node"), canary="node")


def _reports(folder: Path, step: Step) -> bool:
    """Whether the step runs a runner that can be made to report."""
    if step.program == "node":
        return "--test" in step.words
    return step.program in _RUNNERS and _depends_on(folder, step.program)


def _made_to_report(folder: Path, found: Sequence[Step], index: int) -> ResolvedGate:
    """One step of the test script reports; the steps before and after it run as they are written."""
    step = found[index]
    if step.program == "node":  # the reporter's options must come before any path, which ends node's own options
        ready = _node_test(f"node {NODE_TEST_REPORT} {' '.join(step.words[1:])}", "node:test, from the test script")
    else:
        ready = _RUNNERS[step.program](folder, step.words[1:])
    if any((folder / word.strip("'\"")).is_file() for word in step.words[1:] if not word.startswith("-")):
        ready = replace(ready, canary="")  # it runs files by name, so an added one would not run
    *needed, command = ready.run.split("\n")
    before = [f"sh -c {shlex.quote(each.line)}" for each in found[:index]]
    after = [f"sh -c {shlex.quote(each.line)}" for each in found[index + 1 :]]
    path = PATH if before or after or step.wrapper else ""
    own = "export " + " ".join(step.env) if step.env else ""
    wrapped = " ".join((*step.wrapper, command))
    return replace(ready, run=lines(*needed, path, *before, own, wrapped, *after))


def _by_steps(folder: Path, script: str, found: Sequence[Step]) -> ResolvedGate:
    """The test script by its exit code, without the steps of linters; as it is if it has no other steps."""
    if not found:
        return _as_written(folder, "test", script)
    run = lines(_node("node.test"), PATH, *(f"sh -c {shlex.quote(step.line)}" for step in found))
    return by_exit_code(run, "the test script of package.json, by its exit code", "node")


def _vitest(folder: Path, rest: Sequence[str]) -> ResolvedGate:
    rest = [word for word in _without_ours(rest) if word not in ("run", "watch", "dev")]
    options = 'run --reporter=default --reporter=junit --outputFile.junit="$report"'
    known = _configured(folder, rest, "vitest.config.*", "vite.config.*")
    return _reporting_tool("vitest", f"{options} {' '.join(rest)}", "vitest", known)


def _jest(folder: Path, rest: Sequence[str]) -> ResolvedGate:
    """jest with a reporter of ours, so that the project needs no package for it."""
    rest = _without_ours(rest)
    options = f"--ci --forceExit --reporters=default --reporters={JEST_REPORT} {' '.join(rest)}"
    reporter = lines(write_program("jest_report.cjs", JEST_REPORT), 'export INTERLOCK_JEST_REPORT="$report"')
    known = _configured(folder, rest, "jest.config.*")
    return _reporting_tool("jest", options, "jest", lines(reporter, known))


def _mocha(folder: Path, rest: Sequence[str]) -> ResolvedGate:
    """mocha, with a file of ours that makes a test file that cannot be loaded a failing test."""
    ours = f'--require {MOCHA_LOADING} --reporter xunit --reporter-option output="$report"'
    before = lines(write_program("mocha_loading.cjs", MOCHA_LOADING), _configured(folder, rest, ".mocharc.*"))
    return _reporting_tool("mocha", f"{ours} {' '.join(_without_ours(rest))}", "mocha with its xunit report", before)


def _without_ours(words: Sequence[str]) -> list[str]:
    before = ("", *words)
    return [
        word
        for last, word in zip(before, words, strict=False)
        if last not in OURS_WITH_VALUE and word not in OURS_WITH_VALUE and not OURS.fullmatch(word)
    ]


def _configured(folder: Path, words: Sequence[str], *names: str) -> str:
    """A shell line that sets `known` to options for the configuration that was found at loading; to none if a stage,
    which may be allowed to, has moved that file."""
    known = repo.has(folder, *names)
    if not known or any(word == "-c" or word.startswith("--config") for word in words):
        return "known=()"
    return f"known=(--config {shlex.quote(known)}); [ -f {shlex.quote(known)} ] || known=()"


_RUNNERS = {"vitest": _vitest, "jest": _jest, "mocha": _mocha}


def _eslint(folder: Path) -> ResolvedGate:
    formatter = "@microsoft/eslint-formatter-sarif"
    if not _depends_on(folder, formatter):
        return _tool("node.lint", "eslint", ".", "eslint by its exit code, because it is configured")
    path = "node_modules/.bin/eslint"
    run = lines(_node("node.lint"), require("node.lint", path, INSTALL), f'{path} -f {formatter} -o "$REPORT" .')
    return by_report(Report.SARIF, run, "eslint with its SARIF formatter", "node")


def _reporting_tool(program: str, options: str, why: str, before: str) -> ResolvedGate:
    path = f"node_modules/.bin/{program}"
    command = f'{path} {options.rstrip()} ${{known[@]+"${{known[@]}}"}}'
    run = lines(_node("node.test"), require("node.test", path, INSTALL), REPORT, before, command)
    return replace(by_report(Report.JUNIT, run, f"{why}, because the project depends on it", "node"), canary=program)


def _tool(gate: str, program: str, options: str, why: str) -> ResolvedGate:
    path = f"node_modules/.bin/{program}"
    return by_exit_code(lines(_node(gate), require(gate, path, INSTALL), f"{path} {options}"), why, "node")


def _as_written(folder: Path, name: str, script: str, *, member: str = "") -> ResolvedGate:
    """A script as npm runs it: by sh, with the project's programs on PATH, between its `pre` and `post` scripts."""
    gate = f"node.{member or name}"
    scripts = [part for part in (_script(folder, f"pre{name}"), script, _script(folder, f"post{name}")) if part]
    run = lines(_node(gate), PATH, *(f"sh -c {shlex.quote(part)}" for part in scripts))
    return by_exit_code(run, f"the {name} script of package.json, by its exit code", "node")


def _node(gate: str) -> str:
    return require(gate, "node", "install Node where the gate runs")


def _package(folder: Path) -> dict[str, object]:
    return dict(repo.json_object(folder, "package.json"))


def _script(folder: Path, name: str) -> str:
    script = repo.at(_package(folder), "scripts").get(name)
    return script if isinstance(script, str) and NO_TEST not in script else ""


def _depends_on(folder: Path, package: str) -> bool:
    content = _package(folder)
    return any(package in repo.at(content, kind) for kind in ("devDependencies", "dependencies"))


DEPTH_MAX = 6
_QUOTED = re.compile(r"""'[^']*'|"[^"$`\\]*\"""")
_FOR_A_SHELL = re.compile(r"""[;|<>$`\n(){}#\\'"]|(?<!&)&(?!&)""")
_TOKEN = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*")
_MANAGERS = ("npm", "yarn", "pnpm", "bun")
_COVERAGE = ("nyc", "c8")
_WITH_VALUE = ("--include", "--exclude", "--reporter", "-r", "-x", "-n", "--lines", "--branches", "--functions",
               "--statements", "--report-dir", "--temp-dir", "--config", "--src", "--cwd", "--extension",
               "-o")  # fmt: skip
# Tools that belong to the gates lint and types: a step that runs one is not part of the tests.
_NOT_TESTS = frozenset({
    "eslint", "standard", "ts-standard", "semistandard", "neostandard", "xo", "prettier", "tslint", "jshint", "jscs",
    "biome", "oxlint", "dprint", "tsd", "attw", "publint", "snazzy", "aud", "cspell", "markdownlint", "commitlint",
    "lockfile-lint", "ls-lint", "knip", "eclint", "npmignore", "lint-staged", "dtslint", "check-dts",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a script. `words` are those that the shell would read, with their quotes; empty if the command is
    kept as it is. `env` are assignments, `wrapper` the words of a coverage program before it."""

    raw: str
    words: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The step as sh runs it."""
        if not self.words:
            return self.raw
        return " ".join(("env", *self.env, *self.wrapper, *self.words) if self.env else (*self.wrapper, *self.words))

    @property
    def program(self) -> str:
        return self.words[0] if self.words else ""


def steps(package: Mapping[str, object], name: str) -> tuple[Step, ...]:
    """The steps of the script `name` and of its `pre` and `post` scripts, without linters. Empty if there is none."""
    return tuple(step for step in _steps(repo.at(package, "scripts"), name, 0) if step.program not in _NOT_TESTS)


def _steps(scripts: Mapping[str, object], name: str, depth: int) -> Iterator[Step]:
    for each in (f"pre{name}", name, f"post{name}"):
        script = scripts.get(each)
        if isinstance(script, str) and script.strip():
            yield from _script_steps(scripts, script.strip(), depth)


def _script_steps(scripts: Mapping[str, object], script: str, depth: int) -> Iterator[Step]:
    words = _TOKEN.findall(script)
    glued = any("&&" in word and word != "&&" for word in words)
    if depth > DEPTH_MAX or glued or _FOR_A_SHELL.search(_QUOTED.sub("", script)):
        yield Step(script)
        return
    for joined, part in groupby(words, lambda word: word == "&&"):
        if not joined:
            yield from _part_steps(scripts, list(part), depth)


def _part_steps(scripts: Mapping[str, object], part: Sequence[str], depth: int) -> Iterator[Step]:
    env, words = _without_env(part)
    wrapper, words = _without_wrapper(words)
    called = _called_script(words, scripts)
    if called:
        for step in _steps(scripts, called, depth + 1):
            yield Step(step.raw, step.words, (*env, *step.env), (*wrapper, *step.wrapper))
    else:
        yield Step(" ".join(part), tuple(_without_npx(words)), tuple(env), tuple(wrapper))


def _without_env(words: Sequence[str]) -> tuple[list[str], list[str]]:
    rest = list(words[1:] if words[:1] and words[0] in ("cross-env", "env") else words)
    env = []
    while rest and _ASSIGNMENT.fullmatch(rest[0]):
        env.append(rest.pop(0))
    return env, rest


def _without_wrapper(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a coverage program with its options, and those of the command that it starts."""
    if not words or words[0] not in _COVERAGE:
        return [], list(words)
    index = 1
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in _WITH_VALUE else 1
    return list(words[:index]), list(words[index:])


def _called_script(words: Sequence[str], scripts: Mapping[str, object]) -> str:
    """The script that `npm run NAME` and similar start; empty if something else is run, or with more arguments."""
    if not words or words[0] not in _MANAGERS:
        return ""
    rest = [word for word in words[1:] if word not in ("-s", "--silent", "-q")]
    rest = rest[1:] if rest[:1] in (["run"], ["run-script"]) else rest
    return rest[0] if len(rest) == 1 and isinstance(scripts.get(rest[0]), str) else ""


def _without_npx(words: Sequence[str]) -> list[str]:
    """The words without `npx`, and with a program of node_modules by its name."""
    rest = list(words)
    if rest[:1] == ["npx"] and len(rest) > 1 and not rest[1].startswith("-"):
        rest = rest[1:]
    local = r"(?:\./)?node_modules/(?:\.bin/([\w.-]+)|(mocha|jest|vitest)/bin/[\w.-]+)"
    if len(rest) > 1 and rest[0] == "node" and (found := re.fullmatch(local, rest[1])):
        return [found[1] or found[2], *rest[2:]]
    if rest and (found := re.fullmatch(local, rest[0])):
        return [found[1] or found[2], *rest[1:]]
    return rest


GATES = MappingProxyType(
    {
        "node.build": build,
        "node.lint": lint,
        "node.types": types,
        "node.test": test,
    }
)
