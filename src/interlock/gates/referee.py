"""The referee: it finds the kind of a gate by its name, lets it judge, and bounds its findings. `GateContext` is what a
gate may use: ports, and the folders of its locks.

Rule: anything that a candidate does ends in a judgement; only an infrastructure error is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from interlock.gates import kinds
from interlock.gates.ci_api import Outside
from interlock.gates.held_out import HeldOut
from interlock.gates.locks import SingleFlight, Slots
from interlock.gates.reports import bounded
from interlock.gates.suppressions import with_suppressions
from interlock.ports import (
    Agent,
    Blobs,
    Cache,
    Cancel,
    Cancelled,
    GateRequest,
    Judgement,
    UsageError,
    Workspaces,
    World,
    secrets_of,
)
from interlock.process import MaskedBlobs, masked_finding


@dataclass(frozen=True, slots=True)
class GateContext:
    """`environ` is our own environment; gates see the names of it that they list. `locks` is the repository's folder of
    locks; `slots` are shared by all repositories of this user."""

    workspaces: Workspaces
    blobs: Blobs
    cache: Cache
    environ: Mapping[str, str]
    locks: Path
    slots: Slots
    agents: Mapping[str, Agent] = field(default_factory=dict)  # reviewers, by the adapter's name
    outside: Outside = field(default_factory=Outside)  # the CI of `ci` gates
    flights: SingleFlight = field(default_factory=SingleFlight)
    held_out: HeldOut = field(default_factory=HeldOut)  # where held-out files are

    def held_out_of(self, request: GateRequest) -> HeldOut:
        """With those that came with the run. Raises InfrastructureError if one of their contents is missing."""
        name = request.gate.held_out
        came = self.workspaces.held_out(request.contents, name) if name and request.contents else None
        return self.held_out if came is None else replace(self.held_out, came={name: came})


# --- the referee --------------------------------------------------------------------------------


class Referee:
    """Implements ports.Gates. Safe to use from several threads."""

    def __init__(self, context: GateContext) -> None:
        self._context = context

    @classmethod
    def sharing(cls, world: World, blobs: Blobs) -> World:
        """The world with a referee of this class, where other machines read what it puts: among these blobs."""
        gates = world.gates
        assert isinstance(gates, cls)
        return replace(world, blobs=blobs, gates=cls(replace(gates._context, blobs=blobs)))

    def evaluate(self, request: GateRequest, cancel: Cancel) -> Judgement:
        """Judge `request`. Raises Cancelled, InfrastructureError, and UsageError for a kind that no program can judge
        (a person answers it)."""
        if cancel.is_set():
            raise Cancelled(f"{request.stage.id}/{request.gate.id}: no longer wanted")
        judge = kinds.find(request.gate.kind).judge
        if judge is None:
            raise UsageError(f"a gate of kind {request.gate.kind} is answered by a person, not by a program")
        given = secrets_of(request.pipeline, self._context.environ, self._context.agents)
        secrets = tuple(value for _, value in given)
        context = replace(self._context, blobs=MaskedBlobs(self._context.blobs, secrets)) if secrets else self._context
        judgement = judge(context, request, cancel)
        judgement = with_suppressions(context.workspaces, request, judgement)
        findings = bounded(judgement.findings, secret=bool(request.gate.held_out))
        if secrets:
            findings = tuple(masked_finding(finding, secrets) for finding in findings)
        return replace(judgement, findings=findings)
