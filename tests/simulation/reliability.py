"""Simulated runs of a chain of stages whose workers fail with a known rate, beside what theory says.

measure(runs=1_000, p=0.2, attempts=3, stages=4)

Rule: the real planner, execution and loop; only the work is drawn, and the gate sees every failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.simulation.arithmetic import attempts_per_handoff, run_success, ungated_success
from tests.simulation.chance import Chance, Scenario
from tests.simulation.simulate import RUN, Result, Simulation
from tests.simulation.store import Commit
from tests.simulation.world import Nature, SimAgent, SimGates

from interlock.core.events import Action, AttemptStarted, Finding, HandoffAccepted, RunStatus
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.core.pipeline import AgentSpec, CommandLine, Gate, GateKind, Limits, Pipeline, Stage
from interlock.core.state import RunState
from interlock.ports import Ended, GateRequest


@dataclass(frozen=True, slots=True)
class Measured:
    """Rates in [0, 1]. `ungated` runs accept whatever comes; they succeed where nothing in them is wrong."""

    runs: int
    success: float
    success_in_theory: float
    attempts_per_handoff: float
    attempts_in_theory: float
    ungated_success: float
    ungated_in_theory: float


def measure(runs: int = 1_000, p: float = 0.2, attempts: int = 3, stages: int = 4, seed: int = 0) -> Measured:
    """`runs` gated and as many ungated runs, from `seed` on."""
    seeds = range(seed, seed + runs)
    gated = [_Campaign(number, p, _chain(stages, attempts, gated=True)) for number in seeds]
    ungated = [_Campaign(number, p, _chain(stages, 1, gated=False)) for number in seeds]
    results = [one.finish() for one in gated]
    for one in ungated:
        one.finish()
    return Measured(
        runs=runs,
        success=sum(one.sound for one in gated) / runs,
        success_in_theory=run_success(p, attempts, stages),
        attempts_per_handoff=_count(results, AttemptStarted) / max(1, _count(results, HandoffAccepted)),
        attempts_in_theory=attempts_per_handoff(p),
        ungated_success=sum(one.sound for one in ungated) / runs,
        ungated_in_theory=ungated_success(p, stages),
    )


class _Campaign(Simulation):
    """Nothing fails but the work. A run that pauses for a person has failed."""

    def __init__(self, seed: int, p: float, pipeline: Pipeline) -> None:
        nature = Nature(seed, _Steady(seed, "agents", p), _Steady(seed, "gates"), _Steady(seed, "trouble"))
        super().__init__(Scenario(seed, faults=frozenset()), pipeline, nature)

    def finish(self) -> Result:
        result = self.run()
        if result.violation is not None:
            raise result.violation
        return result

    @property
    def sound(self) -> bool:
        """Whether it was accepted and nothing that was delivered is wrong."""
        output = self.last.output
        accepted = self.last.finished is not None and self.last.finished.status is RunStatus.ACCEPTED
        return accepted and output is not None and not any(":b" in item for item in self.store.of(output[0]))

    def agent(self, *ports: Any) -> SimAgent:
        return _Worker(*ports)

    def gates(self, *ports: Any) -> SimGates:
        return _SeesAll(*ports, self.blobs)

    def stop_at(self) -> str:
        return ""

    def answer(self, state: RunState, rounds: int) -> None:
        self.journal.put_answer(Answer("enough", RUN, Action.CANCEL, "nobody", self.now()))


class _Steady(Chance):
    """Only what has a rate happens."""

    def __init__(self, seed: int, name: str, rate: float = 0.0) -> None:
        super().__init__(seed, name, rate)

    def one_in(self, rate: float) -> bool:
        return False


class _Worker(SimAgent):
    """Every attempt's work is new, and wrong with the agents' rate."""

    def _ending(self, scripted: bool) -> tuple[Ended, bool]:
        return Ended.COMPLETED, True

    def _change(self, found: Commit, attempt: AttemptId, *, scripted: bool) -> Commit:
        made = f"{attempt.stage}:{'b' if self._nature.agents.happens() else 'g'}{attempt.number}"
        return Commit(self._store.tree(self._store.contents[found.tree] | {made}), found.work | {str(attempt)})


class _SeesAll(SimGates):
    def _wrong(self, request: GateRequest) -> Any:
        for item in sorted(self._store.contents[request.tree]):
            if request.gate.kind == GateKind.RUN and ":b" in item:
                yield Finding("wrong", f"{item} is wrong")


def _count(results: list[Result], kind: type) -> int:
    return sum(isinstance(record.event, kind) for result in results for record in result.history)


def _chain(stages: int, attempts: int, *, gated: bool) -> Pipeline:
    names = [f"s{number}" for number in range(stages)]
    chain = tuple(
        Stage(
            id=name,
            needs=(names[index - 1],) if index else (),
            agent="coder",
            gates=(
                Gate("scope", GateKind.SCOPE, digest=f"{name}/scope"),
                *((Gate("test", GateKind.RUN, CommandLine(argv=("true",)), digest=f"{name}/test"),) if gated else ()),
            ),
            attempts_max=attempts,
            digest=name,
        )
        for index, name in enumerate(names)
    )
    return Pipeline("chain", chain, (AgentSpec("coder", "sim"),), limits=Limits(attempts=100), digest="chain")
