"""`changed`: what `dataclasses.replace` does, ten times as fast, for the values that every event touches.

Rule: for frozen dataclasses without slots and without `__post_init__` only: their fields are their `__dict__`.
"""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def changed(value: T, /, **changes: object) -> T:
    """A copy of `value` with these fields. Names are not looked at: the type checker and the tests do."""
    made = object.__new__(type(value))
    made.__dict__.update(value.__dict__)
    made.__dict__.update(changes)
    return made
