"""`changed`: what `dataclasses.replace` does, ten times as fast, for the values that every event touches.

Rule: for frozen dataclasses without slots and without `__post_init__` only: their fields are their `__dict__`.
To the type checker it is `replace` itself, so that names and types of fields are checked there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import replace as changed
else:

    def changed(value: T, /, **changes: object) -> T:
        """A copy of `value` with these fields."""
        made = object.__new__(type(value))
        made.__dict__.update(value.__dict__)
        made.__dict__.update(changes)
        return made


__all__ = ["changed"]
