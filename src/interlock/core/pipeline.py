"""The frozen pipeline: what the file says, parsed once, every default filled in.

Nothing here reads a file or checks a rule; `pipelinefile` builds these values and answers for them.
Durations are whole seconds, sizes are bytes, globs are gitignore-like patterns relative to the
repository's root (a stage's `dir` is already joined in).
"""

from __future__ import annotations

import dataclasses
from dataclasses import field
from enum import StrEnum
from graphlib import TopologicalSorter

from interlock.core.codec import APART
from interlock.core.delivery import Deliver
from interlock.core.rooms import RoomSpec
from interlock.core.values import dataclass
from interlock.text.globs import matches_any

FOLDER = ".interlock"  # of a repository: its pipelines and what they share, and the artifacts of stages
ARTIFACTS = f"{FOLDER}/artifacts"  # below it a folder for each stage that produces documents
QUOTA_WAIT_S = 86_400
GATE_TIMEOUT_S = 600
BREAKS_MAX = 10  # files that a gate breaks, each in a run of its own


class GateKind(StrEnum):
    """The kinds of gates that the protocol itself knows. All kinds are modules of `interlock.gates.kinds`."""

    SCOPE = "scope"  # built in, always first
    PRODUCES = "produces"  # built in where a stage declares artifacts
    RUN = "run"  # `use` is resolved to `run` when the file is loaded
    APPROVE = "approve"


class GateClass(StrEnum):
    HARD = "hard"
    SOFT = "soft"
    HUMAN = "human"


class Report(StrEnum):
    NONE = "none"
    JUNIT = "junit"
    SARIF = "sarif"


class Baseline(StrEnum):
    KEEP = "keep"  # what passed in the accepted input must pass
    NO_WORSE = "no_worse"  # and what failed there may keep failing


class Expect(StrEnum):
    PASS = "pass"
    NEW_TESTS_FAIL = "new_tests_fail"
    TESTS_PROVE_CHANGE = "tests_prove_change"  # new tests fail on the accepted input and pass on the candidate


class Tests(StrEnum):
    """Whose tests a gate runs."""

    OWN = "own"  # those of the tree that it judges
    BASE = "base"  # those of the base, laid over that tree


class WorkspaceMode(StrEnum):
    FRESH = "fresh"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What to execute: an argv, or a line for `bash -euo pipefail -c`. Exactly one is set."""

    argv: tuple[str, ...] = ()
    shell: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        return self.argv or ("bash", "-euo", "pipefail", "-c", self.shell)


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt, rubric or schema: its content as read when the run started, and where it came from."""

    content: str
    origin: str = ""  # path relative to the pipeline's folder, or empty for text written in place


@dataclass(frozen=True, slots=True)
class Artifact:
    name: str
    file: str  # relative to the stage's artifact folder
    schema: Text | None = None  # JSON Schema
    sections: tuple[str, ...] = ()  # Markdown headings that must be there
    max_bytes: int = 10_000_000


@dataclasses.dataclass(frozen=True, slots=True)  # the standard one, as of the classes that extend it
class GateOptions:
    """The fields that a gate kind has of its own are a subclass in its module. Here is what the protocol must know
    of them, with the answers that hold for most."""

    @property
    def gate_class(self) -> GateClass:
        return GateClass.HARD

    @property
    def reads_verdicts(self) -> bool:
        """Whether it judges by what the hard gates before it said."""
        return False

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of agents that it asks."""
        return ()

    @property
    def in_repository(self) -> bool:
        """Whether it is judged from the user's repository, which has the remotes, and nowhere else."""
        return False


@dataclass(frozen=True, slots=True)
class Gate:
    id: str
    kind: str  # a GateKind, or the name of another module of `interlock.gates.kinds`
    command: CommandLine | None = None
    report: Report = Report.NONE
    timeout_s: int = GATE_TIMEOUT_S
    repeat: int = 1
    base_green: bool = False
    baseline: Baseline = Baseline.KEEP
    expect: Expect = Expect.PASS
    held_out: str = ""  # the name of files outside the repository, or their absolute path
    env: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    dir: str = ""
    network: bool = False
    hosts: tuple[str, ...] = ()  # the only ones that it reaches without a network
    exclusive: tuple[str, ...] = ()
    cached: bool = True
    question: str = ""  # of a human gate
    options: GateOptions | None = field(default=None, metadata=APART)  # what its kind has of its own
    tests: Tests = Tests.OWN
    canary: str = ""  # the recipe of a test that must fail, such as pytest; empty: none is added
    breaks: tuple[str, ...] = ()  # globs of test files: a run more for each, in which its first file is broken
    used: str = ""  # the gate set member this came from, such as python.test
    digest: str = ""  # of the definition, by content

    @property
    def gate_class(self) -> GateClass:
        if self.options is not None:
            return self.options.gate_class
        return GateClass.HUMAN if self.kind == GateKind.APPROVE else GateClass.HARD

    @property
    def judges_base(self) -> bool:
        """Whether it can say something of a tree on its own, without a stage having worked on it."""
        return self.kind == GateKind.RUN

    @property
    def judges_merges(self) -> bool:
        """What asks for new tests of one stage has nothing to say of a merge; what asks for a proof has."""
        return self.kind == GateKind.RUN and self.expect is not Expect.NEW_TESTS_FAIL

    @property
    def needs_baseline(self) -> bool:
        """Whether its verdict compares with its own report, or with what became of a broken file, on the accepted
        input."""
        if self.kind != GateKind.RUN:
            return False
        return self.report is Report.JUNIT or self.expect is Expect.NEW_TESTS_FAIL or bool(self.breaks)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of `on_reject`. The conditions that are set must all hold; exactly one action is set."""

    gate: str = ""
    reason: str = ""
    within: tuple[str, ...] = ()  # globs: every finding that fails the candidate lies in a file that they match
    after: int = 0  # rejections in this epoch
    goto: str = ""
    agent: str = ""
    pause: bool = False
    drop: bool = False
    max: int = 3  # of a goto, per run


@dataclass(frozen=True, slots=True)
class When:
    """`artifact` is stage/name, `at` a JSON pointer into it, `equals` the JSON text to compare with."""

    artifact: str
    at: str
    equals: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What a candidate of the stage may change."""

    writes: tuple[str, ...] | None = None  # None: everything not protected
    authors: tuple[str, ...] = ()  # globs, and tables of mixed files such as pyproject.toml#tool.ruff
    adds: tuple[str, ...] = ()  # tests and their data that may be added, and never changed or deleted
    protect: tuple[str, ...] = ()
    max_files: int = 0  # 0: no limit of its own
    max_lines: int = 0

    @property
    def authored_files(self) -> tuple[str, ...]:
        """The globs of `authors` that name whole files."""
        return tuple(glob for glob in self.authors if "#" not in glob)

    def authored_tables(self, path: str) -> tuple[str, ...]:
        """The tables of the mixed file at `path` that `authors` names."""
        named = (glob.partition("#") for glob in self.authors if "#" in glob)
        return tuple(table for glob, _, table in named if matches_any((glob,), path))


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a run, or of a stage over all its epochs; 0 is no bound of that kind. A run's attempts are always
    bounded, and a stage has no bound in time of its own."""

    attempts: int = 40
    tokens: int = 0
    cost_usd: float = 0.0
    wall_s: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    id: str
    needs: tuple[str, ...] = ()
    agent: str = ""
    command: CommandLine | None = None
    prompt: Text = Text("{{ task }}")
    scope: Scope = Scope()
    produces: tuple[Artifact, ...] = ()
    gates: tuple[Gate, ...] = ()  # judged in this order within their class; scope and produces are in it
    on_reject: tuple[Rule, ...] = ()
    when: When | None = None
    attempts_max: int = 3
    timeout_s: int = 1800
    idle_timeout_s: int = 300
    env: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    dir: str = ""
    may_be_empty: bool = False
    workspace: WorkspaceMode = WorkspaceMode.FRESH
    limits: Limits = Limits(attempts=0)
    resumes: bool = False  # a retry goes on with the agent's own session
    brief: Text | None = None  # the template of what the agent is told; None: that of the program
    instructions: tuple[str, ...] | None = None  # globs of the base's files for agents; None: as its agent says
    hosts: tuple[str, ...] | None = None  # that its script reaches; None: the whole network
    digest: str = ""  # of the definition, by content
    labels: tuple[str, ...] = ()  # that a worker must have, for its attempts and its gates
    judged_elsewhere: bool = False  # its gates by another worker than the one that made the candidate

    @property
    def has_worker(self) -> bool:
        return bool(self.agent) or self.command is not None

    def gate(self, gate_id: str) -> Gate:
        """Raises KeyError where the stage has no such gate."""
        for gate in self.gates:
            if gate.id == gate_id:
                return gate
        raise KeyError(gate_id)


@dataclass(frozen=True, slots=True)
class AgentSpec:
    name: str
    use: str  # the adapter: command, scripted, ...
    command: CommandLine | None = None
    model: str = ""
    fallback: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()  # of the adapter, as JSON text
    instructions: tuple[str, ...] | None = None  # globs of the base's files for agents; None: the usual ones
    hosts: tuple[str, ...] | None = None  # that it reaches; None: the whole network


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    type: str = "string"  # string | integer | boolean
    required: bool = True
    default: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    command: CommandLine
    key: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    settle: CommandLine | None = None
    timeout_s: int = 1800
    env: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None  # that it reaches; None: the whole network


AlikeGates = tuple[tuple[int, Stage, Gate], ...]  # gates of one definition, each with its place among all
_BaseGates = tuple[tuple[str, ...], tuple[tuple[Stage, Gate], ...]]  # of these stages


@dataclass(frozen=True, slots=True)
class Pipeline:
    name: str
    stages: tuple[Stage, ...]
    agents: tuple[AgentSpec, ...] = ()
    inputs: tuple[Input, ...] = ()
    setup: tuple[Setup, ...] = ()
    carry: tuple[str, ...] = ()
    limits: Limits = Limits()
    deliver: Deliver = Deliver()
    sandbox: RoomSpec = RoomSpec()
    quota_wait_s: int = QUOTA_WAIT_S  # how long a quota is waited for where nobody tells when it resets
    digest: str = ""  # of all of it, prompts and includes by content
    _by_id: dict[str, Stage] = field(default_factory=dict, repr=False, compare=False)
    _order: list[Stage] = field(default_factory=list, repr=False, compare=False, init=False)
    _upstream: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False, init=False)
    _needs: dict[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False, init=False)
    _merge_gates: dict[str, tuple[AlikeGates, ...]] = field(default_factory=dict, repr=False, compare=False, init=False)
    _base_gates: list[_BaseGates] = field(default_factory=list, repr=False, compare=False, init=False)

    def __post_init__(self) -> None:
        self._by_id.update({stage.id: stage for stage in self.stages})
        self._needs.update({stage.id: frozenset(stage.needs) for stage in self.stages})

    def stage(self, stage_id: str) -> Stage:
        """Raises KeyError where there is no such stage."""
        return self._by_id[stage_id]

    def agent(self, name: str) -> AgentSpec:
        """Raises KeyError where there is no such agent."""
        for agent in self.agents:
            if agent.name == name:
                return agent
        raise KeyError(name)

    def downstream(self, stage_id: str) -> tuple[str, ...]:
        """The stage and all that hangs on it, in topological order."""
        reached = {stage_id}
        for stage in self.ordered():
            if reached.intersection(stage.needs):
                reached.add(stage.id)
        return tuple(stage.id for stage in self.ordered() if stage.id in reached)

    def upstream(self, stage_id: str) -> tuple[str, ...]:
        """All that the stage hangs on, without itself, in topological order."""
        if stage_id not in self._upstream:
            reached = set(self._needs.get(stage_id, ()))
            for stage in reversed(self.ordered()):
                if stage.id in reached:
                    reached.update(stage.needs)
            self._upstream[stage_id] = tuple(stage.id for stage in self.ordered() if stage.id in reached)
        return self._upstream[stage_id]

    def ordered(self) -> tuple[Stage, ...]:
        """Topological, stable. Raises graphlib.CycleError, which `pipelinefile` turns into a finding."""
        if not self._order:
            order = TopologicalSorter({stage.id: stage.needs for stage in self.stages}).static_order()
            self._order.extend([self._by_id[name] for name in order])
        return tuple(self._order)

    def needs(self, stage_id: str) -> frozenset[str]:
        """What the stage itself needs."""
        return self._needs[stage_id]

    def merge_gates(self, stage_id: str) -> tuple[AlikeGates, ...]:
        """The gates upstream of a stage that judge merges, those of one definition together."""
        if stage_id not in self._merge_gates:
            found: dict[str, list[tuple[int, Stage, Gate]]] = {}
            pairs = ((self.stage(name), gate) for name in self.upstream(stage_id) for gate in self.stage(name).gates)
            for rank, (owner, gate) in enumerate(pairs):
                if gate.judges_merges:
                    found.setdefault(gate.digest or f"{owner.id}/{gate.id}", []).append((rank, owner, gate))
            self._merge_gates[stage_id] = tuple(map(tuple, found.values()))
        return self._merge_gates[stage_id]

    def base_gates(self, stages: tuple[str, ...]) -> tuple[tuple[Stage, Gate], ...]:
        """The gates of `stages` that can say something of the base, in topological order. Those asked for last are
        kept: a run asks at every event."""
        if not self._base_gates or self._base_gates[0][0] is not stages:
            taking_part = frozenset(stages)
            owners = (stage for stage in self.ordered() if stage.id in taking_part)
            found = tuple((stage, gate) for stage in owners for gate in stage.gates if gate.judges_base)
            self._base_gates[:] = [(stages, found)]
        return self._base_gates[0][1]
