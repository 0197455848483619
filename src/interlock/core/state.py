"""The state of a run: a fold of its journal.

Rules: `admit` says whether an event fits, `apply` puts a fitting one in; both read the one table
below. Every change of a phase is a row of it, and the documentation draws its picture from it. What does not fit is
refused, never raised: a late report of a dead attempt, of a stale epoch or of a former owner changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, assert_never

from interlock.core.effects import RevertedWork
from interlock.core.events import (
    USAGE_UNKNOWN,
    Action,
    AnswerTaken,
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Delivered,
    DeliveryBegun,
    EffectErrored,
    Event,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    Refused,
    RunFinished,
    RunStarted,
    SentBack,
    StageSkipped,
    TimeReached,
    Usage,
    VerdictGiven,
    WhenHeld,
)
from interlock.core.ids import AttemptId
from interlock.core.stages import Stages
from interlock.core.values import changed, constructor, dataclass

QUOTA_WAIT_MAX_S = 1_800.0  # of one wait, where nobody told when a quota resets


class Phase(StrEnum):
    WAITING = "waiting"  # for its needs, or for its input to be prepared
    READY = "ready"  # its input is there; the next attempt is due
    WORKING = "working"  # an attempt is claimed
    JUDGING = "judging"  # a candidate awaits verdicts
    REJECTED = "rejected"  # next: another attempt, a loop back, or a pause
    PAUSED = "paused"  # for a human
    ACCEPTED = "accepted"
    SKIPPED = "skipped"

    __hash__ = str.__hash__  # as enums of text are compared; that of Enum is ten times as slow


# Python 3.11 looks a member of an enum up with a call; these are read at every event.
_WORKING, _JUDGING, _SETTLED = Phase.WORKING, Phase.JUDGING, (Phase.ACCEPTED, Phase.SKIPPED)


class DependentPhase(StrEnum):
    """A target that depends on the stage."""

    PAUSED_FROM = "paused_from"  # the phase that it paused in
    START = "start"  # `ready` where its input is there, else `waiting`


Trigger = type | Action  # the type of an event; of an answer, what it says
Target = Phase | DependentPhase

TRANSITIONS: Mapping[tuple[Phase, Trigger], Target] = MappingProxyType(
    {
        (Phase.WAITING, InputPrepared): Phase.READY,
        (Phase.WAITING, Paused): Phase.PAUSED,
        (Phase.WAITING, SentBack): Phase.WAITING,  # with what it hangs on, as from every phase
        (Phase.READY, WhenHeld): Phase.READY,
        (Phase.READY, StageSkipped): Phase.SKIPPED,
        (Phase.READY, AttemptStarted): Phase.WORKING,
        (Phase.READY, Paused): Phase.PAUSED,
        (Phase.READY, HandoffAccepted): Phase.ACCEPTED,  # a person accepts an earlier candidate
        (Phase.READY, SentBack): Phase.WAITING,
        (Phase.WORKING, CandidateProduced): Phase.JUDGING,
        (Phase.WORKING, AttemptErrored): Phase.READY,
        (Phase.WORKING, AttemptLost): Phase.READY,
        (Phase.WORKING, SentBack): Phase.WAITING,
        (Phase.JUDGING, VerdictGiven): Phase.JUDGING,
        (Phase.JUDGING, ApprovalAsked): Phase.JUDGING,
        (Phase.JUDGING, CandidateRejected): Phase.REJECTED,
        (Phase.JUDGING, HandoffAccepted): Phase.ACCEPTED,
        (Phase.JUDGING, AttemptLost): Phase.READY,  # a person ended it: retry --now
        (Phase.JUDGING, Paused): Phase.PAUSED,
        (Phase.JUDGING, SentBack): Phase.WAITING,
        (Phase.REJECTED, AttemptStarted): Phase.WORKING,
        (Phase.REJECTED, SentBack): Phase.WAITING,
        (Phase.REJECTED, Paused): Phase.PAUSED,
        (Phase.REJECTED, HandoffAccepted): Phase.ACCEPTED,
        (Phase.PAUSED, Paused): Phase.PAUSED,  # what a person asked for could not be done
        (Phase.PAUSED, SentBack): Phase.WAITING,
        (Phase.PAUSED, HandoffAccepted): Phase.ACCEPTED,
        (Phase.ACCEPTED, SentBack): Phase.WAITING,
        (Phase.SKIPPED, SentBack): Phase.WAITING,
        (Phase.PAUSED, Action.CONTINUE): DependentPhase.PAUSED_FROM,
        (Phase.PAUSED, Action.RAISE): DependentPhase.PAUSED_FROM,
        (Phase.JUDGING, Action.APPROVE): Phase.JUDGING,  # as the verdict of a human gate
        (Phase.JUDGING, Action.REJECT): Phase.JUDGING,
        (Phase.READY, Action.ACCEPT): Phase.READY,  # an earlier candidate; HandoffAccepted follows, as below
        (Phase.WORKING, Action.ACCEPT): Phase.WORKING,  # AttemptLost follows first
        (Phase.JUDGING, Action.ACCEPT): Phase.JUDGING,
        (Phase.REJECTED, Action.ACCEPT): Phase.REJECTED,
        (Phase.PAUSED, Action.ACCEPT): Phase.PAUSED,
        (Phase.WAITING, Action.RETRY): DependentPhase.START,
        (Phase.READY, Action.RETRY): DependentPhase.START,
        (Phase.WORKING, Action.RETRY): Phase.WORKING,  # AttemptLost follows: retry --now
        (Phase.JUDGING, Action.RETRY): Phase.JUDGING,
        (Phase.REJECTED, Action.RETRY): DependentPhase.START,
        (Phase.PAUSED, Action.RETRY): DependentPhase.START,
        (Phase.ACCEPTED, Action.RETRY): Phase.ACCEPTED,  # SentBack follows
        (Phase.SKIPPED, Action.RETRY): Phase.SKIPPED,
    }
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A candidate that was said no to, in the current epoch."""

    event: CandidateRejected
    commit: str
    verdicts: tuple[VerdictGiven, ...]
    started: AttemptStarted | None = None
    candidate: CandidateProduced | None = None


@dataclass(frozen=True, slots=True)
class QuotaWait:
    """For a quota: so often in a row, since when, and since when nobody tells when it resets; 0 where somebody did."""

    waits: int = 0
    since: float = 0.0
    untold: float = 0.0

    def after(self, at: float, retry_at: float) -> QuotaWait:
        """With a wait that began at `at`. One longer than we would choose ourselves was told."""
        told = retry_at - at > QUOTA_WAIT_MAX_S
        return _quota_wait(self.waits + 1, self.since or at, 0.0 if told else self.untold or at)


_quota_wait = constructor(QuotaWait)


@dataclass(frozen=True)
class Spending:
    """Charges of a run. `cost_known` is false as soon as one attempt could not say."""

    attempts: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    cost_known: bool = True
    wall_s: float = 0.0

    def plus(self, usage: Usage, attempts: int) -> Spending:
        if not attempts and not self.cost_known and (usage is USAGE_UNKNOWN or usage == USAGE_UNKNOWN):
            return self
        return changed(
            self,
            attempts=self.attempts + attempts,
            tokens=self.tokens + (usage.tokens_in or 0) + (usage.tokens_out or 0),
            cost_usd=self.cost_usd + (usage.cost_usd or 0.0),
            cost_known=self.cost_known and usage.cost_usd is not None,
        )


@dataclass(frozen=True)
class StageState:
    epoch: int = 1
    phase: Phase = Phase.WAITING
    input: InputPrepared | None = None
    input_verdicts: Mapping[str, VerdictGiven] = field(default_factory=dict)
    when_held: bool = False
    number: int = 0  # of the newest attempt in this epoch
    attempt: AttemptStarted | None = None  # the newest
    candidate: CandidateProduced | None = None  # of the newest attempt
    verdicts: Mapping[str, VerdictGiven] = field(default_factory=dict)  # on that candidate
    asked: frozenset[str] = frozenset()  # human gates that wait
    rejections: tuple[Rejection, ...] = ()
    charged: int = 0  # rejections since the epoch began or a person gave new attempts
    feedback: tuple[str, ...] = ()  # digests, oldest first, for the next attempt
    errors: int = 0  # infrastructure failures of attempts in a row
    waited: QuotaWait = QuotaWait()  # for quotas that ended attempts in a row
    failure: AttemptErrored | None = None  # the last one
    down: tuple[str, ...] = ()  # agents that infrastructure has kept from working, since the last candidate
    limited: tuple[str, ...] = ()  # those of them that only a quota keeps: they may be waited for
    failures: Mapping[str, int] = field(default_factory=dict)  # of infrastructure, by agent, since the last candidate
    retry_at: float = 0.0
    output: tuple[str, str] | None = None  # commit and tree, once accepted or skipped
    accepted: HandoffAccepted | None = None
    pause: Paused | None = None
    paused_from: Phase = Phase.WAITING
    gates_waited: Mapping[str, QuotaWait] = field(default_factory=dict)  # by gate, for quotas of reviewers
    orphaned: bool = False  # the claim is of a former owner
    session: tuple[str, str] = ("", "")  # of the newest candidate: its agent, and the digest of the agent's session
    answer: AnswerTaken | None = None  # of a person, still to be carried out
    undone: RevertedWork | None = None  # its work of the epoch before, where it was sent back itself
    spent: Spending = Spending()  # over all its epochs; without time

    @property
    def live(self) -> bool:
        """Whether something may be wanted of it: it is not settled, or a person wants otherwise."""
        return self.answer is not None or self.phase not in _SETTLED

    @property
    def settled(self) -> bool:
        return self.phase in _SETTLED

    @property
    def submission(self) -> AnswerTaken | None:
        """`retry --with COMMIT`: the next candidate is a person's own."""
        answer = self.answer
        mine = answer is not None and answer.action is Action.RETRY and bool(answer.commit) and not answer.now
        return answer if mine else None

    @property
    def busy(self) -> bool:
        """Whether time spent now is the run's and not a human's or a quota's."""
        return self.phase is _WORKING or (self.phase is _JUDGING and not self.asked)

    def judged(self, verdict: VerdictGiven) -> StageState:
        """With a verdict on its newest candidate."""
        return changed(self, **self.fields_judged(verdict))

    def fields_judged(self, verdict: VerdictGiven) -> dict[str, Any]:
        """Those that `judged` changes."""
        return {"verdicts": {**self.verdicts, verdict.gate: verdict}, "asked": self.asked - {verdict.gate}}


@dataclass(frozen=True)
class RunState:
    started: RunStarted | None = None
    started_at: float = 0.0
    seq: int = 0
    at: float = 0.0  # when the newest event was appended
    now: float = 0.0  # the newest time that reached the run as a fact
    fence: int = 0
    stages: Stages[StageState] = field(default_factory=Stages)
    base_verdicts: Mapping[str, VerdictGiven] = field(default_factory=dict)
    base_open: frozenset[str] = frozenset()  # those of them that failed, or could not decide
    loops: Mapping[tuple[str, int], int] = field(default_factory=dict)  # gotos taken by (stage, rule)
    spent: Spending = Spending()
    raised: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, EffectErrored] = field(default_factory=dict)  # by effect and subject
    pause: Paused | None = None  # of the run: delivery, or a base that the machine kept from being judged
    cancelled_by: str = ""
    cancelled_why: str = ""  # the first of what was said with it
    branch: str = ""  # the name that a person gave to what is delivered
    delivering: DeliveryBegun | None = None  # the branch may be there
    delivered: Delivered | None = None
    finished: RunFinished | None = None

    def stage(self, stage_id: str) -> StageState:
        """Raises KeyError where the stage takes no part in the run."""
        return self.stages[stage_id]

    @property
    def cancelled(self) -> str:
        """By whom, and why."""
        return f"cancelled by {self.cancelled_by}" + (f": {self.cancelled_why}" if self.cancelled_why else "")

    @property
    def unknown(self) -> str:
        """What nobody could tell of a delivery, to be added to how the run ended."""
        return f"; branch {self.delivering.branch} may exist" if self.delivering else ""

    @property
    def live(self) -> Iterator[StageState]:
        """The stages of which something may be wanted."""
        return (self.stages[name] for name in self.stages.live)

    @property
    def settled(self) -> bool:
        """Whether every stage is."""
        return all(stage.settled for stage in self.live)

    @property
    def output(self) -> tuple[str, str] | None:
        """Commit and tree that the run comes to, once every stage is settled."""
        if self.started is None or not self.settled:
            return None
        return self.stages[self.started.stages[-1]].output

    def rejection(self, attempt: AttemptId) -> Rejection | None:
        stage = self.stages.get(attempt.stage)
        found = (item for item in (stage.rejections if stage else ()) if item.event.attempt == attempt)
        return next(found, None)


def stage_of(event: Event) -> str:
    """The stage that an event is about; empty for events of the run."""
    match event:
        case (
            AttemptStarted() | AttemptErrored() | AttemptLost() | CandidateProduced() | HandoffAccepted()
            | CandidateRejected() | SentBack()
        ):  # fmt: skip
            return event.attempt.stage
        case VerdictGiven() | InputPrepared() | StageSkipped() | WhenHeld() | ApprovalAsked():
            return event.subject.stage
        case Paused() | AnswerTaken():
            return event.stage
        case (
            RunStarted() | OwnerChanged() | Refused() | TimeReached() | EffectErrored() | DeliveryBegun()
            | Delivered() | RunFinished()
        ):  # fmt: skip
            return ""
        case _:
            assert_never(event)


def subject_of(event: Event) -> AttemptId | None:
    """The attempt or input that an event of a stage is about, where it must be of the current epoch."""
    match event:
        case (
            AttemptStarted() | AttemptLost() | AttemptErrored() | CandidateProduced() | HandoffAccepted()
            | CandidateRejected() | SentBack()
        ):  # fmt: skip
            return event.attempt
        case InputPrepared() | StageSkipped() | WhenHeld() | ApprovalAsked():
            return event.subject
        case (
            VerdictGiven() | Paused() | AnswerTaken() | RunStarted() | OwnerChanged() | Refused()
            | TimeReached() | EffectErrored() | DeliveryBegun() | Delivered() | RunFinished()
        ):  # fmt: skip
            return None
        case _:
            assert_never(event)


def trigger_of(event: Event) -> Trigger:
    """What the table knows the event by."""
    return event.action if isinstance(event, AnswerTaken) else type(event)


def fits(stage: StageState, event: Event) -> bool:
    """Whether the table has a row for the event in the phase of the stage."""
    return (stage.phase, trigger_of(event)) in TRANSITIONS


def moved(former: StageState, event: Event, stage: StageState) -> StageState:
    """`stage`, a copy that nobody else has seen, in the phase that the table gives for the event in the phase of
    `former`. The only place that sets a phase."""
    target = TRANSITIONS[former.phase, trigger_of(event)]
    stage.__dict__.update(phase=_returned(former, target) if isinstance(target, DependentPhase) else target)
    return stage


def _returned(former: StageState, target: DependentPhase) -> Phase:
    match target:
        case DependentPhase.PAUSED_FROM:
            return former.paused_from
        case DependentPhase.START:
            return Phase.WAITING if former.input is None else Phase.READY
        case _:
            assert_never(target)


def trigger_name(trigger: Trigger) -> str:
    """As reports and the documentation show it."""
    return f"{AnswerTaken.__name__}({trigger.value})" if isinstance(trigger, Action) else trigger.__name__


def pictured(transitions: Mapping[tuple[Phase, Trigger], Target] = TRANSITIONS) -> Iterable[str]:
    """The table as lines of a Mermaid state diagram, for the documentation. `paused` goes back to where a stage can
    pause."""
    pauses = tuple(phase for phase, trigger in transitions if trigger is Paused and phase is not Phase.PAUSED)
    yield "stateDiagram-v2"
    yield "    [*] --> waiting"
    for (phase, trigger), target in transitions.items():
        for end in _ends(phase, target, pauses):
            yield f"    {phase} --> {end}: {trigger_name(trigger)}"


def _ends(phase: Phase, target: Target, pauses: tuple[Phase, ...]) -> tuple[Phase, ...]:
    match target:
        case DependentPhase.PAUSED_FROM:
            return pauses
        case DependentPhase.START if phase is Phase.PAUSED:
            return (Phase.WAITING, Phase.READY)
        case DependentPhase.START:
            return (Phase.WAITING,) if phase is Phase.WAITING else (Phase.READY,)
        case Phase():
            return (target,)
        case _:
            assert_never(target)
