"""The stages of a run as a persistent map: one that was given away never changes.

Rule: a copy with one stage changed costs the same whatever the others are: the states lie in chunks, of which one is
copied. What is asked of all stages at every event is counted as they change. Only a draft, which nobody else has seen,
is changed in place, and so are the states that it alone has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from interlock.core.values import changed

_CHUNK = 32  # stages
_new = object.__new__


class _Stage(Protocol):
    @property
    def busy(self) -> bool: ...
    @property
    def live(self) -> bool: ...


S = TypeVar("S", bound=_Stage)


class Stages(Mapping[str, S]):
    """In the order of the run. `live` names the stages that the planner may want something of, `busy` counts those
    that work now."""

    __slots__ = ("_chunks", "_own", "_own_stages", "_places", "busy", "live")

    def __init__(self, stages: Iterable[tuple[str, S]] = ()) -> None:
        pairs = tuple(stages)
        states = [stage for _, stage in pairs]
        self._places = {name: place for place, (name, _) in enumerate(pairs)}
        self._chunks = [states[at : at + _CHUNK] for at in range(0, len(states), _CHUNK)]
        self._own: set[int] = set()  # chunks that no other copy has
        self._own_stages: set[int] = set()  # places of states that nobody else has seen
        self.busy = sum(stage.busy for stage in states)
        self.live = tuple(name for name, stage in pairs if stage.live)

    def having(self, name: str, stage: S) -> Stages[S]:
        """A copy with the state of one stage changed. Raises KeyError where there is no such stage."""
        made = self.draft()
        made.put(name, stage)
        return made

    def draft(self) -> Stages[S]:
        """A copy that may be changed in place until it is given away."""
        made: Stages[S] = _new(Stages)
        made._places, made._chunks, made._own, made._own_stages = self._places, self._chunks.copy(), set(), set()
        made.busy, made.live = self.busy, self.live
        return made

    def put(self, name: str, stage: S) -> None:
        """Change the state of one stage of a draft. Raises KeyError where there is no such stage."""
        place = self._places[name]
        at, within = place // _CHUNK, place % _CHUNK
        chunk = self._chunks[at]
        if at not in self._own:
            chunk = self._chunks[at] = chunk.copy()
            self._own.add(at)
        self._own_stages.discard(place)
        former, chunk[within] = chunk[within], stage
        self.count(name, stage, busy=former.busy, live=former.live)

    def own(self, name: str) -> S:
        """The state of one stage of a draft, as a copy that nobody else has seen: it may be changed in place, between
        this and `count`. Raises KeyError where there is no such stage."""
        place = self._places[name]
        at, within = place // _CHUNK, place % _CHUNK
        if place in self._own_stages:
            return self._chunks[at][within]
        copy = changed(self._chunks[at][within])  # type: ignore[type-var]
        self.put(name, copy)
        self._own_stages.add(place)
        return copy

    def count(self, name: str, stage: S, *, busy: bool, live: bool) -> None:
        """Count `stage`, which was changed in place and was `busy` and `live` before."""
        self.busy += stage.busy - busy
        if stage.live is not live:
            self.live = self._live(self._places[name], name, stage)

    def __getitem__(self, name: str) -> S:
        place = self._places[name]
        return self._chunks[place // _CHUNK][place % _CHUNK]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __repr__(self) -> str:
        return f"Stages({dict(self)!r})"

    def _live(self, place: int, name: str, stage: S) -> tuple[str, ...]:
        at = bisect_left(self.live, place, key=self._places.__getitem__)
        return (*self.live[:at], name, *self.live[at:]) if stage.live else (*self.live[:at], *self.live[at + 1 :])
