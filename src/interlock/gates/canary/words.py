"""Names and texts for tests that must fail: by chance, and pronounceable like others."""

from __future__ import annotations

import random
from dataclasses import dataclass

_CONSONANTS, _VOWELS = "bdfgklmnprstv", "aeiou"
_SYLLABLES = 5  # 13 * 5 to the fifth: a billion
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
    return "".join(_chance.choice(_CONSONANTS) + _chance.choice(_VOWELS) for _ in range(_SYLLABLES))
