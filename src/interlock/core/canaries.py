"""Which test runners a test that must fail can be added for, and what a command does with it. Pure.

Rule: a command is recognised by the program that it starts. One that names test files or picks tests by name would
leave the added test out, and is not recognised.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from interlock.core.pipeline import CommandLine

_SCRIPT = r"(?![-$]).*\w\.[cm]?[jt]sx?"


@dataclass(frozen=True, slots=True)
class _Runner:
    """Words of its command line: `picks` leave tests out, `stops` end at the first failure or do more than test."""

    picks: str
    stops: str


_RUNNERS = MappingProxyType(
    {
        "pytest": _Runner(
            r"-k.*|--lf|--last-failed|--nf|--new-first|--deselect.*|--pyargs|--co|--collect-only|.*::.*|(?!-).*\.py",
            r"--exitfirst|--maxfail.*|--sw|--stepwise|-(?![rpkmncoW])[a-zA-Z]*x[a-zA-Z]*",
        ),
        "unittest": _Runner(r"-k.*|(?!-).*\.py|[A-Za-z_]\w*(\.\w+)+", r"-f|--failfast"),
        "node": _Runner(rf"--test-(name|skip)-pattern.*|--test-only|--test-shard.*|{_SCRIPT}", r"--watch"),
        "vitest": _Runner(rf"-t|--testNamePattern.*|--changed.*|related|--shard.*|{_SCRIPT}", r"--bail.*"),
        "jest": _Runner(
            rf"-t|--testNamePattern.*|--testPathPatterns?.*|-o|--onlyChanged|--changedSince.*|--findRelatedTests"
            rf"|--runTestsByPath|--shard.*|{_SCRIPT}",
            r"-b|--bail.*",
        ),
        "mocha": _Runner(rf"-g|-f|--f?grep.*|{_SCRIPT}", r"-b|--bail"),
        "go": _Runner(r"-run.*|(?!-).*\.go", r"-failfast"),
        "cargo": _Runner(r"-E|--filter.*|--test|--lib|--bins?|--doc|-p|--package", r"--fail-fast"),
        "junit": _Runner(
            r"-D(it\.)?test=.*|--tests|-pl|--projects|-D(skipTests|maven\.test\.skip).*",
            r"-ff|--fail-fast|(clean-)?(verify|install|package|deploy|build|check)",
        ),
    }
)
RECIPES = tuple(_RUNNERS)
BREAKING = "script"  # the recipe of gates that name the files to break

_BEFORE = frozenset(
    {"exec", "env", "time", "command", "nice", "xvfb-run", "uv", "poetry", "pdm", "hatch", "pipenv", "run", "npx",
     "pnpm", "yarn", "dlx", "c8", "nyc"}
)  # fmt: skip
_PROGRAMS = MappingProxyType(
    {"pytest": "pytest", "py.test": "pytest", "vitest": "vitest", "jest": "jest", "mocha": "mocha", "gotestsum": "go",
     "mvn": "junit", "mvnw": "junit", "gradle": "junit", "gradlew": "junit"}
)  # fmt: skip
_MODULES = MappingProxyType({"pytest": "pytest", "unittest": "unittest", "xmlrunner": "unittest"})
_WITH_FILE = frozenset(
    {"-c", "--config", "--reporter", "--reporters", "-r", "--require", "--import", "--loader", "--experimental-loader",
     "--env-file", "--setupFiles", "--file", "--rootdir", "-o", "-p", "--test-reporter"}
)  # fmt: skip
_NOT_RUN = frozenset({"export", "set", "cd", "mkdir", "unset", "echo", "true"})
_THRESHOLD = re.compile(r"fail[-_]under|coverage-?[tT]hreshold|thresholds|check-coverage|--test-coverage-")


def recognised(command: CommandLine) -> str:
    """The recipe for the runner that the command starts; empty where none is known or it would leave a new test out."""
    for words in _simple(command):
        name, rest = _runner(words)
        if name:
            return "" if any(_picks(name, rest)) else name
    return ""


def named(command: CommandLine, recipe: str) -> tuple[str, ...]:
    """Words of the runner's command line that may be folders of tests."""
    found = (rest for words in _simple(command) for name, rest in (_runner(words),) if name == recipe)
    return tuple(word for word in next(found, []) if not word.startswith(("-", "$")))


def stands_aside(command: CommandLine, recipe: str) -> bool:
    """Whether a failing test would keep the command from all that it does: it stops at the first failure, goes on to
    other commands, or judges coverage by an exit code that a failing test has too."""
    commands = [words for words in _simple(command) if words[0] not in _NOT_RUN]
    at = next((index for index, words in enumerate(commands) if _runner(words)[0] == recipe), len(commands))
    words = [word for found in commands for word in found]
    stops = re.compile(_RUNNERS[recipe].stops)
    if commands[at + 1 :] or any(stops.fullmatch(word) or _THRESHOLD.search(word) for word in words):
        return True
    return recipe == "cargo" and "--no-fail-fast" not in words


def _picks(recipe: str, words: Sequence[str]) -> Iterator[bool]:
    """For each word whether it leaves tests out."""
    pattern = re.compile(_RUNNERS[recipe].picks)
    for before, word in zip(("", *words), words, strict=False):
        if before == "-m" and recipe == "pytest":
            yield not word.startswith("not ")
        elif before not in _WITH_FILE:
            yield pattern.fullmatch(word) is not None and "*" not in word


def _simple(command: CommandLine) -> Iterator[list[str]]:
    """The simple commands, as far as words tell."""
    if command.argv:
        yield list(command.argv)
        return
    for line in command.shell.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
        lexer.whitespace_split = True
        words: list[str] = []
        try:
            for word in lexer:
                if set(word) <= set(";&|()"):
                    yield from [words] if words else []
                    words = []
                else:
                    words.append(word)
        except ValueError:  # a quote that another line closes
            pass
        yield from [words] if words else []


def _runner(words: Sequence[str]) -> tuple[str, list[str]]:
    """The recipe of a simple command, and the words after the program."""
    rest = [word for word in words if not re.fullmatch(r"\w+=.*", word)]
    while rest and (rest[0] in _BEFORE or rest[0].startswith("-")):
        rest = rest[2 if rest[0] == "-u" else 1 :]  # `env -u NAME`
    program = rest[0].rpartition("/")[2] if rest else ""
    if re.fullmatch(r"python[\d.]*", program) and "-m" in rest[:-1]:
        at = rest.index("-m")
        return _MODULES.get(rest[at + 1], ""), rest[at + 2 :]
    if program == "node" and "--test" in rest:
        return "node", [word for word in rest[1:] if word != "--test"]
    if program == "go" and rest[1:2] == ["test"]:
        return "go", rest[2:]
    if program == "cargo" and rest[1:2] in (["test"], ["nextest"]):
        return "cargo", rest[2:]
    return _PROGRAMS.get(program, ""), rest[1:]
