"""`check`: the gates of a pipeline on any commit, outside a run. The same referee, no journal of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from interlock.core.events import Finding, RunStarted, VerdictStatus
from interlock.core.ids import AttemptId, base_of
from interlock.core.pipeline import Gate, GateClass, GateKind, Pipeline, Stage
from interlock.execution.context import Context
from interlock.execution.documents import gate_values
from interlock.ports import Blobs, Cancel, Case, Gates, InfrastructureError, Judgement


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """`commit` is judged against `base`; both lie in the store. `stages` are those whose gates are asked.

    `scoped`: the difference is the work of one stage, so that what this stage may change is judged too.
    `inside`: it is that of one attempt on its input, so that documents and comparisons are judged as well.
    """

    pipeline: Pipeline
    stages: tuple[str, ...]
    commit: str
    tree: str
    base_commit: str
    base_tree: str
    environ: tuple[tuple[str, str], ...] = ()
    task: str = "check"
    inputs: tuple[tuple[str, str], ...] = ()
    scoped: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """`judgement` is None where the gate does not apply outside a run; `skipped` says why."""

    stage: str
    gate: Gate
    judgement: Judgement | None
    skipped: str = ""

    @property
    def said_no(self) -> bool:
        return self.judgement is not None and self.judgement.status is not VerdictStatus.PASSED


def check(gates: Gates, blobs: Blobs, request: CheckRequest, cancel: Cancel | None = None) -> Iterator[Checked]:
    """Ask every gate of the stages, in written order, and yield each as it is done."""
    stop = cancel or threading.Event()
    context = _context(request)
    for name in request.stages:
        stage = replace(request.pipeline.stage(name), may_be_empty=True)
        for gate in stage.gates:
            skipped = _does_not_apply(stage, gate, request)
            judgement = None if skipped else _judge(gates, blobs, context, (stage, gate), request, stop)
            yield Checked(name, gate, judgement, skipped)


def _does_not_apply(stage: Stage, gate: Gate, request: CheckRequest) -> str:
    if gate.gate_class is GateClass.HUMAN:
        return "a person decides"
    if gate.kind is GateKind.REVIEW:
        return "agents are asked inside a run"
    if gate.kind is GateKind.CI:
        return "an outside CI is asked inside a run"
    if gate.kind is GateKind.SCOPE and request.tree == request.base_tree:
        return "nothing differs from the base"
    if gate.kind is GateKind.PRODUCES and request.tree == request.base_tree and not request.inside:
        return "nothing differs from the base"
    if gate.kind is GateKind.SCOPE and not request.scoped:
        return "judges the work of one stage: --stage asks it"
    if gate.kind in (GateKind.PRODUCES, GateKind.TRACES) and not request.inside:
        return "artifacts exist inside a run"
    if gate.expect != "pass" and not request.inside:
        return "compares an attempt with its input"
    return ""


def _judge(  # noqa: PLR0913
    gates: Gates, blobs: Blobs, context: Context, which: tuple[Stage, Gate], request: CheckRequest, cancel: Cancel
) -> Judgement:
    stage, gate = which
    case = Case(
        run=context.run,
        subject=AttemptId(stage.id, 1, 1),
        stage=stage,
        gate=gate,
        pipeline=request.pipeline,
        commit=request.commit,
        tree=request.tree,
        input_commit=request.base_commit,
        input_tree=request.base_tree,
        base_commit=request.base_commit,
        values=gate_values(context, stage),
    )
    try:
        if gate.needs_baseline:
            case = _with_baseline(gates, blobs, case, cancel)
        return gates.evaluate(case, cancel)
    except InfrastructureError as error:
        return Judgement(VerdictStatus.ERRORED, (Finding("infrastructure", str(error)),))


def _with_baseline(gates: Gates, blobs: Blobs, case: Case, cancel: Cancel) -> Case:
    base = replace(case, subject=base_of(case.stage.id), commit=case.base_commit, tree=case.input_tree)
    judged = gates.evaluate(base, cancel)
    report = next((item.digest for item in judged.evidence if item.name == "report"), "")
    decided = judged.status is not VerdictStatus.ERRORED
    return replace(case, baseline=blobs.get(report) if report else None, decided_on_input=decided)


def _context(request: CheckRequest) -> Context:
    started = RunStarted(
        "check",
        request.pipeline.name,
        request.pipeline.digest,
        request.task,
        request.base_commit,
        request.base_tree,
        (),
        request.inputs,
    )
    return Context("check", request.pipeline, started, 0.0, dict(request.environ))
