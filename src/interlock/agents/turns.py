"""The setting `slots`: how many programs work at once, over all runs of the user.

Rule: an agent waits for a slot before it starts, so the wait costs nothing of its time limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from interlock.agents.late import LazyAgents
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Cancel, Checkout, Outcome


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
