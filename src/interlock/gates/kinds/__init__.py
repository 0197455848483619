"""Kinds of gates, one module each, named like the kind: its `KIND` says everything of it.

Rule: a module here imports little at its top, since every verb that reads a recorded pipeline loads it; what it judges
with is imported by its `judge`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.gates.declaration import Kind


def names() -> tuple[str, ...]:
    return _names(tuple(__path__))


def find(name: str) -> Kind:
    """Raises KeyError for a kind that there is not."""
    if name not in names():
        raise KeyError(name)
    kind: Kind = import_module(f"{__name__}.{name}").KIND
    return kind


def all_kinds() -> tuple[Kind, ...]:
    """In the order of their names."""
    return tuple(find(name) for name in names())


@cache
def _names(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(module.name for module in iter_modules(path)))
