"""`check`: the gates of a pipeline on any commit, outside a run. It uses the same referee, and no journal."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from interlock.conventions.judge_files import matches_in_any_case
from interlock.conventions.protected_changes import guards
from interlock.core.conflicts import Undecided
from interlock.core.events import Finding, RunStarted, VerdictStatus
from interlock.core.ids import AttemptId, base_of
from interlock.core.pipeline import Expect, Gate, GateKind, Pipeline, Scope, Stage
from interlock.execution.context import Context
from interlock.execution.documents import gate_values
from interlock.execution.grown import only_grew
from interlock.ports import (
    Blobs,
    Cancel,
    GateRequest,
    Gates,
    InfrastructureError,
    Judgement,
    Stamp,
    Workspaces,
)
from interlock.text.globs import matches_any

FINDINGS_MAX = 100  # of paths in conflict


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """`commit` is judged against the base; both are in the store. The gates of `stages` are asked.

    `scoped`: the difference is the work of one stage, so its write scope is judged too.
    `proposed`: commit and tree as somebody proposes them, if the protected files of `commit` are those of the base.
    Then it is judged whether any of `stages` may change what differs.
    `inside`: the commit is the work of an attempt on its input, so documents and comparisons are judged as well.
    `conflicts` are those of its input; otherwise the paths that prevent a merge of the proposal with its base.
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
    proposed: tuple[str, str] | None = None
    inside: bool = False
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    sandbox: str = "none"


@dataclass(frozen=True, slots=True)
class Checked:
    """`judgement` is None if the gate does not apply outside a run; `skipped` says why."""

    stage: str
    gate: Gate
    judgement: Judgement | None
    skipped: str = ""
    failed_before: bool = False  # on the base too
    allowed_by: tuple[str, ...] = ()  # of a proposal: the pipelines that allow it

    @property
    def said_no(self) -> bool:
        return self.judgement is not None and self.judgement.status is not VerdictStatus.PASSED

    def traits(self, *, allowed: bool) -> Iterator[str]:
        """What qualifies the result. `allowed`: with the pipelines that allow it."""
        if self.judgement is not None and self.judgement.tests:
            yield self.judgement.tests
        if self.judgement is not None and self.judgement.cached:
            yield "cached"
        if self.judgement is not None and self.judgement.flaky:
            yield "flaky"
        if self.failed_before:
            yield "it failed before your change as well"
        if allowed and self.allowed_by:
            yield f"allowed by {', '.join(self.allowed_by)}"


def check(gates: Gates, blobs: Blobs, request: CheckRequest, cancel: Cancel | None = None) -> Iterator[Checked]:
    """Ask every gate of the stages, in written order, and yield each as it is done."""
    if request.conflicts and not request.inside:
        yield _in_conflict(request)
        return
    stop = cancel or threading.Event()
    context = _context(request)
    for name in request.stages:
        stage = replace(request.pipeline.stage(name), may_be_empty=True)
        for gate in stage.gates:
            gate = _gate_for(gate, request)
            skipped = _does_not_apply(gate, request)
            gate_request = _gate_request(context, stage, gate, request)
            judgement = None if skipped else _judge(gates, blobs, gate_request, stop)
            yield Checked(name, gate, judgement, skipped, _failed_before(gates, gate_request, judgement, stop))


def check_proposal(
    gates: Gates, blobs: Blobs, requests: Sequence[CheckRequest], cancel: Cancel | None = None
) -> Checked | None:
    """Whether the pipelines allow the proposed changes at all. One of several that allows them is enough: they could
    come from it, and the other gates of each pipeline are asked anyway. None if nothing differs."""
    stop = cancel or threading.Event()
    judged: list[tuple[str, Judgement]] = []
    for request in requests:
        if request.proposed is not None and not request.scoped and request.proposed[1] != request.base_tree:
            gate_request = _gate_request(_context(request), (stage := _any_stage(request)), stage.gates[0], request)
            judged.append((request.pipeline.name, _judge(gates, blobs, gate_request, stop)))
    if not judged:
        return None
    allowed = tuple(name for name, judgement in judged if judgement.status is VerdictStatus.PASSED)
    return Checked("proposal", Gate("scope", GateKind.SCOPE), _best_of(judged), allowed_by=allowed)


def with_judges_of_base(workspaces: Workspaces, request: CheckRequest) -> tuple[CheckRequest, tuple[str, ...]]:
    """The request with every protected file as it is in the base, and the paths that were put back. Not put back are
    files that a stage authors, if the request names its stages, and tests that a stage may add."""
    from interlock.gates.scope import may_be_added_by  # lazy: verbs that only look load no gates

    stages = [request.pipeline.stage(name) for name in request.stages]
    protect = tuple(dict.fromkeys(glob for stage in stages for glob in stage.scope.protect))
    may_add = tuple(glob for stage in stages for glob in (*stage.scope.adds, *stage.scope.authors))
    own = tuple(glob for stage in stages for glob in stage.scope.authors) if request.scoped else ()
    paths = tuple(
        change.path
        for change in workspaces.changes(request.base_tree, request.tree)
        if matches_in_any_case(protect, change.path)
        and not matches_any(own, change.path)
        and not may_be_added_by(workspaces, request.commit, may_add, change)
        and not only_grew(workspaces, (request.base_commit, request.commit), change, request.pipeline, stages)
    )
    proposed = replace(request, proposed=(request.commit, request.tree))
    if not paths:
        return proposed, ()
    exactly = tuple("/" + re.sub(r"([*?\[\]\\!])", r"\\\1", path) for path in paths)
    stamp = Stamp("interlock: the proposal with the judges of its base", 0)
    commit = workspaces.restore(request.commit, request.base_commit, exactly, stamp)
    return replace(proposed, commit=commit, tree=workspaces.merge((commit,), stamp, "").tree), paths


def _in_conflict(request: CheckRequest) -> Checked:
    """A proposal that cannot be merged is not judged: each path is a finding, and no gate is asked."""
    shown = request.conflicts[:FINDINGS_MAX]
    message = "in conflict with the base: rebase or merge first"
    findings = tuple(Finding("conflict", f"{path}: {message}", file=path) for path in shown)
    return Checked("proposal", Gate("merge", GateKind.SCOPE), Judgement(VerdictStatus.FAILED, findings))


def _best_of(judged: Sequence[tuple[str, Judgement]]) -> Judgement:
    """The first that passes; else each finding once, with its pipelines if not all have it."""
    if len(judged) == 1:
        return judged[0][1]
    best = next((one for _, one in judged if one.status is VerdictStatus.PASSED), None)
    if best is not None:
        return best
    pipelines_of: dict[Finding, list[str]] = {}
    for name, judgement in judged:
        for finding in dict.fromkeys(judgement.findings):
            pipelines_of.setdefault(finding, []).append(name)
    findings = tuple(
        finding if len(names) == len(judged) else replace(finding, message=f"{finding.message} ({', '.join(names)})")
        for finding, names in pipelines_of.items()
    )
    unsure = any(one.status is VerdictStatus.ERRORED for _, one in judged)
    return Judgement(VerdictStatus.ERRORED if unsure else VerdictStatus.FAILED, findings)


def _any_stage(request: CheckRequest) -> Stage:
    """A stage that may change what any of the requested stages may."""
    stages = [request.pipeline.stage(name) for name in request.stages]
    open_ended = any(stage.scope.writes is None and stage.has_worker for stage in stages)
    scope = Scope(
        writes=None if open_ended else tuple(glob for stage in stages for glob in stage.scope.writes or ()),
        authors=tuple(glob for stage in stages for glob in stage.scope.authors),
        adds=tuple(glob for stage in stages for glob in stage.scope.adds),
        protect=tuple(dict.fromkeys(glob for stage in stages for glob in stage.scope.protect)),
    )
    old = tuple(gate for stage in stages for gate in guards(request.pipeline, stage))
    return Stage("proposal", scope=scope, gates=(Gate("scope", GateKind.SCOPE), *old), may_be_empty=True)


def _as_proposed(request: CheckRequest) -> tuple[str, str]:
    return request.proposed or (request.commit, request.tree)


def _gate_for(gate: Gate, request: CheckRequest) -> Gate:
    """Only the work of one stage must prove its change; for other trees the gate checks that their tests pass."""
    worked = (request.scoped or request.inside) and request.tree != request.base_tree
    if gate.expect is Expect.TESTS_PROVE_CHANGE and not worked:
        return replace(gate, expect=Expect.PASS)
    return gate


def _does_not_apply(gate: Gate, request: CheckRequest) -> str:
    """Why the gate is not asked; empty if it is."""
    from interlock.gates.kinds import (
        OutsideRun,  # lazy: verbs that only look load no gates
        find,
    )

    outside_run = find(gate.kind).outside_run
    unchanged = request.tree == request.base_tree
    situation = OutsideRun(request.scoped, request.inside, unchanged, _as_proposed(request)[1] == request.base_tree)
    return outside_run(gate, situation) if outside_run is not None else ""


def _gate_request(context: Context, stage: Stage, gate: Gate, request: CheckRequest) -> GateRequest:
    commit, tree = _as_proposed(request) if gate.kind == GateKind.SCOPE else (request.commit, request.tree)
    return GateRequest(
        run=context.run,
        subject=AttemptId(stage.id, 1, 1),
        stage=stage,
        gate=gate,
        pipeline=request.pipeline,
        commit=commit,
        tree=tree,
        input_commit=request.base_commit,
        input_tree=request.base_tree,
        base_commit=request.base_commit,
        conflicts=request.conflicts,
        undecided=request.undecided,
        sandbox=request.sandbox,
        values={} if gate.kind == GateKind.SCOPE else gate_values(context, stage),
    )


def _judge(gates: Gates, blobs: Blobs, gate_request: GateRequest, cancel: Cancel) -> Judgement:
    try:
        if gate_request.gate.needs_baseline:
            gate_request = _with_baseline(gates, blobs, gate_request, cancel)
        return gates.evaluate(gate_request, cancel)
    except InfrastructureError as error:
        return Judgement(VerdictStatus.ERRORED, (Finding("infrastructure", str(error)),))


def _failed_before(gates: Gates, gate_request: GateRequest, judgement: Judgement | None, cancel: Cancel) -> bool:
    """Whether the base fails the gate as well: asked only if the change does."""
    if judgement is None or judgement.status is not VerdictStatus.FAILED or not gate_request.gate.judges_base:
        return False
    if gate_request.tree == gate_request.input_tree:
        return False
    try:
        return gates.evaluate(_on_base(gate_request), cancel).status is VerdictStatus.FAILED
    except InfrastructureError:
        return False


def _on_base(gate_request: GateRequest) -> GateRequest:
    return replace(
        gate_request,
        subject=base_of(gate_request.stage.id),
        commit=gate_request.base_commit,
        tree=gate_request.input_tree,
    )


def _with_baseline(gates: Gates, blobs: Blobs, gate_request: GateRequest, cancel: Cancel) -> GateRequest:
    judged = gates.evaluate(_on_base(gate_request), cancel)
    report = next((item.digest for item in judged.evidence if item.name == "report"), "")
    decided = judged.status is not VerdictStatus.ERRORED
    return replace(gate_request, baseline=blobs.get(report) if report else None, decided_on_input=decided)


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
        sandbox=request.sandbox,
    )
    return Context("check", request.pipeline, started, 0.0, dict(request.environ))
