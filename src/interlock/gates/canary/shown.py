"""What a report shows of the tests that must fail. Pure.

Rule: each of them was reported as failed, in each file that they are in, and nothing else was said of it; the one that
must pass was reported as passed. Tests of the project do not hide behind their names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from interlock.gates.canary.words import Words
from interlock.gates.reports.junit import RanTest, Status, parse

_MARK = re.compile(rb"\n<!-- interlock: added ([\w-]+)/([\w,]*)/([\w,]*)/(\d+) -->\n\Z")


@dataclass(frozen=True, slots=True)
class Shown:
    """`tests` are the project's own. `planted`: there were tests that must fail; `seen`: the
    report has at least one of them; `failed`: all is right with them."""

    tests: tuple[RanTest, ...]
    planted: bool = False
    failed: bool = False
    seen: bool = False


def marked(contents: tuple[bytes, ...], words: Words | None) -> tuple[bytes, ...]:
    """A report with the line that says what was added to the run; None: nothing was."""
    words = words or Words("-", (), ())
    fields = (words.name, ",".join(words.failing), ",".join(words.passing), str(words.files))
    return (*contents[:-1], contents[-1] + b"\n<!-- interlock: added %s -->\n" % "/".join(fields).encode())


def shown(contents: Sequence[bytes], *, any_of_them: bool = False) -> Shown:
    """What a marked report says. `any_of_them`: one that failed is enough: the run stops there. Raises Unreadable."""
    mark = _MARK.search(contents[-1])
    words = _words(mark) if mark else None
    if mark is None or words is None:
        return Shown(parse(contents))
    tests = parse((*contents[:-1], contents[-1][: mark.start()]), words.all)
    own = [test for test in tests if _names(words.all, test.id)]
    theirs = tuple(test for test in tests if not _names(words.all, test.id))
    failed = _is_right(words, own, any_of_them=any_of_them)
    return Shown(theirs, planted=True, failed=failed, seen=bool(own))


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
