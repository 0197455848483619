"""What a gate may use: ports, and the folders of its locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.gates.ci_api import Outside
from interlock.gates.held_out import HeldOut
from interlock.gates.locks import SingleFlight, Slots
from interlock.ports import Agent, Blobs, Journal, Workspaces


@dataclass(frozen=True, slots=True)
class GateContext:
    """`environ` is our own environment; gates see the names of it that they list. `locks` is the repository's folder of
    locks; `slots` are shared by all repositories of this user."""

    workspaces: Workspaces
    blobs: Blobs
    journal: Journal
    environ: Mapping[str, str]
    locks: Path
    slots: Slots
    agents: Mapping[str, Agent] = field(default_factory=dict)  # reviewers, by the adapter's name
    outside: Outside = field(default_factory=Outside)  # the CI of `ci` gates
    flights: SingleFlight = field(default_factory=SingleFlight)
    held_out: HeldOut = field(default_factory=HeldOut)  # where held-out files are
