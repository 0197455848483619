"""A test that must fail, added to each run of the tests: what changes the runner's answers changes its answer too.

Rule: each run names it anew, and it looks like any other test. It must be reported as failed, in each file that it is
in, and one more must be reported as passed; then they are removed from what is compared. If a fixture of the project
repeats them with parameters, skipped repetitions do not count, and the others must agree. Their names stand in the last
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

from interlock.conventions import commands
from interlock.core.pipeline import CommandLine, Gate, Report
from interlock.gates.reports.junit import RanTest, Status, parse
from interlock.ports import UsageError, Workspaces

# Names start with a word that is frequent in tests, so that they look like the project's own.
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
    """The random names in added tests: `name` is that of the file, each of `failing` and `passing` is in the name of
    one test. `left` and `right` differ, and the tests compare them. `files`: how many such files there are, each with
    all of these tests."""

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
    """The result of the tests that must fail. `rode`: they were in the run that is judged. `seen`: its report has at
    least one of them. `failed`: they failed as they must, or there were none. `why`: why there were none, though there
    are tests. `unheeded`: files that were broken, and the command passed. Kept runs have these names."""

    rode: bool = False
    seen: bool = False
    failed: bool = True
    why: str = ""
    unheeded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """`tests` are the project's own. `planted`: there were tests that must fail; `seen`: the report has at least one of
    them; `failed`: they failed as they must."""

    tests: tuple[RanTest, ...]
    planted: bool = False
    failed: bool = False
    seen: bool = False


_MARK = re.compile(rb"\n<!-- interlock: added ([\w-]+)/([\w,]*)/([\w,]*)/(\d+) -->\n\Z")


def with_mark(contents: tuple[bytes, ...], words: Words | None) -> tuple[bytes, ...]:
    """The report with a last line that says which tests were added; None: none were."""
    words = words or Words("-", (), ())
    fields = (words.name, ",".join(words.failing), ",".join(words.passing), str(words.files))
    return (*contents[:-1], contents[-1] + b"\n<!-- interlock: added %s -->\n" % "/".join(fields).encode())


def result_of(contents: Sequence[bytes], *, any_of_them: bool = False) -> CanaryResult:
    """The result in a marked report. `any_of_them`: one failed test is enough, since the run stops there. Raises
    Unreadable."""
    mark = _MARK.search(contents[-1])
    words = _words(mark) if mark else None
    if mark is None or words is None:
        return CanaryResult(parse(contents))
    tests = parse((*contents[:-1], contents[-1][: mark.start()]), words.all)
    own = [test for test in tests if _names(words.all, test.id)]
    theirs = tuple(test for test in tests if not _names(words.all, test.id))
    failed = _is_right(words, own, any_of_them=any_of_them)
    return CanaryResult(theirs, planted=True, failed=failed, seen=bool(own))


def added_words(report: bytes) -> tuple[str, ...]:
    """The words in the names of added tests of a kept report and of their files; empty if none were added."""
    mark = _MARK.search(report)
    words = _words(mark) if mark else None
    return words.all if words is not None else ()


def own_tests(contents: Sequence[bytes], *, is_marked: bool) -> tuple[RanTest, ...]:
    """The project's own tests of a report. `is_marked`: the last line is ours and counts. Raises Unreadable."""
    return result_of(contents).tests if is_marked else parse(contents)


def without_lines(text: bytes, words: Words) -> bytes:
    """The output without the lines that name the added tests."""
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
    """A fixture with parameters may repeat a test. Skipped repetitions do not count."""
    seen: Counter[tuple[str, Status]] = Counter()
    for test in own:
        about = next((word for word in (*words.failing, *words.passing) if word in test.id.casefold()), "")
        seen[about, test.status] += 1
    wrong = any(seen[word, Status.PASSED] for word in words.failing)
    wrong = wrong or any(seen[word, Status.FAILED] for word in words.passing)
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
# Exit codes of runners whose tests failed, if not 1.
_ENDS = MappingProxyType({"cargo": (100, 101)})

# Other errors with the same exit code, by the output.
_OTHERWISE = MappingProxyType({"vitest": rb"Unhandled (Errors?|Rejection)|unhandled errors? during"})


def joins_run(workspaces: Workspaces, gate: Gate, commit: str) -> bool:
    """Whether the tests are added to the gate's own run; else they get a run of their own."""
    if gate.report is not Report.JUNIT:
        return False
    if not gate.used and commands.stands_aside(gate.command or CommandLine(), gate.canary):
        return False
    if gate.canary == "junit" and _continues(gate.command):
        return True
    pattern = _ASIDE.get(gate.canary, "")
    if gate.used and gate.canary == "pytest":
        pattern = _COVERED  # our command continues after a failure, whatever the configuration says
    return not pattern or not re.search(pattern, _configuration(workspaces, gate, commit))


def is_failure_exit(recipe: str, code: int | None, tail: bytes) -> bool:
    """Whether the exit code says only that tests failed; `tail` is the end of the output."""
    if recipe in _OTHERWISE and re.search(_OTHERWISE[recipe], tail):
        return False
    if recipe == "mocha":
        return code is not None and 0 < code <= 255
    return code in _ENDS.get(recipe, (1,))


def _continues(command: CommandLine | None) -> bool:
    text = " ".join(command.words) if command else ""
    return any(word in text for word in ("-fae", "-fn", "--fail-at-end", "--continue"))


def _configuration(workspaces: Workspaces, gate: Gate, commit: str) -> str:
    """The text of the configuration files in the root and the gate's folder."""
    folders = {f"/{gate.dir}/" if gate.dir else "/", "/"}
    found = workspaces.files(commit, tuple(folder + name for folder in sorted(folders) for name in _CONFIGURATIONS))
    return "\n".join(_text(workspaces, commit, path) for path in found)


def _text(workspaces: Workspaces, commit: str, path: str) -> str:
    try:
        return (workspaces.read(commit, path, _READ_MAX) or b"").decode("utf-8", "replace")
    except UsageError:
        return ""
