"""What the events of a run say of its attempts, one by one: the past that its state forgets. Pure.

Rule: a history grows by its newest events; nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from interlock.core.answers import human_verdict
from interlock.core.events import (
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
    Evidence,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    Recorded,
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
from interlock.core.fold import fold
from interlock.core.ids import AttemptId
from interlock.core.state import RunState
from interlock.core.values import changed

Span = tuple[float, float]  # from when to when


class AttemptPhase(StrEnum):
    WORKING = "working"
    JUDGING = "judging"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ERRORED = "errored"
    LOST = "lost"
    RESET = "reset"  # a goto or a person ended it


@dataclass(frozen=True, slots=True)
class VerdictView:
    at: float
    verdict: VerdictGiven


@dataclass(frozen=True)
class AttemptView:
    id: AttemptId
    phase: AttemptPhase
    agent: str
    model: str
    by: str
    input_tree: str
    started_at: float
    ended_at: float = 0.0  # of the work; 0 while it goes on
    commit: str = ""
    tree: str = ""
    outcome: str = ""
    claim: str = ""
    why: str = ""  # it errored or was lost
    cached: bool = False
    usage: Usage = Usage()
    evidence: tuple[Evidence, ...] = ()
    verdicts: tuple[VerdictView, ...] = ()
    record: str = ""  # digest of the handoff's record
    override_by: str = ""
    sent_back_to: str = ""
    asked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    worker: str = ""  # the machine that it was on, where that is another one than the owner's
    sandbox: str = ""  # the level that was in force there

    @property
    def worked_s(self) -> float | None:
        """How long it worked. None while it does, and if it was lost: nobody saw when its process ended."""
        if not self.ended_at or self.phase is AttemptPhase.LOST:
            return None
        return self.ended_at - self.started_at


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of a person, and what became of it: `refused` says why it changed nothing; empty: it was taken."""

    at: float
    answer: AnswerTaken
    refused: str = ""


def taken_before(replies: Iterable[Reply], reply: Reply) -> Reply | None:
    """The answer to the same question that was taken before this one was refused."""
    mine = reply.answer
    same = (
        other
        for other in replies
        if not other.refused and (other.answer.subject, other.answer.gate) == (mine.subject, mine.gate)
    )
    return next(same, None) if reply.refused and mine.gate else None


@dataclass(slots=True)
class Past:
    """Of a run: every attempt, verdict and answer, oldest first. `unowned` is from the last event of each owner to the
    first of the next one: nobody saw when its process ended."""

    attempts: dict[str, dict[AttemptId, AttemptView]] = field(default_factory=dict)  # by stage
    base: list[VerdictView] = field(default_factory=list)
    on_input: dict[str, list[VerdictView]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    refused: int = 0
    unowned: list[Span] = field(default_factory=list)
    at: float = 0.0  # of the newest event

    def attempt(self, attempt: AttemptId) -> AttemptView | None:
        return self.attempts.get(attempt.stage, {}).get(attempt)

    def of_stage(self, stage: str) -> tuple[AttemptView, ...]:
        """Attempts of all epochs, oldest first."""
        return tuple(self.attempts.get(stage, {}).values())


class History:
    """The state and the past of one run. Not for several threads at once."""

    __slots__ = ("past", "seen", "state")

    def __init__(self) -> None:
        self.state = RunState()
        self.past = Past()
        self.seen = 0  # the seq of the newest event in `past`

    def grow(self, records: Sequence[Recorded]) -> None:
        """Take into the state what is newer than it, in order."""
        seq = self.state.seq
        if records and records[0].seq <= seq:
            records = [record for record in records if record.seq > seq]
        self.state = fold(records, self.state)

    def gather(self, records: Sequence[Recorded]) -> None:
        """As `grow`, and into the past: only who asks for the past pays for it."""
        self.grow(records)
        for record in records:
            if record.seq > self.seen:
                _pass_time(self.past, record)
                _see(self.past, record)
                self.seen = record.seq


def _pass_time(past: Past, record: Recorded) -> None:
    if type(record.event) is OwnerChanged and past.at < record.at:
        past.unowned.append((past.at, record.at))
    past.at = record.at


def _see(past: Past, record: Recorded) -> None:
    at = record.at
    match event := record.event:
        case AttemptStarted():
            _started(past, at, event)
        case AttemptLost():
            _lost(past, at, event)
        case AttemptErrored():
            _errored(past, at, event)
        case CandidateProduced():
            _produced(past, at, event)
        case VerdictGiven():
            _judged(past, at, event)
        case ApprovalAsked():
            _asked(past, event)
        case CandidateRejected():
            _change(past, event.attempt, phase=AttemptPhase.REJECTED, asked=())
        case HandoffAccepted():
            _accepted(past, event)
        case StageSkipped():
            past.skipped[event.subject.stage] = event.why
        case SentBack():
            _sent_back(past, event)
        case AnswerTaken():
            _answered(past, at, event)
        case Refused():
            past.refused += 1
            if event.answer is not None:
                past.replies.append(Reply(at, event.answer, event.why))
        case (
            RunStarted() | OwnerChanged() | InputPrepared() | WhenHeld() | Paused() | TimeReached()
            | EffectErrored() | DeliveryBegun() | Delivered() | RunFinished()
        ):  # fmt: skip
            pass
        case _:
            assert_never(event)


def _started(past: Past, at: float, event: AttemptStarted) -> None:
    view = AttemptView(
        event.attempt, AttemptPhase.WORKING, event.agent, event.model, event.by, event.input_tree, started_at=at
    )
    past.attempts.setdefault(event.attempt.stage, {})[event.attempt] = view


def _lost(past: Past, at: float, event: AttemptLost) -> None:
    _change(past, event.attempt, phase=AttemptPhase.LOST, ended_at=at, why=event.why)


def _errored(past: Past, at: float, event: AttemptErrored) -> None:
    said = {"why": event.why, "usage": event.usage, "evidence": event.evidence, "notes": event.notes}
    _change(past, event.attempt, phase=AttemptPhase.ERRORED, ended_at=at, worker=event.worker, **said)


def _produced(past: Past, at: float, event: CandidateProduced) -> None:
    said = {"outcome": event.outcome, "claim": event.claim, "usage": event.usage, "evidence": event.evidence}
    made = {"commit": event.commit, "tree": event.tree, "cached": event.cached, "notes": event.notes}
    where = {"worker": event.worker, "sandbox": event.sandbox}
    _change(past, event.attempt, phase=AttemptPhase.JUDGING, ended_at=at, **made, **said, **where)
    if event.refusal is not None:
        _judged(past, at, event.refusal)


def _asked(past: Past, event: ApprovalAsked) -> None:
    view = past.attempt(event.subject)
    if view is not None:
        _change(past, event.subject, asked=(*view.asked, event.gate))


def _accepted(past: Past, event: HandoffAccepted) -> None:
    said = {"record": event.record, "override_by": event.override_by}
    _change(past, event.attempt, phase=AttemptPhase.ACCEPTED, asked=(), **said)


def _judged(past: Past, at: float, event: VerdictGiven) -> None:
    verdict = VerdictView(at, event)
    if event.subject.is_base:
        past.base.append(verdict)
    elif event.subject.is_input:
        past.on_input.setdefault(event.subject.stage, []).append(verdict)
    elif (view := past.attempt(event.subject)) is not None:
        _change(past, event.subject, verdicts=(*view.verdicts, verdict))


def _sent_back(past: Past, event: SentBack) -> None:
    _change(past, event.attempt, sent_back_to=event.target)
    for stage in event.resets:
        newest = next(reversed(past.attempts.get(stage, {}).values()), None)
        if newest is not None and newest.phase in (AttemptPhase.WORKING, AttemptPhase.JUDGING):
            _change(past, newest.id, phase=AttemptPhase.RESET)


def _answered(past: Past, at: float, event: AnswerTaken) -> None:
    past.replies.append(Reply(at, event))
    view = past.attempt(event.subject) if event.subject is not None and event.gate else None
    if view is not None:
        _judged(past, at, human_verdict(event))
        _change(past, view.id, asked=tuple(gate for gate in view.asked if gate != event.gate))


def _change(past: Past, attempt: AttemptId, **changes: object) -> None:
    views = past.attempts.get(attempt.stage, {})
    if attempt in views:
        views[attempt] = changed(views[attempt], **changes)  # type: ignore[arg-type]
