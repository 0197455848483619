"""The daily cap of a user's settings: what agents have spent since midnight, over all runs and repositories.

Rule: a cap that is reached is like a quota: the run waits until midnight, shows that it waits, and goes on by itself.
What nobody could tell is not counted, since it is not known. Each day has a file of its own, of one line for
each attempt and review; a line that was cut by a crash is passed over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from interlock.agents.late import LazyAgents
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
