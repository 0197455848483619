"""Rendering, and the ports that effects need, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from interlock.ports.agents import Agent
from interlock.ports.gates import Gates
from interlock.ports.journal import Blobs, Journal
from interlock.ports.time import Clock
from interlock.ports.workspaces import Workspaces


class Render(Protocol):
    def __call__(self, template: str, values: Mapping[str, object]) -> str:
        """Fill a prompt in, with strict undefined and a bound on work. Raises UsageError."""


@dataclass(frozen=True, slots=True)
class World:
    """Rendering, and the ports that effects need."""

    workspaces: Workspaces
    agents: Mapping[str, Agent]  # by the adapter's name
    gates: Gates
    blobs: Blobs
    journal: Journal
    clock: Clock
    render: Render
    holds_fence: Callable[[], bool]  # whether we still own the run: checked before effects that outlive the process
    alone: Callable[[], AbstractContextManager[object]] = nullcontext  # while it is held, nobody can take the run
