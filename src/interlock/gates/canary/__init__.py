"""A test that must fail, added to each run of the tests: what changes the runner's answers changes its answer too.

Rule: each run names it anew, and it looks like any other test. It must be reported as failed, in each file that it is
in, and one more must be reported as passed; then they are removed from what is compared. Their names stand in the last
line of the kept report, which is ours and no candidate's. If a failing test would change what else the run says
(fail-fast, coverage thresholds, commands that follow, a gate that only has an exit code), it gets a run of its own.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from interlock.core import canaries
from interlock.core.pipeline import CommandLine, Gate, Report
from interlock.gates.reports.junit import RanTest, Status, parse
from interlock.ports import UsageError, Workspaces

# A word of tests in front, so that no look at a name tells it from the project's own.
_WORDS_OF_TESTS = """
add allow apply build call cast check clear close compare convert copy count create default delete empty
encode equal error escape event fail fetch field filter find flag flush format handle hash header import index
init insert invalid item join keep key last limit line list load lock long lookup map mark match merge missing
mode move name nested null number open option order pack page parse part path prefix print range read remove
render repeat replace reset resolve return reverse round save scan select send set shift short show simple
size skip sort split start state stop store strip suffix sum swap tag text time token trim type unique update
upper value wrap write zero
"""
_STEMS = tuple(_WORDS_OF_TESTS.split())
_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwz", "aeiou"
_ENDINGS: tuple[str, ...] = ("", "", *_CONSONANTS)
_SYLLABLES = (3, 4)  # a million at least behind each stem
_chance = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Words:
    """`name` is that of the file; `failing` and `passing` are in the names of one test each. `left` and `right` differ,
    and stand in what the tests compare. `files`: how many such files there are, each with all of these tests."""

    name: str
    failing: tuple[str, ...]
    passing: tuple[str, ...]
    left: str = ""
    right: str = ""
    files: int = 1

    @property
    def all(self) -> tuple[str, ...]:
        return (self.name, *self.failing, *self.passing)


def new_words() -> Words:
    name, one, two, three, four, left, right = (_word() for _ in range(7))
    return Words(name, (one, two, three), (four,), left, right)


def _word() -> str:
    count = _chance.choice(_SYLLABLES)
    rest = "".join(_chance.choice(_CONSONANTS) + _chance.choice(_VOWELS) for _ in range(count))
    return _chance.choice(_STEMS) + rest + _chance.choice(_ENDINGS)


@dataclass(frozen=True, slots=True)
class MustFail:
    """What became of the tests that must fail. `rode`: they were in the run that is judged. `seen`: its report has one
    of them. `failed`: all is right with them, or there were none. `why`: there were none, though there are tests.
    `unheeded`: the files that were broken, and the command said yes."""

    rode: bool = False
    seen: bool = False
    failed: bool = True
    why: str = ""
    unheeded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """`tests` are the project's own. `planted`: there were tests that must fail; `seen`: the
    report has at least one of them; `failed`: all is right with them."""

    tests: tuple[RanTest, ...]
    planted: bool = False
    failed: bool = False
    seen: bool = False


_MARK = re.compile(rb"\n<!-- interlock: added ([\w-]+)/([\w,]*)/([\w,]*)/(\d+) -->\n\Z")


def marked(contents: tuple[bytes, ...], words: Words | None) -> tuple[bytes, ...]:
    """A report with the line that says what was added to the run; None: nothing was."""
    words = words or Words("-", (), ())
    fields = (words.name, ",".join(words.failing), ",".join(words.passing), str(words.files))
    return (*contents[:-1], contents[-1] + b"\n<!-- interlock: added %s -->\n" % "/".join(fields).encode())


def shown(contents: Sequence[bytes], *, any_of_them: bool = False) -> CanaryResult:
    """What a marked report says. `any_of_them`: one that failed is enough: the run stops there. Raises Unreadable."""
    mark = _MARK.search(contents[-1])
    words = _words(mark) if mark else None
    if mark is None or words is None:
        return CanaryResult(parse(contents))
    tests = parse((*contents[:-1], contents[-1][: mark.start()]), words.all)
    own = [test for test in tests if _names(words.all, test.id)]
    theirs = tuple(test for test in tests if not _names(words.all, test.id))
    failed = _is_right(words, own, any_of_them=any_of_them)
    return CanaryResult(theirs, planted=True, failed=failed, seen=bool(own))


def added_to(report: bytes) -> tuple[str, ...]:
    """The words that the added tests of a kept report, and their files, are named with; empty where there are none."""
    mark = _MARK.search(report)
    words = _words(mark) if mark else None
    return words.all if words is not None else ()


def own_tests(contents: Sequence[bytes], *, is_marked: bool) -> tuple[RanTest, ...]:
    """The project's own of a report: the line that says what was added counts where it is ours. Raises Unreadable."""
    return shown(contents).tests if is_marked else parse(contents)


def without_lines(text: bytes, words: Words) -> bytes:
    """Output without the lines that speak of the added tests."""
    hidden = [word.encode() for word in (*words.all, words.left, words.right)]
    lines = text.splitlines(keepends=True)
    return b"".join(line for line in lines if not any(word in line.lower() for word in hidden))


def _words(mark: re.Match[bytes]) -> Words | None:
    name, fails, passes, files = (group.decode() for group in mark.groups())
    failing, passing = ([word for word in listed.split(",") if word] for listed in (fails, passes))
    return Words(name, tuple(failing), tuple(passing), files=int(files)) if failing else None


def _names(words: Iterable[str], test: str) -> bool:
    folded = test.casefold()
    return any(word in folded for word in words)


def _is_right(words: Words, own: Sequence[RanTest], *, any_of_them: bool) -> bool:
    seen: Counter[tuple[str, Status]] = Counter()
    for test in own:
        about = next((word for word in (*words.failing, *words.passing) if word in test.id.casefold()), "")
        seen[about, test.status] += 1
    due = {**dict.fromkeys(words.failing, Status.FAILED), **dict.fromkeys(words.passing, Status.PASSED)}
    wrong = any(word in due and status is not due[word] for word, status in seen)
    if any_of_them:
        return not wrong and any(seen[word, Status.FAILED] for word in words.failing)
    failed = all(seen[word, Status.FAILED] >= words.files for word in words.failing)
    passed = all(seen[word, Status.PASSED] >= words.files for word in words.passing)
    return not wrong and failed and passed


_CONFIGURATIONS = (
    "pyproject.toml", "pytest.ini", ".pytest.ini", "pytest.toml", "tox.ini", "setup.cfg", ".coveragerc", "package.json",
    "jest.config.*", "vitest.config.*", "vitest.workspace.*", "vite.config.*", ".mocharc*", ".nycrc*", ".c8rc*",
    "pom.xml", "settings.gradle*",
)  # fmt: skip
_READ_MAX = 1_000_000
_PYTEST_STOPS = r"addopts[^\n]*(\n[ \t]+[^\n]*)*?(\s|[\"'=])(-x\b|--exitfirst|--maxfail)"
_COVERED = r"--cov\b(?s:.*)fail[-_]under|fail[-_]under(?s:.*)--cov\b|--cov-fail-under"
_BAILS = r"\bbail[\"']?\s*[:=]\s*([1-9]|true)"
_ASIDE = MappingProxyType(
    {
        "pytest": rf"{_PYTEST_STOPS}|{_COVERED}",
        "jest": rf"{_BAILS}|coverageThreshold",
        "vitest": rf"{_BAILS}|thresholds",
        "mocha": rf"{_BAILS}|check-coverage",
        "node": r"check-coverage",
        "junit": r"<modules>|\binclude\b",
    }
)
# How a runner ends whose tests failed.
_ENDS = MappingProxyType({"cargo": (100, 101)})

# What else it may end so for, and says in its output alone.
_OTHERWISE = MappingProxyType({"vitest": rb"Unhandled (Errors?|Rejection)|unhandled errors? during"})


def rides(workspaces: Workspaces, gate: Gate, commit: str) -> bool:
    """Whether the test is added to the one run of the gate."""
    if gate.report is not Report.JUNIT:
        return False
    if not gate.used and canaries.stands_aside(gate.command or CommandLine(), gate.canary):
        return False
    if gate.canary == "junit" and _goes_on(gate.command):
        return True
    pattern = _ASIDE.get(gate.canary, "")
    if gate.used and gate.canary == "pytest":
        pattern = _COVERED  # our line goes on after a failure, whatever the configuration says
    return not pattern or not re.search(pattern, _configuration(workspaces, gate, commit))


def is_end_of(recipe: str, code: int | None, tail: bytes) -> bool:
    """Whether the exit code says that tests failed, and no more; `tail` is the end of what was printed."""
    if recipe in _OTHERWISE and re.search(_OTHERWISE[recipe], tail):
        return False
    if recipe == "mocha":
        return code is not None and 0 < code <= 255
    return code in _ENDS.get(recipe, (1,))


def _goes_on(command: CommandLine | None) -> bool:
    text = " ".join(command.words) if command else ""
    return any(word in text for word in ("-fae", "-fn", "--fail-at-end", "--continue"))


def _configuration(workspaces: Workspaces, gate: Gate, commit: str) -> str:
    """What the root and the gate's folder have, one file after the other."""
    folders = {f"/{gate.dir}/" if gate.dir else "/", "/"}
    found = workspaces.files(commit, tuple(folder + name for folder in sorted(folders) for name in _CONFIGURATIONS))
    return "\n".join(_text(workspaces, commit, path) for path in found)


def _text(workspaces: Workspaces, commit: str, path: str) -> str:
    try:
        return (workspaces.read(commit, path, _READ_MAX) or b"").decode("utf-8", "replace")
    except UsageError:
        return ""
