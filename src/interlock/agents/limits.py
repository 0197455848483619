"""The daily cap of a user's settings: what agents have spent since midnight, over all runs and repositories.

Rule: a cap that is reached is like a quota: the run waits until midnight, shows that it waits, and goes on by itself.
What nobody could tell is not counted, since it is not known. Each day has a file of its own, of one line for
each attempt and review; a line that was cut by a crash is passed over.

Tokens as a program tells of them while it works, and an end where a limit is reached.

Rule: it counts what the program says of each call of its model, each once; the program is ended by raising.

The setting `slots`: how many programs work at once, over all runs of the user.

Rule: an agent waits for a slot before it starts, so the wait costs nothing of its time limits.

What an agent's tokens cost, where its program does not say and the user gave a price.

Rule: what is not known stays unknown; it is never zero. What a program reports itself goes before any price.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, cast

from interlock.agents.registry import LazyAgents
from interlock.core.events import Usage
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Cancel, Checkout, Ended, Outcome

_DAYS_KEPT = 7


@dataclass(frozen=True, slots=True)
class DailyCap:
    """`folder` holds the days. 0 is no cap of that kind."""

    folder: Path
    tokens: int = 0
    cost_usd: float = 0.0
    now: Callable[[], float] = time.time

    def reached(self) -> str:
        """The cap that is reached and how much is used; empty where none is."""
        tokens, cost = map(sum, zip((0, 0.0), *self._lines(), strict=True))
        if self.tokens and tokens >= self.tokens:
            return f"daily_tokens: {tokens:g} of {self.tokens:g} used today"
        if self.cost_usd and cost >= self.cost_usd:
            return f"daily_cost_usd: {cost:g} of {self.cost_usd:g} used today"
        return ""

    def midnight(self) -> float:
        """The next one, in local time."""
        day = datetime.fromtimestamp(self.now()).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        return (day.replace(tzinfo=None) + timedelta(days=1)).astimezone().timestamp()

    def add(self, usage: Usage) -> None:
        """One write, which is whole or not there."""
        tokens = (usage.tokens_in or 0) + (usage.tokens_out or 0)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._file().open("ab", buffering=0) as file:
            file.write(f"{json.dumps([tokens, usage.cost_usd or 0.0])}\n".encode())
        for old in sorted(self.folder.iterdir())[:-_DAYS_KEPT]:
            old.unlink(missing_ok=True)

    def _lines(self) -> Iterator[tuple[float, float]]:
        try:
            lines = self._file().read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                tokens, cost = json.loads(line)
                yield float(tokens), float(cost)
            except (ValueError, TypeError):
                continue

    def _file(self) -> Path:
        return self.folder / datetime.fromtimestamp(self.now()).astimezone().strftime("%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class Capped:
    """An agent that works within the cap. Implements ports.Agent."""

    inner: Agent
    cap: DailyCap

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        if not brief.text:  # a stage's own script, which costs nothing
            return self.inner.work(spec, brief, checkout, cancel)
        if why := self.cap.reached():
            return Outcome(Ended.RATE_LIMITED, f"{why}: settings set it", retry_at=self.cap.midnight())
        outcome = self.inner.work(spec, brief, checkout, cancel)
        self.cap.add(outcome.usage)
        return outcome


def capped(agents: Mapping[str, Agent], cap: DailyCap) -> Mapping[str, Agent]:
    """The agents within the cap, if there is one."""
    if not cap.tokens and not cap.cost_usd:
        return agents
    return LazyAgents(agents, lambda name: Capped(agents[name], cap))


_LINE_MAX = 5_000_000  # bytes


class OverBudget(Exception):
    """The limit is reached. `tokens` were told by then."""

    def __init__(self, tokens: int, left: float) -> None:
        super().__init__(f"ended at {tokens} tokens: {left:g} were left of the limits")
        self.tokens = tokens


class Meter:
    """Takes a program's output in chunks. Raises OverBudget as soon as more than `left` tokens are told."""

    def __init__(self, streamed: Callable[[Mapping[str, object]], tuple[str, int] | None] | None, left: float) -> None:
        self._streamed, self._left = streamed, left
        self._calls: dict[str, int] = {}
        self._line = b""

    def __call__(self, chunk: bytes) -> None:
        *lines, self._line = (self._line + chunk).split(b"\n")
        self._line = self._line[:_LINE_MAX]
        for line in lines:
            self._count(line)

    @property
    def used(self) -> int:
        """Tokens that were told by now."""
        return sum(self._calls.values())

    def _count(self, line: bytes) -> None:
        if self._streamed is None or not line.startswith(b"{"):
            return
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        told = self._streamed(cast(Mapping[str, object], event)) if isinstance(event, dict) else None
        if told is not None:
            call, tokens = told
            self._calls[call] = max(tokens, self._calls.get(call, 0))
            if self.used >= self._left:
                raise OverBudget(self.used, self._left)


class Slot(Protocol):
    """A place at work, and what the program in it is told."""

    @property
    def environment(self) -> Mapping[str, str]: ...


Turn = Callable[[Brief, Cancel], AbstractContextManager[Slot]]


@dataclass(frozen=True, slots=True)
class Queued:
    """An agent that works in a slot. Implements ports.Agent."""

    inner: Agent
    turn: Turn

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        with self.turn(brief, cancel) as slot:
            return self.inner.work(spec, replace(brief, env={**brief.env, **slot.environment}), checkout, cancel)


def queued(agents: Mapping[str, Agent], turn: Turn) -> Mapping[str, Agent]:
    """The agents, each of which takes its turn. Raises as `turn`: Cancelled, InfrastructureError."""
    return LazyAgents(agents, lambda name: Queued(agents[name], turn))


_MILLION = 1_000_000


def priced(usage: Usage, price: object) -> Usage:
    """`usage` with its cost. `price` is the agent's option: dollars per million tokens, `input`, `output` and, for
    what came out of a cache (as `input` where it is absent), `cached`; None where none is given."""
    if usage.cost_usd is not None or not isinstance(price, Mapping):
        return usage
    if usage.tokens_in is None or usage.tokens_out is None:
        return usage
    rates = cast(Mapping[str, float], price)
    cached = min(usage.tokens_cached or 0, usage.tokens_in)  # they are among tokens_in
    cost = (usage.tokens_in - cached) * rates["input"] + usage.tokens_out * rates["output"]
    return replace(usage, cost_usd=(cost + cached * rates.get("cached", rates["input"])) / _MILLION)
