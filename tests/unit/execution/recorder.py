"""Ports that answer as they were told and keep every call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

from interlock.core import facts
from interlock.core.effects import Operation, StartAttempt
from interlock.core.events import Event, Recorded
from interlock.execution.context import Context
from interlock.execution.perform import perform
from interlock.journal import MemoryBlobs, MemoryJournal
from interlock.pipelinefile import render
from interlock.ports import Cancel, World

NOW = 1_000.0


class Port:
    """`answers` by method: a value, an error to raise, a function to call, or a list with one of these per call."""

    def __init__(self, calls: list[tuple[Any, ...]], **answers: Any) -> None:
        self._calls, self.answers = calls, answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self.answers:
            raise AttributeError(name)

        def call(*positional: Any, **named: Any) -> Any:
            self._calls.append((name, *positional, *([named] if named else [])))
            answer = self.answers[name]
            answer = answer.pop(0) if isinstance(answer, list) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer(*positional, **named) if callable(answer) else answer

        return call


class Stopper:
    """A Cancel. `waits` are the seconds that somebody waited; the wait number `stops_at` is cut short."""

    def __init__(self, *, is_set: bool = False, stops_at: int = 0) -> None:
        self._is_set, self.stops_at = is_set, stops_at
        self.waits: list[float | None] = []

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return len(self.waits) == self.stops_at


class Scene:
    def __init__(self, agents: Mapping[str, Any] | None = None, **answers: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers = {"removal_notes": (), **answers}
        self.blobs, self.cache, self.cancel = MemoryBlobs(), MemoryJournal(), Stopper()
        self.fence: list[bool] = []
        agents = agents or {"command": Port(self.calls, work=self.answers.get("work"))}
        port: Any = Port(self.calls, **self.answers)
        clock: Any = SimpleNamespace(now=lambda: NOW)
        holds = self._holds
        self.world = World(port, agents, port, self.blobs, self.cache, clock, render, holds)

    def _holds(self) -> bool:
        return self.fence.pop(0) if self.fence else True

    def perform(self, context: Context, effect: Operation, *, recorded: bool = True) -> list[Event]:
        """All events of the effect, without the claim of an attempt."""
        claim = None
        if isinstance(effect, StartAttempt):
            claim = Recorded(1, NOW + 0.5, facts.claim(context.pipeline, effect, context.level))
        steps, events = perform(self.world, context, effect, cast(Cancel, self.cancel), claim), []
        answer: Recorded | None = None
        while True:
            try:
                event = steps.send(answer)
            except StopIteration:
                return events
            events.append(event)
            answer = Recorded(len(events), NOW + 0.5, event) if recorded else None
