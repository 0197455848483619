"""Intents that the planner returns: all that performing needs to know, apart from what a run is made of.

Rule: `key` tells effects apart. The engine starts what is wanted and whose key is not in flight, and cancels what is in
flight and whose key is no longer wanted. An effect can be written down and read again (`core/wire.py`).
"""

from __future__ import annotations

from math import inf
from typing import assert_never

from interlock.core.codec import Bound
from interlock.core.conflicts import Undecided
from interlock.core.events import (
    AttemptStarted,
    CandidateProduced,
    DeliveryBegun,
    Finding,
    HandoffAccepted,
    InputPrepared,
    PauseReason,
    RunStatus,
    VerdictGiven,
)
from interlock.core.ids import AttemptId
from interlock.core.values import dataclass


@dataclass(frozen=True, slots=True)
class PrepareInput:
    """Merge `sources` (commits, in written order) into the input of a stage; one source passes as it is, and `tree` is
    its tree."""

    subject: AttemptId
    sources: tuple[str, ...]
    number: int
    names: tuple[str, ...] = ()  # of the stages that they are of, where there are several
    tree: str = ""


@dataclass(frozen=True, slots=True)
class CheckWhen:
    """`broken` says what is wrong with a merged input: such a one may not pass through a skipped stage."""

    subject: AttemptId
    commit: str
    number: int
    broken: str = ""


@dataclass(frozen=True, slots=True)
class RevertedWork:
    """Work of a former epoch that was sent back: what the attempt made of its input, as trees."""

    attempt: AttemptId
    input_tree: str
    tree: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """What an attempt may still use of the limits above it, infinite where there is none."""

    tokens: Bound = inf
    cost_usd: Bound = inf


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """`feedback` are digests, oldest first. `source` is a commit that a person made, or a rejected candidate
    to go on from; both are laid over the input."""

    attempt: AttemptId
    agent: str
    input_commit: str
    input_tree: str
    feedback: tuple[str, ...] = ()
    source: str = ""
    by: str = ""  # set: the candidate is `source` itself, submitted by that person
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    sides: tuple[tuple[str, str], ...] = ()  # stage and commit of each that was merged, where there are conflicts
    inherited: tuple[str, ...] = ()  # gates of merged stages that judge the candidate too, as STAGE/GATE
    broken: tuple[Finding, ...] = ()  # what the merged input's gates found
    errors: int = 0  # infrastructure failures in a row before this one
    session: str = ""  # digest of the agent's own, to be resumed
    undone: RevertedWork | None = None  # where its stage was sent back
    remaining: Remaining = Remaining()  # of the limits of the run and the stage


@dataclass(frozen=True, slots=True)
class LoseAttempt:
    attempt: AttemptId
    why: str


@dataclass(frozen=True, slots=True)
class Before:
    """What the same gate said of a commit before: a candidate is compared with it. `tools` is the digest of what it
    judged with: on a machine that has others, the commit is judged again first."""

    commit: str
    tree: str
    tools: str
    passed: bool


@dataclass(frozen=True, slots=True)
class EvaluateGate:
    """`baseline` is the digest of the gate's own report on the accepted input, where one is due."""

    subject: AttemptId
    gate: str  # STAGE/GATE
    number: int
    commit: str
    tree: str
    input_commit: str
    input_tree: str
    baseline: str = ""
    on_base: str = ""  # digest of its report on the base, where what failed there may keep failing
    decided_on_input: bool = False  # the same gate could decide on the accepted input
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    hard_verdicts: tuple[
        VerdictGiven, ...
    ] = ()  # for a review, and for traces in proofs: of hard gates, on this candidate
    former: VerdictGiven | None = None  # for a review: its own, on the candidate that was rejected last
    before: Before | None = None  # where `baseline` is from; without one, what the gate said of the base
    on_base_tools: str = ""  # what `on_base` was made with


@dataclass(frozen=True, slots=True)
class AskApproval:
    subject: AttemptId
    gate: str


@dataclass(frozen=True, slots=True)
class AcceptHandoff:
    """With all that the record of the handoff says: it is written from this alone."""

    attempt: AttemptId
    commit: str
    tree: str
    input_tree: str
    verdicts: tuple[VerdictGiven, ...]
    override_by: str
    by: str
    number: int
    started: AttemptStarted | None = None
    candidate: CandidateProduced | None = None
    prepared: InputPrepared | None = None
    inputs: tuple[HandoffAccepted, ...] = ()  # those that the input was made from; none where it is the base


@dataclass(frozen=True, slots=True)
class RejectCandidate:
    attempt: AttemptId
    commit: str
    tree: str
    input_tree: str
    verdicts: tuple[VerdictGiven, ...]
    number: int
    red_before: tuple[str, ...] = ()  # gates that failed already before the attempt


@dataclass(frozen=True, slots=True)
class SendBack:
    attempt: AttemptId
    target: str
    rule: int
    feedback: str
    resets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    stage: str
    reason: PauseReason
    detail: str


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """`since` is when it began, with the waits before it, where it is a quota that is waited for; else 0."""

    at: float
    why: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class DeliverBranch:
    """`series` are the accepted commits in order, where the handoffs are delivered one by one. `branch` is a name that
    a person gave; empty: that of the pipeline. `begun` is a delivery that may have been made already."""

    commit: str
    series: tuple[str, ...]
    number: int
    branch: str = ""
    begun: DeliveryBegun | None = None


@dataclass(frozen=True, slots=True)
class FinishRun:
    status: RunStatus
    why: str


Operation = (  # the world is changed, and then comes its fact: `execution.perform`
    PrepareInput
    | CheckWhen
    | StartAttempt
    | LoseAttempt
    | EvaluateGate
    | AcceptHandoff
    | RejectCandidate
    | DeliverBranch
)
Decision = AskApproval | SendBack | Pause | FinishRun  # nothing but its fact, which follows from it: `core.facts`
Effect = Operation | Decision | WaitUntil


def key(effect: Effect) -> str:
    """The idempotency key: two effects of a run with the same key are one, which is performed once at a time.

    It is the kind, what the effect is about, and what a person decided of it. What else is in it follows from
    these, or only says more: the limits that remain, a delivery that has begun. The number of a try is in the key of a
    gate alone, which can be cancelled: another try of any other effect begins once the one before has ended.
    """
    kind = type(effect).__name__
    match effect:
        case PrepareInput() | CheckWhen():
            return f"{kind} {effect.subject}"
        case StartAttempt() | LoseAttempt() | RejectCandidate():
            return f"{kind} {effect.attempt}"
        case EvaluateGate():
            return f"{kind} {effect.subject} {effect.gate} {effect.number}"
        case AskApproval():
            return f"{kind} {effect.subject} {effect.gate}"
        case AcceptHandoff():
            return f"{kind} {effect.attempt} {effect.by!r} {effect.override_by!r}"
        case SendBack():
            return f"{kind} {effect.attempt} {effect.target} {effect.rule}"
        case Pause():
            return f"{kind} {effect.stage} {effect.reason}"
        case WaitUntil():
            return f"{kind} {effect.at!r}"
        case DeliverBranch():
            return f"{kind} {effect.commit} {effect.branch!r}"
        case FinishRun():
            return f"{kind} {effect.status}"
        case _:
            assert_never(effect)
