"""The referee: finds the kind of a gate by its name, lets it judge, and bounds what it says.

Rule: whatever a candidate does ends in a judgement; only the machine raises.
"""

from __future__ import annotations

from dataclasses import replace

from interlock.gates import kinds
from interlock.gates.context import GateContext
from interlock.gates.reports import bounded
from interlock.gates.suppressions import with_suppressions
from interlock.ports import Cancel, Cancelled, GateRequest, Judgement, UsageError, secrets_of
from interlock.process import MaskedBlobs, masked_finding


class Referee:
    """Implements ports.Gates. Safe to use from several threads."""

    def __init__(self, context: GateContext) -> None:
        self._bench = context

    def evaluate(self, request: GateRequest, cancel: Cancel) -> Judgement:
        """Judge `request`. Raises Cancelled, InfrastructureError for the machine, and UsageError for a kind
        that no program can judge (human gates are asked for, not evaluated)."""
        if cancel.is_set():
            raise Cancelled(f"{request.stage.id}/{request.gate.id}: no longer wanted")
        judge = kinds.find(request.gate.kind).judge
        if judge is None:
            raise UsageError(f"a gate of kind {request.gate.kind} is no matter of the referee: a person answers it")
        given = secrets_of(request.pipeline, self._bench.environ, self._bench.agents)
        secrets = tuple(value for _, value in given)
        context = replace(self._bench, blobs=MaskedBlobs(self._bench.blobs, secrets)) if secrets else self._bench
        judgement = judge(context, request, cancel)
        judgement = with_suppressions(context.workspaces, request, judgement)
        findings = bounded(judgement.findings, secret=bool(request.gate.held_out))
        if secrets:
            findings = tuple(masked_finding(finding, secrets) for finding in findings)
        return replace(judgement, findings=findings)
