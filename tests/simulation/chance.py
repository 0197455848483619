"""Seeded chance: one stream per concern, so that leaving one kind of fault out leaves the others as they were."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar
from zlib import crc32

_T = TypeVar("_T")


class Fault(StrEnum):
    """What can be left out of a scenario when a failure is shrunk."""

    CRASHES = "crashes"  # the owner dies between effects, inside a port, or around an append
    STOPS = "stops"  # the owner is stopped and goes on after another took the run
    STRAYS = "strays"  # reports of the dead arrive at the living
    DUPLICATES = "duplicates"  # a report arrives twice
    TROUBLE = "trouble"  # infrastructure fails
    NOISE = "noise"  # humans say stale and nonsensical things
    REGRETS = "regrets"  # somebody cancels while something is at work
    BAD = "bad"  # agents are wrong


ALL_FAULTS = frozenset(Fault)


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that a simulated run hangs on."""

    seed: int
    stages_max: int = 6
    faults: frozenset[Fault] = ALL_FAULTS
    quiet_after: int = 10_000  # no fault after this many events

    def without(self, fault: Fault) -> Scenario:
        return replace(self, faults=self.faults - {fault})


class Chance:
    """Draws of one concern. `rate` is how often `happens` is true."""

    __slots__ = ("_random", "choice", "randrange", "rate", "uniform")

    def __init__(self, seed: int, name: str, rate: float = 0.0) -> None:
        self._random = random.Random(seed * 1_000_003 + crc32(name.encode()))
        self.rate = rate
        self.choice = self._random.choice
        self.randrange = self._random.randrange
        self.uniform = self._random.uniform

    def happens(self) -> bool:
        return self.rate > 0 and self._random.random() < self.rate

    def one_in(self, rate: float) -> bool:
        return self._random.random() < rate

    def some(self, items: Sequence[_T], most: int) -> list[_T]:
        return self._random.sample(list(items), min(len(items), self._random.randint(0, most)))


def fault_chance(scenario: Scenario, fault: Fault, rates: Sequence[float]) -> Chance:
    """How often `fault` happens in this run: one of `rates`, or never where the scenario leaves it out."""
    chance = Chance(scenario.seed, fault)
    rate = chance.choice(rates)
    chance.rate = rate if fault in scenario.faults else 0.0
    return chance


def portion(*said: object) -> float:
    """A number in [0, 1) that is the same for the same words: what a tree is worth never changes."""
    return crc32("|".join(map(str, said)).encode()) / 2**32
