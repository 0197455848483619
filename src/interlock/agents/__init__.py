"""Agents: what does the work of an attempt. Each module of `interlock.agents.kinds` has
`adapter(environ, folder) -> Agent`; here they are found by name.

Rule: an adapter reports how its program ended and what it used, as a claim (`Outcome`), and judges nothing. It reports
a crash as a crash. The execution, which alone sees the change, decides what a crash counts as: infrastructure if
nothing was changed, else a candidate like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol, cast

from interlock.agents import kinds
from interlock.ports import Agent


class _Kind(Protocol):
    def adapter(self, environ: Mapping[str, str], folder: Path) -> Agent: ...


def adapters(environ: Mapping[str, str], folder: Path | None = None) -> Mapping[str, Agent]:
    """Every adapter by the name in `use:`. `environ` is our own environment. Paths in an agent's options are relative
    to `folder`, by default the current folder."""
    names = sorted(module.name for module in iter_modules(kinds.__path__))
    where = folder or Path.cwd()
    return LazyAgents(names, lambda name: _kind(name).adapter(environ, where))


class LazyAgents(Mapping[str, Agent]):
    """Agents that are made at first use: a command that only shows runs imports none."""

    def __init__(self, names: Iterable[str], make: Callable[[str], Agent]) -> None:
        self._names = tuple(names)
        self._make = make
        self._made: dict[str, Agent] = {}

    def __getitem__(self, name: str) -> Agent:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _kind(name: str) -> _Kind:
    return cast(_Kind, import_module(f"interlock.agents.kinds.{name}"))
