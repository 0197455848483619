"""Events as lines for people: `12:03:01 code/1.2  gate test failed: 2 findings (tests/test_x.py:14)`.

Rule: every surface that shows a run event by event takes its words from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

from interlock.cli.verdicts import first_line, verdict_words
from interlock.cli.words import clock, ended, gate_name, safe, short
from interlock.core.attempts import in_a_row
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
    Event,
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
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.feedback import passed_limit
from interlock.core.ids import AttemptId
from interlock.core.limits import TRIES_MAX
from interlock.core.pipeline import Pipeline
from interlock.service.formats import count, duration, usage

_OfStage = InputPrepared | StageSkipped | ApprovalAsked | CandidateRejected | HandoffAccepted | SentBack
_OfRun = RunStarted | OwnerChanged | AnswerTaken | Refused | EffectErrored | Delivered | RunFinished
_TOO_LATE = {
    "VerdictGiven": "a verdict",
    "CandidateProduced": "the candidate",
    "AttemptStarted": "the start",
    "AttemptErrored": "the end",
    "AttemptLost": "the loss",
    "HandoffAccepted": "the acceptance",
    "CandidateRejected": "the rejection",
    "ApprovalAsked": "the question",
    "InputPrepared": "the input",
    "SentBack": "the loop back",
    "Paused": "the pause",
}


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One transition: when, about what (attempt, stage, or empty for the run), and the text."""

    at: float
    about: str
    text: str
    bad: bool = False
    good: bool = False

    def __str__(self) -> str:
        return f"{clock(self.at)} {self.about or 'run':<{_ABOUT_WIDTH}} {self.text}"


_ABOUT_WIDTH = 12


@dataclass(slots=True)
class Story:
    """Turns records into lines, in order. It keeps when attempts began, and which gates failed on the base."""

    pipeline: Pipeline
    closes: bool = False  # the caller prints what the run waits for after the story
    _tries: dict[tuple[str, str], int] = field(default_factory=dict)
    _worker: dict[str, str] = field(default_factory=dict)
    _down: dict[str, set[str]] = field(default_factory=dict)
    _began: dict[AttemptId, float] = field(default_factory=dict)
    _red: set[str] = field(default_factory=set)
    _limited: set[AttemptId] = field(default_factory=set)
    _statuses: dict[AttemptId, dict[str, VerdictStatus]] = field(default_factory=dict)

    def line(self, record: Recorded) -> StoryLine | None:
        """None for an event that is of no interest to people."""
        if isinstance(record.event, AttemptStarted):
            self._began[record.event.attempt] = record.at
            self._worker[record.event.attempt.stage] = record.event.agent
        text = self._text(record)
        self._reset_counts(record.event)
        if not text:
            return None
        text += "".join(f"; note: {safe(note)}" for note in getattr(record.event, "notes", ()))
        bad, good = _is_bad_or_good(record.event)
        return StoryLine(record.at, _about(record.event), text, bad, good)

    def saw(self, verdict: VerdictGiven) -> None:
        """A verdict, also one of before the first line."""
        self._statuses.setdefault(verdict.subject, {})[verdict.gate] = verdict.status

    def _text(self, record: Recorded) -> str:
        match event := record.event:
            case AttemptStarted():
                return self._started(event)
            case CandidateProduced():
                return self._produced(event, record.at)
            case AttemptErrored():
                tries = self._count_error(event)
                again = self._fallback(event, tries) or _again(
                    record.at, event.retry_at, permanent=event.permanent, tries=tries
                )
                charged = "this counts as one attempt" if event.worked else "this does not count as an attempt"
                return f"infrastructure: {first_line(event.why, 240)}; {again}; {charged}"
            case AttemptLost():
                return f"lost: {safe(event.why)}; this does not count as an attempt"
            case VerdictGiven():
                return self._judged(event)
            case Paused():
                detail = "" if self.closes else f": {safe(event.detail)}"
                return f"paused ({event.reason.replace('_', ' ')}){detail}"
            case (
                InputPrepared() | StageSkipped() | ApprovalAsked() | CandidateRejected() | HandoffAccepted()
                | SentBack()
            ):  # fmt: skip
                return _of_stage(event, self._although(event))
            case (
                RunStarted() | OwnerChanged() | AnswerTaken() | Refused() | EffectErrored() | Delivered()
                | RunFinished()
            ):  # fmt: skip
                return _of_run(event, record.at)
            case WhenHeld() | TimeReached() | DeliveryBegun():
                return ""
            case _:
                assert_never(event)

    def _count_error(self, event: AttemptErrored) -> int:
        """The number of errors in a row, without those for a quota, which is waited for."""
        if event.quota:
            return 0
        key = (event.attempt.stage, self._worker.get(event.attempt.stage, ""))
        self._tries[key] = self._tries.get(key, 0) + 1
        return self._tries[key]

    def _fallback(self, event: AttemptErrored, tries: int) -> str:
        """The fallback agent that takes over from one that is down; empty if there is none."""
        stage = event.attempt.stage
        worker = self._worker.get(stage, "")
        if not (event.quota or event.permanent or tries >= TRIES_MAX) or not worker:
            return ""
        down = self._down[stage] = {*self._down.get(stage, ()), worker}
        rows = (tuple(in_a_row(self.pipeline, name)) for name in _first_of_rows(self.pipeline, stage))
        row = next((row for row in rows if worker in row), ())
        able = next((name for name in row if name not in down), "")
        return f"{able} takes over" if able else ""

    def _reset_counts(self, event: Event) -> None:
        """Errors are counted from zero after a candidate, a pause, an answer or a loop back."""
        match event:
            case CandidateProduced():
                stages = {event.attempt.stage}
            case Paused() | AnswerTaken():
                stages = {event.stage}
            case SentBack():
                stages = set(event.resets)
            case (
                RunStarted() | OwnerChanged() | InputPrepared() | StageSkipped() | WhenHeld() | AttemptStarted()
                | AttemptLost() | AttemptErrored() | VerdictGiven() | ApprovalAsked() | HandoffAccepted()
                | CandidateRejected() | Refused() | TimeReached() | EffectErrored() | DeliveryBegun()
                | Delivered() | RunFinished()
            ):  # fmt: skip
                return
            case _:
                assert_never(event)
        self._tries = {key: number for key, number in self._tries.items() if key[0] not in stages}
        self._down = {name: down for name, down in self._down.items() if name not in stages}

    def _started(self, event: AttemptStarted) -> str:
        if event.by:
            return f"submitted by {safe(event.by, 120)}"
        if event.agent:
            model = f" ({safe(event.model, 60)})" if event.model else ""
            return f"{event.agent}{model} works"
        stage = self.pipeline.stage(event.attempt.stage)
        return "script runs" if stage.command is not None else "no agent: runs its gates on the accepted input"

    def _although(self, event: _OfStage) -> str:
        """The gates of an attempt that did not pass, or what a limit did, as far as the story saw them."""
        if isinstance(event, CandidateRejected) and event.attempt in self._limited:
            return "nothing of its work was taken"
        if not isinstance(event, HandoffAccepted):
            return ""
        known = self._statuses.get(event.attempt, {})
        bad = (name for name, status in known.items() if status is not VerdictStatus.PASSED)
        gates = [gate_name(name, event.attempt.stage) for name in bad]
        named = f"gate {gates[0]}" if len(gates) == 1 else f"gates {', '.join(gates)}"
        return f"{named} did not pass" if gates else "not every gate passed"

    def _judged(self, event: VerdictGiven) -> str:
        """A gate that fails on the base says so: an attempt passes it only if it fixes that."""
        self.saw(event)
        if event.status is VerdictStatus.ERRORED and event.retry_at and not event.permanent:
            return f"{verdict_words(event)}; again at {clock(event.retry_at)}"
        if event.status is not VerdictStatus.FAILED:
            return verdict_words(event)
        if event.subject.is_base:
            self._red.add(event.gate)
            return f"{verdict_words(event)}, before any work: the agent must fix it"
        return verdict_words(event) + (", as before any work" if event.gate in self._red else "")

    def _produced(self, event: CandidateProduced, at: float) -> str:
        if not self.pipeline.stage(event.attempt.stage).has_worker:
            return ""
        if event.refusal is not None:
            if passed_limit(event.refusal):
                self._limited.add(event.attempt)
            return verdict_words(event.refusal)
        took = duration(at - self._began.get(event.attempt, at))
        parts = ["cached"] if event.cached else [part for part in (took, usage(event.usage)) if part]
        ended = "" if event.outcome == "completed" else f", its agent {event.outcome.replace('_', ' ')}"
        return f"candidate {short(event.commit)}{ended} ({', '.join(parts)})"


def _first_of_rows(pipeline: Pipeline, stage: str) -> Iterator[str]:
    """The agents that may do the work of a stage; the fallbacks of each follow it in its row."""
    of = pipeline.stage(stage)
    yield from filter(None, (of.agent, *(rule.agent for rule in of.on_reject)))


def _again(now: float, retry_at: float, *, permanent: bool, tries: int) -> str:
    """When it is tried again, or that it is not."""
    if permanent:
        return "a person must fix it"
    if tries >= TRIES_MAX:
        return f"tried {tries} times"
    return f"again at {clock(retry_at)}" if retry_at >= now + 1 else "again at once"


def _of_stage(event: _OfStage, although: str) -> str:
    """`although` says which gates of the attempt did not pass, or what a limit did."""
    match event:
        case InputPrepared():
            return _input(event)
        case StageSkipped():
            return f"skipped: {safe(event.why)}"
        case ApprovalAsked():
            return f"waits for a person: {safe(event.question)}"
        case CandidateRejected() if although:
            return f"rejected: {although}"
        case CandidateRejected():
            gates = ", ".join(gate_name(gate, event.attempt.stage) for gate in event.gates)
            return f"rejected by {gates}" if gates else "rejected: it changed nothing" if event.empty else "rejected"
        case HandoffAccepted():
            person = event.override_by or event.by
            by = f" by {safe(person, 120)}" if person else ""
            return f"accepted{by}{', although ' + although if event.override_by else ''}"
        case SentBack():
            return f"sent back to {event.target}: {', '.join(event.resets)} start again"
        case _:
            assert_never(event)


def _input(event: InputPrepared) -> str:
    if event.conflicts:
        kinds = {item.path: f" ({item.kind})" for item in event.undecided}
        files = ", ".join(f"{safe(path, 80)}{kinds.get(path, '')}" for path in event.conflicts[:5])
        return f"input merged with {count(len(event.conflicts), 'conflict')}: {files}"
    if len(event.sources) > 1:
        return f"input merged from {len(event.sources)} accepted stages"
    return ""


def _of_run(event: _OfRun, at: float) -> str:
    match event:
        case RunStarted():
            return f"{event.run} started: {event.pipeline} on {short(event.base_commit)}, sandbox {event.sandbox}"
        case OwnerChanged():
            pid, _, host = safe(event.owner, 80).partition("@")
            return f"controlled by process {pid}" + (f" on {host}" if host else "")
        case AnswerTaken():
            return answer_words(event)
        case Refused():
            if event.what == "answer":
                return f"an answer was refused: {safe(event.why)}"
            what = _TOO_LATE.get(event.what, event.what)
            subject = f" of {safe(event.subject, 80)}" if event.subject else ""
            return f"{what}{subject} came too late: {safe(event.why)}"
        case EffectErrored():
            again = _again(at, event.retry_at, permanent=event.permanent, tries=event.number)
            return f"infrastructure: {event.effect}: {safe(event.why)}; {again}"
        case Delivered():
            return f"delivered: branch {safe(event.branch)} at {short(event.commit)}"
        case RunFinished():
            return "cancelled" if event.status == "cancelled" else ended(event.status, event.why)
        case _:
            assert_never(event)


def answer_words(event: AnswerTaken) -> str:
    about = " ".join(part for part in (event.gate.rpartition("/")[2], *_limits(event)) if part)
    comment = f': "{safe(event.comment, 160)}"' if event.comment else ""
    override = " with --override" if event.override else ""
    override += f", to deliver branch {safe(event.branch)}" if event.branch else ""
    return f"{safe(event.by, 120)} answered {event.action}{' ' + about if about else ''}{override}{comment}"


def _limits(event: AnswerTaken) -> tuple[str, ...]:
    return tuple(f"{name} +{amount:g}" for name, amount in event.limits)


def _about(event: Event) -> str:
    match event:
        case VerdictGiven() if event.subject.is_base:
            return "base"
        case VerdictGiven() if event.subject.is_input:
            return f"{event.subject.stage} input"
        case VerdictGiven() | ApprovalAsked():
            return str(event.subject)
        case InputPrepared() | StageSkipped():
            return event.subject.stage
        case (
            AttemptStarted() | AttemptErrored() | AttemptLost() | CandidateProduced() | CandidateRejected()
            | HandoffAccepted() | SentBack()
        ):  # fmt: skip
            return str(event.attempt)
        case Paused():
            return event.stage
        case AnswerTaken():
            return str(event.subject) if event.subject else event.stage
        case (
            RunStarted() | OwnerChanged() | WhenHeld() | Refused() | TimeReached() | EffectErrored()
            | DeliveryBegun() | Delivered() | RunFinished()
        ):  # fmt: skip
            return ""
        case _:
            assert_never(event)


def _is_bad_or_good(event: Event) -> tuple[bool, bool]:
    match event:
        case VerdictGiven() if event.subject.is_base or event.subject.is_input:
            return event.status is VerdictStatus.ERRORED, False  # a failure here may be what the work is to mend
        case VerdictGiven():
            return event.status is not VerdictStatus.PASSED, event.status is VerdictStatus.PASSED
        case AttemptErrored() | AttemptLost() | CandidateRejected() | EffectErrored() | Refused() | Paused():
            return True, False
        case HandoffAccepted():
            return bool(event.override_by), not event.override_by
        case Delivered():
            return False, True
        case RunFinished():
            return event.status != "accepted", event.status == "accepted"
        case (
            RunStarted() | OwnerChanged() | InputPrepared() | StageSkipped() | WhenHeld() | AttemptStarted()
            | CandidateProduced() | ApprovalAsked() | SentBack() | AnswerTaken() | TimeReached()
            | DeliveryBegun()
        ):  # fmt: skip
            return False, False
        case _:
            assert_never(event)
