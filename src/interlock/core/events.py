"""Facts in the journal. Immutable, closed, and the only thing that changes a run's state.

Hashes are hex text. Times are unix seconds and lie in the record around an event, never in it.
"""

from __future__ import annotations

from enum import StrEnum

from interlock.core.conflicts import Undecided
from interlock.core.ids import AttemptId
from interlock.core.values import dataclass


class VerdictStatus(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Action(StrEnum):
    """What a human can say to a run."""

    APPROVE = "approve"
    REJECT = "reject"
    RETRY = "retry"
    ACCEPT = "accept"
    CANCEL = "cancel"
    CONTINUE = "continue"  # what `resume` says to a paused run
    RAISE = "raise"  # more of a limit


class RunStatus(StrEnum):
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    STOPPED = "stopped"  # it could not begin: a gate cannot run on the base, or the base is red where it must be green


class PauseReason(StrEnum):
    ATTEMPTS = "attempts"  # all attempts of the epoch were rejected
    LOOP = "loop"  # a goto has used up its `max`
    NO_PROGRESS = "no_progress"
    LIMIT = "limit"  # a limit of the run
    RULE = "rule"  # an on_reject rule says pause
    INFRASTRUCTURE = "infrastructure"  # retries used up
    CONFLICT = "conflict"  # a join in conflict, and no agent to mend it
    NO_RULE = "no_rule"  # a stage without a worker was rejected and no rule leads anywhere
    DELIVERY = "delivery"
    ESCALATED = "escalated"  # a reviewer asks for a person, or takes back what it asked for


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong. `file` is relative to the repository's root, `line` counts from 1, 0 is unknown."""

    rule: str
    message: str
    severity: Severity = Severity.ERROR
    file: str = ""
    line: int = 0
    reason: str = ""  # code | design | plan | requirement, of reviews
    secret: bool = False  # of a held-out gate: agents are told the count only


@dataclass(frozen=True, slots=True)
class Usage:
    """What an agent says it used. None is unknown, which is never zero."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    cost_usd: float | None = None


USAGE_UNKNOWN = Usage()
SESSION = "session"  # the name of the evidence that an agent can go on from


@dataclass(frozen=True, slots=True)
class Evidence:
    """A log or report in the blob store, by its sha256."""

    name: str
    digest: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class RunStarted:
    run: str
    pipeline: str
    pipeline_digest: str
    task: str
    base_commit: str
    base_tree: str
    stages: tuple[str, ...]  # those that take part, in topological order
    inputs: tuple[tuple[str, str], ...] = ()
    until: str = ""
    sandbox: str = "none"
    by: str = ""
    pipeline_text: str = ""  # sha256 of it as the journal keeps it; earlier versions did not say
    engine: str = ""  # `temporal`; empty: this machine
    repository: str = ""  # always empty: fields are stored by their place, and this one is followed by another
    contents: str = ""  # digest of the manifest of what it needs besides commits; empty: it lies in the working tree


@dataclass(frozen=True, slots=True)
class OwnerChanged:
    """A process took the run. Whatever was claimed and not reported by the former one is lost."""

    fence: int
    owner: str


@dataclass(frozen=True, slots=True)
class InputPrepared:
    """The accepted input of a stage in an epoch. `conflicts` are paths; those that have no markers in them are
    `undecided` too."""

    subject: AttemptId
    commit: str
    tree: str
    sources: tuple[str, ...]
    conflicts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of the stages that the sources are of, where there are several
    undecided: tuple[Undecided, ...] = ()
    pack: str = ""  # digest of a pack with the commit, where other machines need it


@dataclass(frozen=True, slots=True)
class StageSkipped:
    subject: AttemptId  # its input, which passes through
    why: str


@dataclass(frozen=True, slots=True)
class WhenHeld:
    """The condition of a stage was looked at and is true."""

    subject: AttemptId


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A claim, appended before work begins."""

    attempt: AttemptId
    agent: str  # empty: a script, or a stage without a worker
    model: str
    input_tree: str
    by: str = ""  # a person, where the candidate is theirs
    sandbox: str = ""  # the level in force


@dataclass(frozen=True, slots=True)
class AttemptLost:
    attempt: AttemptId
    why: str


@dataclass(frozen=True, slots=True)
class AttemptErrored:
    """Infrastructure failed; no attempt of the stage is charged. `retry_at` is when the next one may start."""

    attempt: AttemptId
    why: str
    retry_at: float
    permanent: bool = False  # retrying cannot help: a person must fix it
    quota: bool = False  # it waits for a quota: not counted as a try, and not against `wall`
    usage: Usage = USAGE_UNKNOWN
    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()  # what a person should know of it, such as what could not be removed
    worked: bool = False  # a quota ended it in the middle of its work: one of the attempts of `limits`
    worker: str = ""  # the machine that it was on, where that is another one than the owner's


@dataclass(frozen=True, slots=True)
class CandidateProduced:
    """The commit that Interlock made. `claim` is what the agent said; nobody believes it."""

    attempt: AttemptId
    commit: str
    tree: str
    claim: str = ""
    outcome: str = "completed"  # completed | crashed | timed_out | refused | over_limit, as the agent ended
    usage: Usage = USAGE_UNKNOWN
    left_out: int = 0  # files that did not come along
    evidence: tuple[Evidence, ...] = ()
    cached: bool = False
    unfit: tuple[Finding, ...] = ()  # what no commit can hold, for which it was not taken: it is the input then
    notes: tuple[str, ...] = ()
    pack: str = ""  # digest of a pack with the commit, where other machines need it
    worker: str = ""  # the machine that it was made on, where that is another one than the owner's
    sandbox: str = ""  # the level that was in force there

    @property
    def refusal(self) -> VerdictGiven | None:
        """What the scope gate has to say before it looks at any tree."""
        if not self.unfit:
            return None
        gate = f"{self.attempt.stage}/scope"
        return VerdictGiven(self.attempt, gate, 1, VerdictStatus.FAILED, self.unfit, tree=self.tree)


@dataclass(frozen=True, slots=True)
class VerdictGiven:
    """`gate` is STAGE/GATE, because a join is judged by the gates of others."""

    subject: AttemptId
    gate: str
    number: int  # of the try at this verdict, from 1
    status: VerdictStatus
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    tree: str = ""
    digest: str = ""  # the cache key: all that the verdict hangs on
    cached: bool = False
    flaky: bool = False
    retry_at: float = 0.0
    permanent: bool = False  # errored, and trying again cannot help
    by: str = ""  # a person, for human gates
    sandbox: str = ""
    hard: bool = True
    usage: Usage = USAGE_UNKNOWN  # of reviewers
    notes: tuple[str, ...] = ()
    quota: bool = False  # errored, and it waits for the quota of a reviewer: not counted as a try
    tests: str = ""  # what its test report counts, as `1,991 tests, 2 failed, 4 skipped`
    worker: str = ""  # the machine that judged, where that is another one than the owner's
    tools: str = ""  # digest of the programs, packages and system that it judged with

    @property
    def decided(self) -> bool:
        return self.status is not VerdictStatus.ERRORED

    def evidence_of(self, name: str) -> str:
        """Digest of the evidence of that name, or empty."""
        return next((item.digest for item in self.evidence if item.name == name), "")


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    subject: AttemptId
    gate: str
    question: str


@dataclass(frozen=True, slots=True)
class HandoffAccepted:
    attempt: AttemptId
    commit: str
    tree: str
    record: str  # digest of the handoff's record in the store
    override_by: str = ""  # who accepted it over a hard or soft gate that did not pass
    by: str = ""


@dataclass(frozen=True, slots=True)
class CandidateRejected:
    """`feedback` is the digest of what the next attempt is told; `fingerprint` says which findings these were."""

    attempt: AttemptId
    tree: str
    feedback: str
    fingerprint: str
    empty: bool = False  # it changed nothing
    hard: bool = True  # a hard gate said no
    gates: tuple[str, ...] = ()  # those that said no, as STAGE/GATE
    reasons: tuple[str, ...] = ()  # reason classes among the findings
    files: tuple[str, ...] = ()  # those of the findings that failed it; an empty one where some name none


@dataclass(frozen=True, slots=True)
class SentBack:
    """A goto: `target` and all that hangs on it start a new epoch."""

    attempt: AttemptId  # the rejected one
    target: str
    rule: int  # index in on_reject, or -1 where a person asked
    feedback: str
    resets: tuple[str, ...]  # the target and all that hangs on it


@dataclass(frozen=True, slots=True)
class Paused:
    """`stage` is empty where the whole run pauses."""

    stage: str
    reason: PauseReason
    detail: str


@dataclass(frozen=True, slots=True)
class AnswerTaken:
    """A human's answer, out of the inbox. Fields are empty where the action has no use for them."""

    answer: str  # id in the inbox
    action: Action
    by: str
    stage: str = ""
    subject: AttemptId | None = None
    gate: str = ""
    comment: str = ""
    feedback: str = ""  # digest of the comment as feedback
    commit: str = ""  # of `retry --with`, imported into the store
    override: bool = False
    now: bool = False
    limits: tuple[tuple[str, float], ...] = ()  # of raise: name, how much more
    branch: str = ""  # of continue: deliver under this name
    pack: str = ""  # digest of a pack with the commit, where other machines need it


@dataclass(frozen=True, slots=True)
class Refused:
    """Something came too late or fits nothing. It is kept for the reader and changes nothing."""

    what: str
    subject: str
    why: str
    answer: AnswerTaken | None = None  # the answer that was refused


@dataclass(frozen=True, slots=True)
class TimeReached:
    """`jumped_s`: time since the event before in which nobody worked: the clock jumped, or no worker fits."""

    at: float
    jumped_s: float = 0.0


@dataclass(frozen=True, slots=True)
class EffectErrored:
    """Merging, accepting, delivering... failed for the moment. `effect` names the command and its target. `undone`: it
    is known that nothing of it is there."""

    effect: str
    number: int
    why: str
    retry_at: float
    permanent: bool = False
    undone: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryBegun:
    """From here on the branch may be there, until the run knows that it is, or that it is not: who cancels now is too
    late."""

    branch: str
    commit: str
    source: str


@dataclass(frozen=True, slots=True)
class Delivered:
    branch: str
    commit: str
    source: str = ""  # the accepted commit that it was made from


@dataclass(frozen=True, slots=True)
class RunFinished:
    status: RunStatus
    why: str = ""


RunEvent = (
    RunStarted | OwnerChanged | Refused | TimeReached | EffectErrored | DeliveryBegun | Delivered | RunFinished
)  # fmt: skip
AttemptEvent = (  # of one stage, and of its current epoch
    InputPrepared
    | StageSkipped
    | WhenHeld
    | AttemptStarted
    | AttemptLost
    | AttemptErrored
    | CandidateProduced
    | ApprovalAsked
    | HandoffAccepted
    | CandidateRejected
)
Event = RunEvent | AttemptEvent | VerdictGiven | SentBack | Paused | AnswerTaken


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the journal holds it: its place in the run's history, from 1, and when it was appended."""

    seq: int
    at: float  # unix seconds
    event: Event
