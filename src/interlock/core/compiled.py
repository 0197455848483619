"""Constructors of frozen dataclasses that take half the time, for reading long histories.

A frozen dataclass sets each field through `object.__setattr__`, which looks the field up by name every
time. Here the slots' own descriptors are called, from a function written for the class, which is how
dataclasses themselves make `__init__`. For classes with slots and without `__post_init__` only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def constructor(cls: type[T]) -> Callable[[Sequence[object]], T]:
    """Makes a `cls` of the values of all its fields in order. It raises ValueError for another number of them.

    Raises TypeError for a class that it does not fit.
    """
    names = [each.name for each in fields(cls)]  # type: ignore[arg-type]
    if "__slots__" not in vars(cls) or hasattr(cls, "__post_init__") or not names:
        raise TypeError(f"{cls.__name__} needs slots, fields and no __post_init__")
    scope: dict[str, Any] = {"new": object.__new__, "cls": cls}
    scope.update({f"set_{name}": vars(cls)[name].__set__ for name in names})
    lines = [
        "def construct(values):",
        f"    {', '.join(names)}, = values",
        "    made = new(cls)",
        *(f"    set_{name}(made, {name})" for name in names),
        "    return made",
    ]
    exec("\n".join(lines), scope)
    construct: Callable[[Sequence[object]], T] = scope["construct"]
    return construct
