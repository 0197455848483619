"""Random pipelines: diamonds, joins, gotos, skips, scripts, stages without a worker, every kind of gate."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.chance import Chance

from interlock.core.delivery import Deliver
from interlock.core.pipeline import (
    AgentSpec,
    Artifact,
    Baseline,
    CommandLine,
    Expect,
    Gate,
    GateKind,
    Limits,
    Pipeline,
    Report,
    Rule,
    Scope,
    Stage,
    Text,
    When,
    WorkspaceMode,
)
from interlock.core.pipeline import Tests as Whose
from interlock.gates.kinds.review import Review

TRUE = CommandLine(argv=("true",))
AGENTS = (AgentSpec("coder", "sim"), AgentSpec("strong", "sim"))
WITH_ONE_STANDING_IN = (AgentSpec("coder", "sim", fallback=("strong",)), AgentSpec("strong", "sim"))
SIZE = Artifact("size", "size.json")


def random_pipeline(chance: Chance, stages_max: int) -> Pipeline:
    count = chance.randrange(1, stages_max + 1)
    stages: list[Stage] = []
    for number in range(count):
        needs = _needs(chance, stages, last=number == count - 1)
        stages.append(_stage(chance, f"s{number}", needs, stages))
    limits, deliver = _limits(chance), Deliver(series=chance.one_in(0.1))
    return Pipeline(
        name="random",
        stages=tuple(stages),
        agents=WITH_ONE_STANDING_IN if chance.one_in(0.3) else AGENTS,
        limits=limits,
        deliver=deliver,
        digest="pipeline",
    )


def _needs(chance: Chance, stages: list[Stage], *, last: bool) -> tuple[str, ...]:
    if not stages:
        return ()
    if last:
        needed = {need for stage in stages for need in stage.needs}
        return tuple(stage.id for stage in stages if stage.id not in needed)
    if chance.one_in(0.15):
        return ()
    picked = chance.some(stages[-3:], 2) or [stages[-1]]
    return tuple(stage.id for stage in picked)


def _stage(chance: Chance, name: str, needs: tuple[str, ...], before: list[Stage]) -> Stage:
    upstream = _upstream(needs, before)
    kind = chance.choice(("agent", "agent", "agent", "agent", "script", "none") if before else ("agent", "script"))
    gates = _gates(chance, name, kind)
    return Stage(
        id=name,
        needs=needs,
        agent="coder" if kind == "agent" else "",
        command=TRUE if kind == "script" else None,
        prompt=Text("do"),
        scope=Scope(protect=("kept",)),
        produces=(SIZE,) if chance.one_in(0.3) else (),
        gates=gates,
        on_reject=_rules(chance, name, gates, upstream),
        when=_when(chance, upstream, before),
        attempts_max=chance.choice((1, 2, 3, 3)),
        may_be_empty=chance.one_in(0.15),
        workspace=WorkspaceMode.CONTINUE if chance.one_in(0.15) else WorkspaceMode.FRESH,
        digest=name,
    )


def _upstream(needs: tuple[str, ...], before: list[Stage]) -> list[str]:
    reached = set(needs)
    for stage in reversed(before):
        if stage.id in reached:
            reached.update(stage.needs)
    return [stage.id for stage in before if stage.id in reached]


def _gates(chance: Chance, stage: str, kind: str) -> tuple[Gate, ...]:
    gates = [] if kind == "none" else [Gate("scope", GateKind.SCOPE, digest=f"scope-{stage}")]
    for number in range(chance.choice((0, 1, 1, 2))):
        gates.append(_run_gate(chance, stage, f"run{number}"))
    if chance.one_in(0.12):
        gates.append(Gate("review", "review", options=Review(("strong",)), digest=f"review-{stage}"))
    if chance.one_in(0.15) or (kind == "none" and not gates):
        gates.append(Gate("human", GateKind.APPROVE, question="Good?", digest=f"human-{stage}"))
    if kind != "none" and chance.one_in(0.2):
        gates.append(Gate("produces", GateKind.PRODUCES, digest=f"produces-{stage}"))
    return tuple(gates)


def _run_gate(chance: Chance, stage: str, name: str) -> Gate:
    shared = chance.one_in(0.2)
    expect = chance.choice((Expect.NEW_TESTS_FAIL, Expect.TESTS_PROVE_CHANGE)) if chance.one_in(0.2) else Expect.PASS
    whose = Whose.BASE if expect is Expect.PASS and chance.one_in(0.1) else Whose.OWN
    return Gate(
        name,
        GateKind.RUN,
        command=TRUE,
        report=chance.choice((Report.NONE, Report.JUNIT)),
        expect=expect,
        tests=whose,
        baseline=chance.choice((Baseline.KEEP, Baseline.NO_WORSE)),
        base_green=chance.one_in(0.03),
        held_out="/held/out" if chance.one_in(0.15) else "",
        digest=f"shared-{expect}-{whose}" if shared else f"{stage}/{name}",
    )


def _rules(chance: Chance, stage: str, gates: tuple[Gate, ...], upstream: list[str]) -> tuple[Rule, ...]:
    rules = []
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        gate = chance.choice([gate.id for gate in gates]) if gates and chance.one_in(0.4) else ""
        reason = chance.choice(("", "", "design", "code"))
        rule = _rule(chance, (gate, reason), [*upstream, stage])
        rules.append(replace(rule, within=chance.choice((("*.py",), ("b/**",)))) if chance.one_in(0.25) else rule)
    return tuple(rules)


def _rule(chance: Chance, when: tuple[str, str], targets: list[str]) -> Rule:
    gate, reason = when
    match chance.choice(("goto", "goto", "agent", "pause")):
        case "goto":
            return Rule(gate=gate, reason=reason, goto=chance.choice(targets), max=chance.choice((1, 2, 3)))
        case "agent":
            return Rule(gate=gate, reason=reason, after=chance.choice((1, 2)), agent="strong")
        case _:
            return Rule(gate=gate, reason=reason, after=chance.choice((0, 2)), pause=True)


def _when(chance: Chance, upstream: list[str], before: list[Stage]) -> When | None:
    sized = [stage.id for stage in before if stage.id in upstream and stage.produces]
    if not sized or chance.one_in(0.4):
        return None
    return When(f"{chance.choice(sized)}/size", "/size", '"large"')


def _limits(chance: Chance) -> Limits:
    if chance.one_in(0.7):
        return Limits(attempts=60)
    return Limits(
        attempts=chance.randrange(2, 15),
        tokens=chance.choice((0, 500)),
        cost_usd=chance.choice((0.0, 1.0)),
        wall_s=chance.choice((0, 200)),
    )
