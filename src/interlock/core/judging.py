"""Which gates judge what: the base, an input, a candidate. Pure arithmetic over pipeline and state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter

from interlock.core.effects import Before, DeliverBranch, Effect, EvaluateGate
from interlock.core.events import VerdictGiven, VerdictStatus
from interlock.core.pipeline import Baseline, Gate, GateClass, GateKind, Pipeline, Stage, Tests
from interlock.core.state import Phase, RunState, StageState


def qualified(stage: Stage, gate: Gate) -> str:
    return f"{stage.id}/{gate.id}"


def find_gate(pipeline: Pipeline, name: str) -> tuple[Stage, Gate]:
    """The stage and the gate of STAGE/GATE. Raises KeyError."""
    stage_id, gate_id = name.split("/", 1)
    stage = pipeline.stage(stage_id)
    return stage, stage.gate(gate_id)


def in_repository(pipeline: Pipeline, effect: Effect) -> bool:
    """Whether only a process in the repository of the run can do it."""
    if isinstance(effect, EvaluateGate):
        options = find_gate(pipeline, effect.gate)[1].options
        return options is not None and options.in_repository
    return isinstance(effect, DeliverBranch)


def gates_of_input(pipeline: Pipeline, state: RunState, stage: Stage) -> tuple[tuple[Stage, Gate], ...]:
    """On the accepted input: the gates of what was merged, then own ones whose report is a baseline.

    A stage without a worker has its input as candidate, and an input in conflict has markers in it: there all
    of this is asked of the candidate instead. But a merge that a skipped stage may pass on is judged first.
    The base was judged already.
    """
    now = state.stages[stage.id]
    if now.input is None or now.input.conflicts:
        return ()
    undecided = stage.when is not None and not now.when_held
    if not stage.has_worker and not undecided:
        return ()
    inherited = inherited_gates(pipeline, state, stage)
    if undecided or (state.started is not None and now.input.tree == state.started.base_tree):
        return inherited
    own = tuple((stage, gate) for gate in stage.gates if gate.needs_baseline and gate.tests is Tests.OWN)
    return (*inherited, *own)


def gates_of_candidate(pipeline: Pipeline, state: RunState, stage: Stage) -> tuple[tuple[Stage, Gate], ...]:
    """Scope first; then, on a merge that is not proven sound, the gates of what was merged; then own ones."""
    now = state.stages[stage.id]
    own = tuple((stage, gate) for gate in stage.gates)
    if now.input is None:
        return own
    inherited = inherited_gates(pipeline, state, stage)
    sound = all(_passed(now.input_verdicts.get(qualified(*pair))) for pair in inherited)
    if stage.has_worker and sound and not now.input.conflicts:
        return own
    scope = tuple(pair for pair in own if pair[1].kind == GateKind.SCOPE)
    rest = tuple(pair for pair in own if pair[1].kind != GateKind.SCOPE)
    return (*scope, *inherited, *rest)


def inherited_gates(pipeline: Pipeline, state: RunState, stage: Stage) -> tuple[tuple[Stage, Gate], ...]:
    """Hard gates of all merged stages, each definition once; none where the input is an accepted candidate."""
    now = state.stages[stage.id]
    if now.input is None or now.input.commit in now.input.sources:
        return ()
    found = []
    for alike in pipeline.merge_gates(stage.id):
        first = next(((rank, owner, gate) for rank, owner, gate in alike if _took_part(state, owner.id)), None)
        if first is not None:
            found.append(first)
    return tuple((owner, gate) for _, owner, gate in sorted(found, key=itemgetter(0)))


def _took_part(state: RunState, stage_id: str) -> bool:
    return stage_id in state.stages and state.stages[stage_id].phase is not Phase.SKIPPED


def unpassed_gates(
    pipeline: Pipeline, state: RunState, stage: Stage, verdicts: Iterable[VerdictGiven]
) -> tuple[str, ...]:
    """The hard and soft gates that judge candidates of the stage and did not pass, as STAGE/GATE."""
    passed = {verdict.gate for verdict in verdicts if verdict.status is VerdictStatus.PASSED}
    pairs = gates_of_candidate(pipeline, state, stage)
    names = (qualified(*pair) for pair in pairs if pair[1].gate_class is not GateClass.HUMAN)
    return tuple(name for name in names if name not in passed)


def compared(effect: EvaluateGate, state: RunState, stage: Stage, owner: Stage, gate: Gate) -> EvaluateGate:
    """With what a gate of `owner` compares `stage` with: the digest of its report, where one is due, and what it was
    made with."""
    verdict, made_from = _said_before(state, stage, owner, gate)
    if verdict is None or made_from is None:
        return effect
    before = Before(*made_from, verdict.tools, _passed(verdict)) if verdict.tools and verdict.decided else None
    report = verdict.evidence_of("report") if gate.needs_baseline else ""
    return replace(effect, baseline=report, before=before)


def _said_before(
    state: RunState, stage: Stage, owner: Stage, gate: Gate
) -> tuple[VerdictGiven | None, tuple[str, str] | None]:
    """The verdict that `stage` is compared with by a gate of `owner`, and the commit and tree that it is on.

    A stage's own candidates are compared with their input; a merge with what its direct needs were accepted
    with. Of earlier stages only the gate counts: later ones were free to change what their reports list. What runs the
    tests of the base is compared with the base alone; and so is what only passes or fails.
    """
    if state.started is None:
        return None, None
    name, now = qualified(owner, gate), state.stages[owner.id]
    on_base = (state.base_verdicts.get(name), (state.started.base_commit, state.started.base_tree))
    if gate.tests is Tests.BASE or not gate.needs_baseline:
        return on_base
    if stage.id != owner.id:
        accepted = now.accepted if now.settled and owner.id in stage.needs else None
        return (now.verdicts.get(name), (accepted.commit, accepted.tree)) if accepted is not None else (None, None)
    if now.input is not None and now.input.tree != state.started.base_tree:
        return now.input_verdicts.get(name), (now.input.commit, now.input.tree)
    return on_base


def tolerated(effect: EvaluateGate, state: RunState, owner: Stage, gate: Gate) -> EvaluateGate:
    """With the digest of the report on the base whose failures a gate of `owner` lets be, where it lets any."""
    verdict = state.base_verdicts.get(qualified(owner, gate)) if gate.baseline is Baseline.NO_WORSE else None
    if verdict is None:
        return effect
    return replace(effect, on_base=verdict.evidence_of("report"), on_base_tools=verdict.tools)


def failed_before(state: RunState, stage: StageState, gates: Iterable[str]) -> tuple[str, ...]:
    """Those of `gates` that failed already on what the stage started from; where they were not asked there, on the
    base."""
    before = {**state.base_verdicts, **stage.input_verdicts}
    return tuple(gate for gate in gates if gate in before and before[gate].status is VerdictStatus.FAILED)


def _passed(verdict: object) -> bool:
    return getattr(verdict, "status", None) is VerdictStatus.PASSED
