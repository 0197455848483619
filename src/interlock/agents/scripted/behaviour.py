"""How the scripted agent behaves in an attempt, drawn from seed and attempt and from nothing else.

Rule: every draw is a digest, so that it does not hang on the order of attempts or on the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum


class Behaviour(StrEnum):
    RIGHT = "right"
    WRONG_FIX = "wrong_fix"  # a plausible change that does not do
    EDITED_TEST = "edited_test"  # tampers with what is protected
    CRASH = "crash"  # breaks off in the middle of the right change
    LIE = "lie"  # says that it is done, and has changed nothing
    HANG = "hang"  # says nothing any more, and never ends


FAULTS = tuple(behaviour for behaviour in Behaviour if behaviour is not Behaviour.RIGHT)


def draw(seed: int, attempt: str, rate: float, faults: Sequence[Behaviour]) -> Behaviour:
    """RIGHT, or with probability `rate` one of `faults`, each as likely as the others."""
    chance, choice = _numbers(seed, attempt)
    if not faults or chance / 2**64 >= rate:
        return Behaviour.RIGHT
    return faults[choice % len(faults)]


def spread(seed: int, attempt: str) -> float:
    """A factor between 0.8 and 1.2 for what is pretended to be used."""
    return 0.8 + 0.4 * _numbers(seed, f"usage {attempt}")[0] / 2**64


def _numbers(seed: int, attempt: str) -> tuple[int, int]:
    digest = hashlib.sha256(f"{seed} {attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")
