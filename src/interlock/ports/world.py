"""The ports of what works, agents and gates, of time and cancellation, and the world: all ports in one value."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from interlock.conventions.secret_forms import handed_out
from interlock.core.conflicts import Undecided
from interlock.core.effects import Before, Remaining
from interlock.core.events import Evidence, Finding, Recorded, RunStarted, Usage, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.core.pipeline import AgentSpec, Gate, Pipeline, Scope, Stage
from interlock.core.values import dataclass
from interlock.ports.stores import Blobs, Cache, Checkout, Sandbox, Workspaces

RESUME = "then `interlock resume`"  # in a message of an outcome: it helps if the process that resumes works itself


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""

    def elapsed(self) -> float:
        """Seconds of a monotonic clock."""


class Cancel(Protocol):
    """Set when an effect in flight is no longer wanted. A threading.Event is one."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Permit(threading.Event):
    """The Cancel of one effect. It can also be withheld: work that still waits for a slot must then not begin, and work
    that has begun continues to its end."""

    withheld = False
    used = False

    def withhold(self) -> None:
        self.withheld = True


def may_begin(cancel: Cancel) -> bool:
    """Whether work that has not begun may still begin."""
    return not isinstance(cancel, Permit) or cancel.used or not cancel.withheld


def has_worked(cancel: Cancel) -> None:
    """Record that the effect has begun, so that it is not withheld any more."""
    if isinstance(cancel, Permit):
        cancel.used = True


# --- agents -------------------------------------------------------------------------------------


class Ended(StrEnum):
    COMPLETED = "completed"
    REFUSED = "refused"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    RATE_LIMITED = "rate_limited"
    OUT_OF_BUDGET = "out_of_budget"
    UNAVAILABLE = "unavailable"  # program not found, endpoint down
    OVER_LIMIT = "over_limit"  # it used more than its sandbox allows
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Brief:
    """What an agent gets. `text` is the rendered prompt, with artifacts and feedback."""

    run: str
    attempt: AttemptId
    text: str
    task: str
    model: str
    env: Mapping[str, str]  # the complete environment of the agent
    timeout_s: int
    idle_timeout_s: float
    dir: str = ""  # where to work, relative to the checkout
    session: bytes = b""  # the content of the `kept_session` of the previous attempt's outcome
    resumed: str = ""  # replaces `text` if that session can be resumed
    remaining: Remaining = Remaining()  # what remains of the limits; an agent that reports its usage is stopped there
    scope: Scope = Scope()  # the paths that may change: information only, the scope gate decides
    secrets: tuple[str, ...] = ()  # values that nothing that is stored may contain
    answer_schema: str = ""  # JSON Schema of the answer; empty if no answer is needed besides the work
    hosts: tuple[str, ...] | None = None  # that it reaches from a sandbox; None: the whole network
    rehearsal: str = ""  # read by `interlock mcp --inside`: the gates that the agent may run on its own work


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the agent claims. `log` is a file, bounded in size, with the output of the program."""

    ended: Ended
    message: str = ""
    exit_code: int | None = None
    usage: Usage = Usage()
    model: str = ""
    session: str = ""
    log: Path | None = None
    transcript: Path | None = None
    kept_session: Path | None = None  # for the next attempt to resume
    retry_at: float = 0.0
    permanent: bool = False
    worked: bool = False  # its model answered, or only the program itself says that it did not
    sent_brief: str = ""  # the brief as it was sent
    answer: str = ""  # the full answer, if the brief asks for one: JSON, or text that contains it
    notes: tuple[str, ...] = ()  # for people, such as failures that the program recovered from


@runtime_checkable
class Lender(Protocol):
    """An agent that may pass on the user's own login."""

    def lends(self, spec: AgentSpec) -> tuple[tuple[str, str], ...]:
        """The secrets in that login: names and values."""


class Agent(Protocol):
    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        """Do the work in `checkout.tree`. When this returns, every process it started is dead."""


def secrets_of(
    pipeline: Pipeline, environ: Mapping[str, str], agents: Mapping[str, object]
) -> tuple[tuple[str, str], ...]:
    """Name and value of each secret that agents get: variables, and the secrets in a login."""
    found = [*handed_out(pipeline, environ)]
    for spec in pipeline.agents:
        agent = agents.get(spec.use)
        found += agent.lends(spec) if isinstance(agent, Lender) else ()
    return tuple(found)


def sandbox_of(pipeline: Pipeline, level: str) -> Sandbox:
    """The sandbox of a pipeline's programs, at a level."""
    return Sandbox(level, pipeline.sandbox.read, pipeline.sandbox.nested, pipeline.sandbox.limits)


# --- gates --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GateRequest:
    """The question to a gate: is `commit` good, compared with the accepted input `input_commit`?

    `baseline` is the gate's own report on the accepted input. `decided_on_input` says that the gate could decide
    there; then a timeout or a missing report is a failure of the candidate.
    """

    run: str
    subject: AttemptId
    stage: Stage
    gate: Gate
    pipeline: Pipeline
    commit: str
    tree: str
    input_commit: str
    input_tree: str
    base_commit: str
    values: Mapping[str, str]  # TASK, INPUT_*, ARTIFACT_*: the variables of `run`
    baseline: bytes | None = None
    on_base: bytes | None = None  # its report on the base, if only tests that failed there may still fail
    decided_on_input: bool = False
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()  # conflicts without markers: the candidate must name the side that holds
    sandbox: str = "none"
    number: int = 1  # of the try
    alone: Callable[[], AbstractContextManager[object]] = field(default=nullcontext, compare=False)  # as `World.alone`
    hard_verdicts: tuple[VerdictGiven, ...] = ()  # of the hard gates; for reviews, and for traces in proofs
    former: VerdictGiven | None = None  # for a review: its own verdict on the candidate that was rejected last
    contents: str = ""  # digest of the manifest of what the run needs besides commits; empty: it is on this machine
    before: Before | None = None  # what made `baseline`, and of which commit
    on_base_tools: str = ""  # what made `on_base`
    base_tree: str = ""
    elsewhere: bytes | None = None  # the report that other tools made, where `baseline` was made anew here

    @property
    def sandbox_spec(self) -> Sandbox:
        return sandbox_of(self.pipeline, self.sandbox)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict before it is recorded. The finding of an errored one says how to correct the problem."""

    status: VerdictStatus
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    digest: str = ""
    cached: bool = False
    flaky: bool = False
    permanent: bool = False
    usage: Usage = Usage()  # of reviewers
    retry_at: float = 0.0  # when a quota resets
    quota: bool = False  # errored because of a quota and for no other reason
    tests: str = ""  # what a test report counts, as `1,991 tests, 2 failed, 4 skipped`
    tools: str = ""  # digest of the programs, packages and system of a command


class Gates(Protocol):
    def evaluate(self, case: GateRequest, cancel: Cancel) -> Judgement:
        """Judge. Raises InfrastructureError if the machine fails, and nothing for what a candidate does."""


# --- records ------------------------------------------------------------------------------------


class Signer(Protocol):
    """Signs with the user's key."""

    def sign(self, content_type: str, content: bytes) -> bytes:
        """The content in an envelope, signed: the same bytes for the same content and key."""


class RecordStore(Protocol):
    """Records in the private store, where nobody looks for evidence."""

    def keep(self, run: str, digest: str, content: bytes) -> None:
        """Keep a record by its sha256. Repeating it is no error."""

    def get(self, run: str, digest: str) -> bytes | None:
        """The record with this sha256; None if it is not there, or was changed."""

    def delivered_tree(self, commit: str, base: str) -> str:
        """The tree that a branch of `commit` has: with the artifacts of the base."""

    def delivered_trees(self, commit: str, base: str, series: Sequence[str]) -> tuple[str, ...]:
        """The tree of each commit on `base` that a branch of `commit` has; more than one with a `series`."""

    def flaw(self, commit: str, tree: str) -> str:
        """What is wrong with a commit that should have this tree, and with all that is in it; empty if nothing is."""


class Records(Protocol):
    """Signs and keeps the records of handoffs."""

    def delivered_tree(self, commit: str, base: str) -> str:
        """As of `RecordStore`."""

    def keep(self, run: str, statement: bytes) -> str:
        """Sign the record, and keep it as evidence and in the store. Returns the digest of what is kept. The same again
        keeps nothing new."""

    def take(self, run: str, digest: str) -> None:
        """Keep in the store a record that another machine signed and whose digest is this."""


# --- engines ------------------------------------------------------------------------------------


class Engine(Protocol):
    """What drives the runs of a repository, as those see it who start, show and answer them."""

    def start(self, at: float, started: RunStarted, pipeline: str) -> None:
        """Begin a run with its first event and the text of its pipeline. Raises UsageError if the run exists."""

    def runs(self) -> list[str]:
        """Ids, oldest first."""

    def heads(self, most: int) -> dict[str, int]:
        """The seq of the newest event of each of the `most` newest runs."""

    def pipeline(self, run: str) -> str | None:
        """The text that the run was started with; None if there is none."""

    def history(self, run: str, after: int = 0) -> Iterator[list[Recorded]]:
        """Events after seq `after`, in pages of bounded size. Each page is checked before it is returned."""

    def answer(self, answer: Answer) -> None:
        """Hand over what a person says. The same answer again is none."""

    def untaken(self, run: str) -> list[Answer]:
        """Answers that are handed over and not in the history yet, in the order in which they arrived."""

    def owner_of(self, run: str) -> str:
        """Who drives the run: a process of this machine, or the name of the engine whose server does; empty for
        nobody."""

    def follower_of(self, run: str) -> str:
        """The process of this machine that drives the run, or follows it on a server; empty for nobody."""

    def behind(self, run: str) -> str:
        """Why what the history says may be old; empty if it is not."""

    def catch_up(self, run: str, after: int) -> bool:
        """Bring the history up to date, where it may lack what its server knows. Whether there is more than seq
        `after`."""

    def waits(self, run: str) -> tuple[tuple[str, str, str], ...]:
        """What its server lets wait, such as for a worker: subject, gate and why, for people. Empty if nobody can tell
        either."""

    def unreached(self) -> str:
        """Why a server does not tell of any of its runs; empty if it does, or was not asked."""

    def adopt(self, run: str) -> bool:
        """Make a run known here that was started in another repository. False if there is none of this id."""


# --- the world ----------------------------------------------------------------------------------


class Render(Protocol):
    def __call__(self, template: str, values: Mapping[str, object]) -> str:
        """Fill a prompt in, with strict undefined and a bound on work. Raises UsageError."""


@dataclass(frozen=True, slots=True)
class World:
    """Rendering, and the ports that effects need."""

    workspaces: Workspaces
    agents: Mapping[str, Agent]  # by the adapter's name
    gates: Gates
    blobs: Blobs
    cache: Cache
    clock: Clock
    render: Render
    holds_fence: Callable[[], bool]  # whether we still own the run: checked before effects that outlive the process
    alone: Callable[[], AbstractContextManager[object]] = nullcontext  # while it is held, nobody can take the run
    records: Records | None = None  # None: records are evidence, and unsigned
    worker: str = ""  # the name of this machine in the facts of others' runs; empty: it drives its runs itself
    lacks: Callable[[str], str] = lambda level: ""  # why a level of the sandbox does not hold here; empty if it does
