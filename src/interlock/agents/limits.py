"""What agents may use: the tokens of one attempt, the price of tokens, the daily cap, and the slots.

Rule: a value that nobody reported stays unknown; it is never zero. A program that reaches the limit of its attempt is
stopped by an exception. A daily cap that is reached is like a quota: the run waits until midnight and goes on by
itself. An agent waits for a slot before it starts, so the wait does not count toward its timeouts.
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

from interlock.agents import LazyAgents
from interlock.core.events import Usage
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Cancel, Checkout, Ended, Outcome

_LINE_MAX = 5_000_000  # bytes
_DAYS_KEPT = 7
_MILLION = 1_000_000


class OverBudget(Exception):
    """The limit is reached, after `tokens` were used."""

    def __init__(self, tokens: int, remaining: float) -> None:
        super().__init__(f"stopped after {tokens} tokens: the limits allowed {remaining:g}")
        self.tokens = tokens


class Meter:
    """Counts tokens while a program works; it gets the output in chunks. `call_tokens` reads the id of a model call and
    its tokens so far from an event; each call counts once. Raises OverBudget at `remaining` tokens."""

    def __init__(
        self, call_tokens: Callable[[Mapping[str, object]], tuple[str, int] | None] | None, remaining: float
    ) -> None:
        self._call_tokens, self._remaining = call_tokens, remaining
        self._calls: dict[str, int] = {}
        self._line = b""

    def __call__(self, chunk: bytes) -> None:
        *lines, self._line = (self._line + chunk).split(b"\n")
        self._line = self._line[:_LINE_MAX]
        for line in lines:
            self._count(line)

    @property
    def used(self) -> int:
        return sum(self._calls.values())

    def _count(self, line: bytes) -> None:
        if self._call_tokens is None or not line.startswith(b"{"):
            return
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        counted = self._call_tokens(cast(Mapping[str, object], event)) if isinstance(event, dict) else None
        if counted is not None:
            call, tokens = counted
            self._calls[call] = max(tokens, self._calls.get(call, 0))
            if self.used >= self._remaining:
                raise OverBudget(self.used, self._remaining)


def priced(usage: Usage, price: object) -> Usage:
    """`usage` with its cost, if the program reported none. `price` is the agent's option, or None: dollars per million
    tokens as `input`, `output` and, for tokens from a cache, `cached` (by default the same as `input`)."""
    if usage.cost_usd is not None or not isinstance(price, Mapping):
        return usage
    if usage.tokens_in is None or usage.tokens_out is None:
        return usage
    rates = cast(Mapping[str, float], price)
    cached = min(usage.tokens_cached or 0, usage.tokens_in)  # tokens_in includes them
    cost = (usage.tokens_in - cached) * rates["input"] + usage.tokens_out * rates["output"]
    return replace(usage, cost_usd=(cost + cached * rates.get("cached", rates["input"])) / _MILLION)


@dataclass(frozen=True, slots=True)
class DailyCap:
    """What agents may use per day, over all runs and repositories of the user; 0 means no cap. `folder` has a file per
    day with one line for each attempt and review. A line that a crash cut is ignored."""

    folder: Path
    tokens: int = 0
    cost_usd: float = 0.0
    now: Callable[[], float] = time.time

    def reached(self) -> str:
        """The cap that is reached, and how much is used; empty if no cap is reached."""
        tokens, cost = map(sum, zip((0, 0.0), *self._lines(), strict=True))
        if self.tokens and tokens >= self.tokens:
            return f"daily_tokens: {tokens:g} of {self.tokens:g} used today"
        if self.cost_usd and cost >= self.cost_usd:
            return f"daily_cost_usd: {cost:g} of {self.cost_usd:g} used today"
        return ""

    def midnight(self) -> float:
        """The next midnight, in local time."""
        day = datetime.fromtimestamp(self.now()).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        return (day.replace(tzinfo=None) + timedelta(days=1)).astimezone().timestamp()

    def add(self, usage: Usage) -> None:
        """Append a line in one write: it is there completely or not at all."""
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
class CappedAgent:
    """An agent that works within the daily cap. Implements ports.Agent."""

    inner: Agent
    cap: DailyCap

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        if not brief.text:  # the script of a stage, which costs nothing
            return self.inner.work(spec, brief, checkout, cancel)
        if why := self.cap.reached():
            return Outcome(Ended.RATE_LIMITED, f"{why} (a limit of your settings)", retry_at=self.cap.midnight())
        outcome = self.inner.work(spec, brief, checkout, cancel)
        self.cap.add(outcome.usage)
        return outcome


def with_daily_cap(agents: Mapping[str, Agent], cap: DailyCap) -> Mapping[str, Agent]:
    """The agents within the cap, if there is one."""
    if not cap.tokens and not cap.cost_usd:
        return agents
    return LazyAgents(agents, lambda name: CappedAgent(agents[name], cap))


class Slot(Protocol):
    """One of the setting `slots`, the number of programs that work at once over all runs of the user."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables for the program in it."""


TakeSlot = Callable[[Brief, Cancel], AbstractContextManager[Slot]]


@dataclass(frozen=True, slots=True)
class SlotAgent:
    """An agent that works in a slot. Implements ports.Agent."""

    inner: Agent
    take: TakeSlot

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        with self.take(brief, cancel) as slot:
            return self.inner.work(spec, replace(brief, env={**brief.env, **slot.environment}), checkout, cancel)


def with_slots(agents: Mapping[str, Agent], take: TakeSlot) -> Mapping[str, Agent]:
    """The agents, each of which waits for a slot. Raises what `take` raises: Cancelled, InfrastructureError."""
    return LazyAgents(agents, lambda name: SlotAgent(agents[name], take))
