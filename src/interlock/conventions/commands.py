"""What a command line does, read from its words: which test runner it starts, whether it installs the project. Pure.

Rule: a command is recognised by the program that it starts. A command that names test files or selects tests would not
run an added test, and is not recognised. A command that cannot be read is not an install: an installed copy of the
project must not stand for later sources, so only certain answers count.
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


@dataclass(frozen=True, slots=True)
class _Fixer:
    """A program that corrects files with one of the options `fixes` (empty: always), unless with one of `checks`."""

    program: str
    verb: str
    fixes: frozenset[str]
    checks: frozenset[str]
    instead: str


_LOOKS = frozenset({"--check", "--diff", "--check-only", "-c", "--version", "--help"})
_FIXERS = (
    _Fixer("ruff", "check", frozenset({"--fix", "--fix-only"}), _LOOKS, "`ruff check` without `--fix`"),
    _Fixer("ruff", "format", frozenset(), _LOOKS, "`ruff format --check`"),
    _Fixer("black", "", frozenset(), _LOOKS - {"-c"}, "`black --check`"),
    _Fixer("isort", "", frozenset(), _LOOKS, "`isort --check-only`"),
    _Fixer("eslint", "", frozenset({"--fix"}), frozenset(), "`eslint` without `--fix`"),
    _Fixer("prettier", "", frozenset({"--write", "-w"}), frozenset(), "`prettier --check`"),
    _Fixer("gofmt", "", frozenset({"-w"}), frozenset(), "`gofmt -l`"),
)
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
_ENDS = frozenset({";", "&&", "||", "|", "&", "(", ")"})
_WITH_VALUE = frozenset(
    {"-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t",
     "--target", "--prefix", "--root", "--python", "-p", "--group", "--only-binary", "--no-binary", "--src"}
)  # fmt: skip
_LOCAL = re.compile(r"(?:\.{1,2}|\.{1,2}/[\w./+-]*|file:[^@]*)(?:\[[\w.,\s-]*\])?")
_WORD = re.compile(r"""(?:"[^"\n]*"|'[^'\n]*'|\\.|[^\s;&|()"'\\])+|[;&|()]+|\n""")


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
    rest = _from_program(words)
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


def _from_program(words: Sequence[str]) -> list[str]:
    """The program and its words, without variables and programs that start others."""
    rest = [word for word in words if not re.fullmatch(r"\w+=.*", word)]
    while rest and (rest[0] in _BEFORE or rest[0].startswith("-")):
        rest = rest[2 if rest[0] == "-u" else 1 :]  # `env -u NAME`
    return rest


def only_checks(command: CommandLine) -> str:
    """What to write where the command corrects files rather than checks them; empty if it is not known to."""
    return next(filter(None, (_only_checks(words) for words in _simple(command))), "")


def _only_checks(words: Sequence[str]) -> str:
    rest = _from_program(words)
    if rest and re.fullmatch(r"python[\d.]*", rest[0].rpartition("/")[2]) and rest[1:2] == ["-m"]:
        rest = rest[2:]
    program = rest[0].rpartition("/")[2] if rest else ""
    for fixer in _FIXERS:
        if fixer.program == program and fixer.verb in ("", *rest[1:2]):
            told = {word.partition("=")[0] for word in rest[1:]}
            if (not fixer.fixes or told & fixer.fixes) and not told & fixer.checks:
                return fixer.instead
    return ""


def installs_copy(command: CommandLine) -> bool:
    """`pip install .`, `uv sync --no-editable`, `python setup.py install` and the like."""
    return any(_copies(words) for words in _calls(command))


def _copies(words: Sequence[str]) -> bool:
    if "install" in words and _runs(words, "pip", "pip3", "pipx"):
        return _pip_copies(words[words.index("install") + 1 :])
    if "--no-editable" in words:
        return _runs(words, "uv", "pdm", "pip") and ("sync" in words or "install" in words)
    if "install" in words and any(word.rpartition("/")[2] == "setup.py" for word in words):
        return True
    return words[:2] == ["cargo", "install"] and "--path" in words


def _pip_copies(arguments: Sequence[str]) -> bool:
    """Whether one of what is to be installed is a folder, and not said to be editable."""
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in ("-e", "--editable") or word in _WITH_VALUE:
            skip = True
        elif not word.startswith("-") and _LOCAL.fullmatch(word):
            return True
    return False


def _runs(words: Sequence[str], *programs: str) -> bool:
    return any(word.rpartition("/")[2] in programs for word in words)


def _calls(command: CommandLine) -> Iterator[list[str]]:
    """The simple commands, each a list of words, quotes taken off."""
    if command.argv:
        yield list(command.argv)
        return
    text = re.sub(r"\\\n", " ", command.shell)
    words: list[str] = []
    for found in _WORD.findall(text):
        if found == "\n" or found in _ENDS:
            yield words
            words = []
        else:
            words.append(re.sub(r"""["']|\\(?=.)""", "", found))
    yield words
