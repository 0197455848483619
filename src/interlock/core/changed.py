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
    _new, _set = object.__new__, object.__setattr__

    def changed(value: T, /, **changes: object) -> T:
        """A copy of `value` with these fields."""
        made = _new(type(value))
        _set(made, "__dict__", value.__dict__ | changes)
        return made


__all__ = ["changed"]
