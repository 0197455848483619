"""What the protocol needs of the world, and the values that cross the boundary.

Adapters implement these; `execution` calls nothing else. A performed effect needs its command, the
run's context and these ports, so the same code runs on a thread, in a simulation or on a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from interlock.core.budget import Left
from interlock.core.conflicts import Undecided
from interlock.core.events import Action, Event, Evidence, Finding, Recorded, Usage, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, Gate, Pipeline, Scope, Setup, Stage


class InterlockError(Exception):
    """An expected error: says what happened, where, and what would be right."""


class UsageError(InterlockError):
    """The call or the pipeline is wrong. Exit code 2."""


class InfrastructureError(InterlockError):
    """The machine, a program or the disk is in the way. `permanent` where retrying cannot help."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class Fenced(InterlockError):
    """This process no longer owns the run: another one took it."""


class Cancelled(InterlockError):
    """The effect is no longer wanted; it left nothing behind."""


# --- time and cancelling -----------------------------------------------------------------------


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""


class Cancel(Protocol):
    """Set when an effect in flight is no longer wanted. threading.Event fits."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


# --- journal and blobs -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What a human said, as it lies in the inbox. Empty fields are unused by the action."""

    id: str
    run: str
    action: Action
    by: str
    at: float
    stage: str = ""
    subject: str = ""  # STAGE/EPOCH.NUMBER
    gate: str = ""
    comment: str = ""
    commit: str = ""
    override: bool = False
    now: bool = False
    limits: tuple[tuple[str, float], ...] = ()


class Journal(Protocol):
    """The append-only history of every run of a repository, the inbox, and the caches by digest."""

    def create(self, run: str, at: float, event: Event) -> None:
        """Append the first event of a new run. Raises UsageError where the run exists."""

    def runs(self) -> list[str]:
        """Ids, oldest first."""

    def records(self, run: str, after: int = 0) -> list[Recorded]:
        """The history of `run` beyond seq `after`. Empty where there is no such run."""

    def take(self, run: str) -> int:
        """A new fencing epoch for `run`, higher than any before. The former owner is fenced from here on."""

    def append(self, run: str, fence: int, after: int, at: float, event: Event) -> Recorded:
        """Durably append `event` as seq `after + 1`, in one transaction that checks `fence`, and settle
        the answer that it names. Raises Fenced; raises InfrastructureError (disk full, read-only)."""

    def holds(self, run: str, fence: int) -> bool:
        """Whether `fence` is still the newest of `run`."""

    def put_answer(self, answer: Answer) -> None: ...

    def answers(self, run: str) -> list[Answer]:
        """Unsettled ones, in the order they came."""

    def remember(self, kind: str, key: str, value: str) -> None:
        """Cache `value` (JSON text) by digest. The first value stays."""

    def recall(self, kind: str, key: str) -> str | None: ...


class Blobs(Protocol):
    """Evidence, by the sha256 of its content."""

    def put(self, content: bytes) -> str: ...

    def put_file(self, path: Path) -> tuple[str, int]:
        """Digest and size of a file's content, copied in."""

    def get(self, digest: str) -> bytes:
        """Raises InfrastructureError where there is none."""

    def path(self, digest: str) -> Path: ...


# --- workspaces --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Merged:
    commit: str
    tree: str
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    commit: str
    tree: str
    left_out: tuple[str, ...] = ()  # paths that were there and did not come along


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two trees."""

    path: str  # bytes decoded with surrogateescape
    status: str  # A | M | D | T (type or mode)
    old_mode: str  # six octal digits, 000000 where absent
    new_mode: str
    added: int = 0  # lines; 0 for binary
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """An attempt's or a gate's own directories; all of it is wiped together."""

    root: Path
    tree: Path  # the checkout
    home: Path
    tmp: Path
    env: tuple[tuple[str, str], ...] = ()  # what setup adds, such as PATH


@dataclass(frozen=True, slots=True)
class Room:
    """What to lay out beside a commit's files. `control` is a commit that setup worked on: where it fails on the
    files at hand and works there, it is the files that are wrong. `number` is that of the try: what failed in it is not
    tried once more; 0: it is."""

    setup: tuple[Setup, ...] = ()
    carry: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    sides: tuple[tuple[str, str], ...] = ()  # names and commits that are branches `from/NAME` of the `.git`
    control: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who and when, for commits that must come out the same every time. `at` is whole unix seconds."""

    message: str
    at: int
    author: str = "Interlock <interlock@localhost>"


class Workspaces(Protocol):
    def merge(self, sources: Sequence[str], stamp: Stamp, ref: str, names: Sequence[str] = ()) -> Merged:
        """The sources merged pairwise in order, kept by `ref`; `names` are their stages. One source is itself, and so
        is one that holds all the others. Raises InfrastructureError where a merge is not as its sides left it."""

    def open(self, run: str, attempt: AttemptId, commit: str, room: Room, *, overlay: str = "") -> Place:
        """A fresh place with the files of `commit` (those of commit `overlay` laid over it), a throw-away
        `.git` of one commit, setup and carried files. A place that is already there is wiped first."""

    def snapshot(self, place: Place, parent: str, room: Room, stamp: Stamp, ref: str) -> Candidate:
        """Read the files, make the commit on `parent`, keep it by `ref` (created once, never moved).
        Raises UnfitTree where they hold what cannot be taken (a nested repository, a device...)."""

    def adopt(self, commit: str, parent: str, stamp: Stamp, ref: str) -> Candidate:
        """A person's own commit (or the input itself) as a candidate: its tree, on `parent`."""

    def put_beside(self, place: Place, name: str, content: bytes) -> Path: ...  # for who works in the checkout

    def wipe(self, place: Place) -> None: ...

    def discard(self, run: str, attempt: AttemptId) -> None:
        """Remove whatever a lost attempt left behind, if anything."""

    def has(self, commit: str) -> bool:
        """Whether the store holds the commit."""

    def clean_room(self, commit: str, base: str, room: Room) -> AbstractContextManager[Place]:
        """A checkout of `commit` that no agent touched, with a throw-away `.git` of `base` and `commit`. Raises
        UnfitSetup where setup fails on its files and works on those of `room.control`."""

    def room_digest(self, commit: str, base: str, room: Room) -> str:
        """A digest of what the clean room shows beside the files of `commit`: what `.git` says, and what setup makes,
        which is made where it is not there yet. Of a candidate's commit the message and date are ours, and do not
        count. Raises as `clean_room`."""

    def read(self, commit: str, path: str, max_bytes: int) -> bytes | None:
        """A regular file of the commit's tree, None where there is none. Raises UsageError above `max_bytes`."""

    def files(self, commit: str, globs: Sequence[str]) -> tuple[str, ...]:
        """The paths of the commit's regular files that the globs match, sorted."""

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """Between two commits or trees, sorted by path."""

    def patch(self, old: str, new: str) -> bytes: ...

    def restore(self, commit: str, onto: str, globs: Sequence[str], stamp: Stamp) -> str:
        """`commit` with the paths that match `globs` as they are in `onto`: a new commit's hash."""

    def publish(self, commit: str, remote: str, branch: str) -> str:
        """Push `commit` as `branch` to a remote under the user's own configuration, once or again. Returns its address.
        Raises UsageError where there is none, InfrastructureError where it is out of reach or has another commit."""

    def withdraw(self, commit: str, remote: str, branch: str) -> None:
        """Delete `branch` at the remote where it is still at `commit`. Raises InfrastructureError."""

    def deliver(  # noqa: PLR0913 - what is delivered, where, and how, is six things
        self, commit: str, base: str, branch: str, stamp: Stamp, series: Sequence[str], *, sign: bool
    ) -> str:
        """Create `branch` in the user's repository. Returns the commit there. Doing it again is the same as
        doing it once. Raises DeliveryRefused where the branch has another value or is checked out."""


class UnfitTree(InterlockError):
    """What the agent left cannot be made into a commit. `findings` say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


class UnfitSetup(InterlockError):
    """Setup fails on these files, and works on those that they are compared with. `output` is what it printed last."""

    def __init__(self, message: str, output: bytes) -> None:
        super().__init__(message)
        self.output = output


class DeliveryRefused(InterlockError):
    """A person must decide: the branch is somewhere else, or checked out."""


# --- agents ------------------------------------------------------------------------------------


class Ended(StrEnum):
    COMPLETED = "completed"
    REFUSED = "refused"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    RATE_LIMITED = "rate_limited"
    OUT_OF_BUDGET = "out_of_budget"
    UNAVAILABLE = "unavailable"  # program not found, endpoint down
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Brief:
    """What an agent is given. `text` is the rendered prompt with artifacts and feedback in it."""

    run: str
    attempt: AttemptId
    text: str
    task: str
    model: str
    env: Mapping[str, str]  # all that the worker may see, complete
    timeout_s: int
    idle_timeout_s: int
    dir: str = ""  # where to work, relative to the checkout
    session: Path | None = None  # of the attempt before, as that one left it in its outcome
    resumed: str = ""  # the text in place of `text`, where that session can be gone on with
    left: Left = Left()  # of the limits: an agent that tells as it goes is ended there
    scope: Scope = Scope()  # what may be changed: a courtesy, the scope gate judges
    secrets: tuple[str, ...] = ()  # values that must not be in anything that is kept
    answer_schema: str = ""  # JSON Schema of the answer that is due, empty where the work itself is all
    rehearsal: str = ""  # what `interlock mcp --inside` reads: the gates that the agent may ask of its own work


@dataclass(frozen=True, slots=True)
class Outcome:
    """A claim. `log` is a bounded file of what the program printed."""

    ended: Ended
    message: str = ""
    exit_code: int | None = None
    usage: Usage = Usage()
    model: str = ""
    session: str = ""
    log: Path | None = None
    transcript: Path | None = None
    kept_session: Path | None = None  # to be handed to the next attempt
    retry_at: float = 0.0
    permanent: bool = False
    told: str = ""  # the brief as it was sent
    answer: str = ""  # what it answered in full, where the brief asks for one: JSON, or text that holds it


class Agent(Protocol):
    def work(self, spec: AgentSpec, brief: Brief, place: Place, cancel: Cancel) -> Outcome:
        """Do the work in `place.tree`. When this returns, every process it started is dead."""


# --- gates -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """What a gate is asked: `commit` is judged against the accepted input `input_commit`.

    `baseline` is the gate's own report on the accepted input; `decided_on_input` says that it could
    decide there, which makes a timeout or a missing report a failure of the candidate.
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
    values: Mapping[str, str]  # TASK, INPUT_*, ARTIFACT_*: what `run` may see
    baseline: bytes | None = None
    on_base: bytes | None = None  # its report on the base, where only what failed there may go on failing
    decided_on_input: bool = False
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()  # conflicts that no marker shows: the candidate must name what holds
    sandbox: str = "none"
    number: int = 1  # of the try
    said: tuple[VerdictGiven, ...] = ()  # for a review, and for traces in proofs: of the hard gates
    former: VerdictGiven | None = None  # for a review: its own, on the candidate that was rejected last


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict before it is recorded. An errored one says in its finding what would mend it."""

    status: VerdictStatus
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    digest: str = ""
    cached: bool = False
    flaky: bool = False
    permanent: bool = False
    usage: Usage = Usage()  # of reviewers
    retry_at: float = 0.0  # when a quota resets


class Gates(Protocol):
    def evaluate(self, case: Case, cancel: Cancel) -> Judgement:
        """Judge. Never raises for what a candidate does; raises InfrastructureError for the machine."""


# --- rendering and engines ---------------------------------------------------------------------


class Render(Protocol):
    def __call__(self, template: str, values: Mapping[str, object]) -> str:
        """Fill a prompt in, with strict undefined and a bound on work. Raises UsageError."""


class Engine(Protocol):
    def drive(self, run: str, *, take_over: bool = False) -> None:
        """Own the run and go on until nothing moves without a human."""


def unlimited(stage: str) -> Left:
    """Without an owner nothing is bounded."""
    return Left()


@dataclass(frozen=True, slots=True)
class World:
    """The ports that effects are performed with."""

    workspaces: Workspaces
    agents: Mapping[str, Agent]  # by the adapter's name
    gates: Gates
    blobs: Blobs
    journal: Journal
    clock: Clock
    render: Render
    fenced: Callable[[], bool]  # asked right before each effect that outlives the process
    left: Callable[[str], Left] = unlimited  # what an attempt at a stage may still use
