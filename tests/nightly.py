"""What a push runs and in which order. It leaves the rest to the night: `./scripts/test --all` runs everything, and a
file or folder that is named is run as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

SLOW = Path(__file__).with_name("slow.txt")
Value = TypeVar("Value")
# A test that takes as long as a hundred others must not be the last one: two workers would wait for the third.
_LONGEST = (
    "tests/simulation/",
    "tests/kill/",
    "tests/acceptance/",
    "tests/faults/",
    "tests/attacks/",
    "tests/contract/",
)


def rest_at_night(values: Sequence[Value], pushed: int = 1) -> list[Value | object]:
    """Parameters of a test: the first `pushed` at every push, the others, which are like them, at night."""
    return [*values[:pushed], *map(_at_night, values[pushed:])]


def slow_tests(text: str) -> dict[str, int]:
    """The tests of `slow.txt`, and how many rows of each a push runs."""
    lines = (line.partition(" +") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: int(rows or 0) for name, _, rows in lines}


def beyond(names: Iterable[str], slow: Mapping[str, int]) -> set[str]:
    """Of these tests in their order, those that a push leaves out because they are slow."""
    seen: Counter[str] = Counter()
    found = set()
    for name in names:
        test = name.partition("[")[0]
        seen[test] += 1
        if seen[test] > slow.get(test, seen[test]):
            found.add(name)
    return found


def divided(tests: Iterable[Value], is_nightly: Callable[[Value], bool]) -> tuple[list[Value], list[Value]]:
    """The tests of a push, and those that it leaves to the night, each in the given order."""
    pushed: list[Value] = []
    late: list[Value] = []
    for test in tests:
        (late if is_nightly(test) else pushed).append(test)
    return pushed, late


def longest_first(tests: Iterable[Value], path: Callable[[Value], str]) -> list[Value]:
    """By folder; the unit tests, which take milliseconds, come last. `path` begins at the repository."""
    return sorted(tests, key=lambda test: _rank(path(test)))


def _rank(path: str) -> int:
    return next((rank for rank, folder in enumerate(_LONGEST) if path.startswith(folder)), len(_LONGEST))


def _at_night(value: object) -> object:
    values = value if isinstance(value, tuple) else (value,)
    return pytest.param(*values, marks=pytest.mark.nightly)
