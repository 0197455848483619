"""The adapters, found by name: each module of `interlock.agents.kinds` has `adapter(environ, folder) -> Agent`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol, cast

from interlock.agents import kinds
from interlock.agents.late import LazyAgents
from interlock.ports import Agent


class _Kind(Protocol):
    def adapter(self, environ: Mapping[str, str], folder: Path) -> Agent: ...


def adapters(environ: Mapping[str, str], folder: Path | None = None) -> Mapping[str, Agent]:
    """Every adapter by the name that `use:` gives. `environ` is our own environment; files that an agent's
    options name are looked up in `folder` (by default where we stand)."""
    names = sorted(module.name for module in iter_modules(kinds.__path__))
    where = folder or Path.cwd()
    return LazyAgents(names, lambda name: _kind(name).adapter(environ, where))


def _kind(name: str) -> _Kind:
    return cast(_Kind, import_module(f"interlock.agents.kinds.{name}"))
