"""What a gate may use: the ports it judges with and the folders it locks in."""

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
    """`environ` is our own environment, of which gates see what they name. `locks` is the repository's
    folder of locks; `slots` are those that all repositories of this user share."""

    workspaces: Workspaces
    blobs: Blobs
    journal: Journal
    environ: Mapping[str, str]
    locks: Path
    slots: Slots
    agents: Mapping[str, Agent] = field(default_factory=dict)  # reviewers, by the adapter's name
    outside: Outside = field(default_factory=Outside)  # the CI that `ci` gates ask
    flights: SingleFlight = field(default_factory=SingleFlight)
    held_out: HeldOut = field(default_factory=HeldOut)  # where the files are that gates name
