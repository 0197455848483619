"""One simulated run from its seed to its end, every promise checked after every event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.chance import Chance, Fault, Scenario, fault_chance
from tests.simulation.fate import Died, Violation, require
from tests.simulation.human import Human
from tests.simulation.oracle import Oracle
from tests.simulation.owner import Abandoned, SimLedger, Steps
from tests.simulation.pipelines import random_pipeline
from tests.simulation.store import Commit, Store
from tests.simulation.world import KEPT, Nature, SimAgent, SimGates, SimWorkspaces

from interlock.core.events import Action, AnswerTaken, Delivered, EffectErrored, Event, Recorded, RunStarted, SentBack
from interlock.core.fold import fold
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState, fits, stage_of, trigger_name, trigger_of
from interlock.engines.local import LocalEngine
from interlock.execution.context import Context, context_of, refer
from interlock.execution.ledger import Ledger
from interlock.journal.memory import MemoryBlobs, MemoryJournal
from interlock.ports import Fenced, World

RUN = "run-1"
STEPS_MAX = 6_000
HELPED_MAX = 6  # rounds of a human who mends; then one who says yes or ends it
OWNERS_DEEP_MAX = 2  # stopped ones at a time
TRAVELS = 5  # in each fifth run every command is written down and read again
RATES = (0.0, 0.0, 0.01, 0.05)


@dataclass(slots=True)
class Result:
    scenario: Scenario
    events: int = 0
    steps: int = 0
    owners: int = 0
    status: str = ""
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    violation: Violation | None = None
    history: list[Recorded] = field(default_factory=list)


class SimJournal(MemoryJournal):
    """Shows each event to the oracle, and lets the owner die around an append."""

    def __init__(self, sim: Simulation) -> None:
        super().__init__()
        self._sim = sim

    def append(self, run: str, fence: int, after: int, at: float, event: Event) -> Recorded:
        self._sim.maybe_die()
        record = super().append(run, fence, after, at, event)
        self._sim.appended(record)
        self._sim.maybe_die()
        return record


@dataclass(slots=True)
class OwnersFate:
    """What happens to one owner at its ports."""

    sim: Simulation
    ledger: Ledger | None = None

    def before(self, effect: str, *, lasting: bool = False) -> None:
        stale = lasting and self.ledger is not None and not self.ledger.holds_fence()
        require(not stale, "S4", lambda: f"{effect} by a former owner")
        over = lasting and self.sim.oracle.finished is not None
        require(not over, "S4", lambda: f"{effect} after the end")
        self.sim.maybe_die()

    def after(self, effect: str) -> None:
        self.sim.maybe_die()
        self.sim.maybe_stop()

    def stopped(self) -> None:
        """The owner may be stopped here, unless it holds the run."""
        self.sim.maybe_stop()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """As the owner's: it may be stopped right before, and nobody takes the run while it is held."""
        self.stopped()
        if self.ledger is not None and not self.ledger.holds_fence():
            raise Fenced(f"{RUN} is controlled by another process")
        self.sim.held += 1
        try:
            yield
        finally:
            self.sim.held -= 1


class Simulation:
    def __init__(self, scenario: Scenario, pipeline: Pipeline | None = None, nature: Nature | None = None) -> None:
        seed = scenario.seed
        self.scenario = scenario
        self.pipeline = pipeline or random_pipeline(Chance(seed, "pipeline"), scenario.stages_max)
        self.store = Store()
        self.blobs = MemoryBlobs()
        self.oracle = Oracle(self.pipeline, self.store, self.blobs)
        self.journal = SimJournal(self)
        self.time = 1_000.0
        self.result = Result(scenario)
        self.crashes = fault_chance(scenario, Fault.CRASHES, (0.0, 0.005, 0.03))
        self.stops = fault_chance(scenario, Fault.STOPS, (0.0, 0.01, 0.05))
        self.strays = fault_chance(scenario, Fault.STRAYS, (0.0, 0.05, 0.2))
        self.duplicates = fault_chance(scenario, Fault.DUPLICATES, (0.0, 0.05, 0.3))
        self.noise = fault_chance(scenario, Fault.NOISE, (0.0, 0.0, 0.02, 0.1))
        self.nature = nature or self._nature(scenario)
        self.order = Chance(seed, "order")
        self.regrets = fault_chance(scenario, Fault.REGRETS, (0.0, 0.0, 0.0, 0.1))
        self.lost_facts: list[Event] = []
        self.deep = self.held = 0
        self.last = RunState()
        self.base = self.store.commit(Commit(self.store.tree(frozenset({KEPT})), frozenset()), "base")
        self.human = Human(RUN, Chance(seed, "human"), self.store, self.base)

    def _nature(self, scenario: Scenario) -> Nature:
        seed = scenario.seed
        return Nature(
            seed=seed,
            agents=fault_chance(scenario, Fault.BAD, (0.0, 0.2, 0.5, 0.9)),
            gates=Chance(seed, "gates", fault_chance(scenario, Fault.TROUBLE, (0.0, 0.02, 0.1, 0.4)).rate),
            trouble=fault_chance(scenario, Fault.TROUBLE, (0.0, 0.02, 0.1, 0.4)),
        )

    # --- what another simulation may replace -----------------------------------------------------

    def agent(self, *ports: Any) -> SimAgent:
        return SimAgent(*ports)

    def gates(self, *ports: Any) -> SimGates:
        return SimGates(*ports, self.blobs)

    def stop_at(self) -> str:
        """The stage of `--until`, empty for the whole pipeline."""
        chance = Chance(self.scenario.seed, "until")
        return chance.choice(self.pipeline.ordered()).id if chance.one_in(0.1) else ""

    def answer(self, state: RunState, rounds: int) -> None:
        helped = self.human.help(state) if rounds <= HELPED_MAX else self.human.settle(state)
        for answer in helped or [self.human.noise(state)]:
            self.journal.put_answer(answer)

    # --- what the owners' ports and the clock ask ------------------------------------------------

    def now(self) -> float:
        self.time += 0.25
        return self.time

    def elapsed(self) -> float:
        return self.time

    def maybe_die(self) -> None:
        if self._quiet():
            return
        if self.crashes.happens():
            raise Died

    def maybe_stop(self) -> None:
        """The owner is stopped here; another takes the run over, moves it on, and then the first goes on."""
        if self._quiet() or self.held or self.deep >= OWNERS_DEEP_MAX or not self.stops.happens():
            return
        self.deep += 1
        try:
            self._drive(*self._own(self.order.randrange(1, 30)))
        finally:
            self.deep -= 1

    def appended(self, record: Recorded) -> None:
        self.result.history.append(record)
        self.oracle.appended(record)

    # --- the run ---------------------------------------------------------------------------------

    def run(self) -> Result:
        """Until it is finished. The result holds the violation, if there was one."""
        try:
            self._begin()
            self._go_on()
            check_fold(self)
        except Violation as violation:
            self.result.violation = violation
        except (Died, RecursionError):
            raise
        except Exception as error:  # noqa: BLE001 - a bug that raises is a finding like any other
            self.result.violation = Violation("raises", f"{type(error).__name__}: {error}")
            self.result.violation.__cause__ = error
        self.result.events = len(self.result.history)
        finished = self.oracle.finished
        self.result.status = finished.status if finished else "unfinished"
        return self.result

    def _begin(self) -> None:
        stop_at = self.stop_at()
        taking_part = {*self.pipeline.upstream(stop_at), stop_at} if stop_at else None
        stages = tuple(s.id for s in self.pipeline.ordered() if taking_part is None or s.id in taking_part)
        tree = self.store.commits[self.base].tree
        started = RunStarted(RUN, self.pipeline.name, "digest", "task", self.base, tree, stages, until=stop_at)
        self.journal.create(RUN, self.now(), started)
        self.appended(self.journal.records(RUN)[0])

    def _go_on(self) -> None:
        rounds = 0
        while self.oracle.finished is None:
            require(rounds < 400, "L1", "more than 400 owners and no end")
            rounds += 1
            try:
                engine, executor = self._own(STEPS_MAX)
                rested = self._drive(engine, executor)
            except Died:
                continue
            if rested and self.oracle.finished is None:
                self.oracle.check_rest()
                self.answer(engine.ledger.state, rounds)

    def _own(self, steps: int) -> tuple[LocalEngine, Steps]:
        """A new owner takes the run: what the former one knew, and what was appended since. That the whole history
        folds to the same is checked when the run has ended."""
        self.result.owners += 1
        fate = OwnersFate(self)
        fence = self.journal.take(RUN)
        self.last = fold(self.journal.records(RUN, self.last.seq), self.last)
        ledger = SimLedger(self.last, self.pipeline, self.journal, self, fence)
        ledger.duplicates, ledger.travels = self.duplicates, self.scenario.seed % TRAVELS == 0
        fate.ledger = ledger
        ledger.listen(lambda record: self._count(record, ledger.state))
        ports = (self.store, self.nature, self.oracle, fate)
        world = World(
            workspaces=SimWorkspaces(*ports),
            agents=dict.fromkeys(("sim", "command"), self.agent(*ports)),
            gates=self.gates(*ports),
            blobs=self.blobs,
            cache=self.journal,
            clock=self,
            render=lambda template, values: template,
            holds_fence=ledger.holds_fence,
            alone=fate.alone,
        )
        context = Context(RUN, self.pipeline, ledger.started, ledger.state.started_at, {})
        if ledger.travels:
            context = context_of(refer(context, self.blobs), self.blobs, {})
        executor = Steps(self, ledger, self.order, steps)
        engine = LocalEngine(ledger, world, context, 1 + self.scenario.seed % 4, executor=executor)
        if ledger.state.finished is None:
            ledger.claim(f"owner-{self.result.owners}")
        return engine, executor

    def _drive(self, engine: LocalEngine, executor: Steps) -> bool:
        """Whether the owner came to rest; false where it was fenced off or abandoned."""
        ledger = engine.ledger
        try:
            engine.drive()
        except Fenced:
            require(not ledger.holds_fence(), "S4", "fenced off and still the owner")
            return False
        except Abandoned:
            return False
        finally:
            if not ledger.holds_fence() or self.deep == 0:
                self.lost_facts.extend(fact for fact in executor.lost() if not _looked(fact))
        # A former owner may find nothing to do and not know better.
        return ledger.state.finished is not None or ledger.holds_fence()

    def between(self, owner: Steps) -> None:
        """Between two half-steps of an owner."""
        self.result.steps += 1
        require(self.result.steps < STEPS_MAX, "L1", "no end in sight")
        if self._quiet():
            return
        if self.stops.happens():
            self.maybe_stop()
        if self.noise.happens():
            self.journal.put_answer(self.human.noise(owner.ledger.state))
        if owner.flights and self.regrets.one_in(self.regrets.rate * (1 if owner.delivers() else 0.02)):
            self.journal.put_answer(self.human.regret())
        if self.lost_facts and self.strays.happens():
            stray = self.order.choice(self.lost_facts)
            if not (isinstance(stray, Delivered) and owner.delivers()):  # no branch is reported while another is made
                owner.ledger.record(stray)

    def pass_time(self, seconds: float) -> None:
        self.time += seconds

    def _quiet(self) -> bool:
        return len(self.result.history) > self.scenario.quiet_after

    def _count(self, record: Recorded, state: RunState) -> None:
        """Which transitions of the table were taken."""
        before, self.last = self.last, state
        event = record.event
        for name in _stages_of(event, before, state):
            stage = before.stages.get(name)
            if stage is not None and fits(stage, event):
                self.result.seen[stage.phase, trigger_name(trigger_of(event))] += 1


def _stages_of(event: Event, before: RunState, after: RunState) -> tuple[str, ...]:
    """Those that the event may move."""
    if isinstance(event, SentBack):
        return event.resets
    if isinstance(event, AnswerTaken) and event.action in (Action.CONTINUE, Action.RAISE):  # of the whole run
        return tuple(name for name in before.stages if before.stages[name] is not after.stages[name])
    return (stage_of(event),)


def _looked(fact: Event) -> bool:
    """That nothing is there holds for the owner who has looked, and only as long as it is the owner."""
    return isinstance(fact, EffectErrored) and fact.undone


def simulate(scenario: Scenario) -> Result:
    return Simulation(scenario).run()


def check_fold(simulation: Simulation) -> None:
    """The whole history folds to what its owners knew event by event, and what was appended as the last one died."""
    known = simulation.last
    known = fold(simulation.journal.records(RUN, known.seq), known)
    require(fold(simulation.journal.records(RUN)) == known, "S6", "the history folds to something else")
