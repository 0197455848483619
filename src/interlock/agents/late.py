"""Agents that are made where one is asked for: who only looks at runs pays for none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from interlock.ports import Agent


class LazyAgents(Mapping[str, Agent]):
    """Holds each agent once it was made. `names` are those there are."""

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
