"""Names and texts for tests that must fail: by chance, and pronounceable like others."""

from __future__ import annotations

import random
from dataclasses import dataclass

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
