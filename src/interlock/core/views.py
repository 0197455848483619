"""The read model that every surface renders: a run as people look at it. Pure, from the history alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from interlock.core.answers import human_verdict
from interlock.core.commands import WaitUntil
from interlock.core.events import (
    AnswerTaken,
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Evidence,
    HandoffAccepted,
    InputPrepared,
    PauseReason,
    Recorded,
    Refused,
    SentBack,
    StageSkipped,
    Usage,
    VerdictGiven,
)
from interlock.core.fold import fold
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline, Stage
from interlock.core.plan import plan
from interlock.core.state import Phase, RunState, Spent, StageState


class RunPhase(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"  # for a human, paused included
    SLEEPING = "sleeping"  # for a time: a quota, a backoff
    INTERRUPTED = "interrupted"  # could go on, and nobody owns it
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class StageView:
    id: str
    needs: tuple[str, ...]
    phase: Phase
    epoch: int
    worker: str  # agent, "script" or empty
    attempts: tuple[AttemptView, ...]  # of all epochs, oldest first
    input: InputPrepared | None
    commit: str = ""  # accepted output
    skipped: str = ""  # why
    waits: str = ""  # why it is paused
    input_verdicts: tuple[VerdictView, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitView:
    """Something that waits for a human: `commands` are complete command lines that answer it."""

    stage: str
    subject: str
    gate: str
    reason: str  # approval | a PauseReason
    detail: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunView:
    id: str
    pipeline: str
    task: str
    phase: RunPhase
    why: str
    base_commit: str
    sandbox: str
    by: str
    started_at: float
    at: float  # of the newest event
    seq: int
    owner: str
    spent: Spent
    stages: tuple[StageView, ...]
    base_verdicts: tuple[VerdictView, ...]
    waits: tuple[WaitView, ...]
    branch: str
    commit: str  # delivered
    sleeps_until: float
    refused: int
    overrides: tuple[str, ...]
    answers: tuple[AnswerTaken, ...]

    def stage(self, stage_id: str) -> StageView:
        """Raises KeyError."""
        for stage in self.stages:
            if stage.id == stage_id:
                return stage
        raise KeyError(stage_id)

    def attempt(self, attempt: AttemptId) -> AttemptView:
        """Raises KeyError."""
        for view in self.stage(attempt.stage).attempts:
            if view.id == attempt:
                return view
        raise KeyError(str(attempt))


def describe(pipeline: Pipeline, records: Sequence[Recorded], owner: str = "") -> RunView:
    """The view of a run from its whole history. `owner` is who drives it now, empty for nobody.
    Raises ValueError where the history is empty."""
    state = fold(records)
    started = state.started
    if started is None:
        raise ValueError("a run without a beginning")
    seen = _collect(records)
    phase, sleeps_until = _phase(pipeline, state, owner)
    stages = tuple(
        _stage_view(stage, state.stages[stage.id], seen) for stage in pipeline.ordered() if stage.id in state.stages
    )
    return RunView(
        id=started.run,
        pipeline=started.pipeline,
        task=started.task,
        phase=phase,
        why=state.finished.why if state.finished else "",
        base_commit=started.base_commit,
        sandbox=started.sandbox,
        by=started.by,
        started_at=state.started_at,
        at=state.at,
        seq=state.seq,
        owner=owner,
        spent=state.spent,
        stages=stages,
        base_verdicts=tuple(seen.base),
        waits=tuple(_waits(state)),
        branch=state.delivered.branch if state.delivered else "",
        commit=state.delivered.commit if state.delivered else "",
        sleeps_until=sleeps_until,
        refused=seen.refused,
        overrides=tuple(str(view.id) for view in seen.attempts.values() if view.override_by),
        answers=tuple(seen.answers),
    )


def phase_of(pipeline: Pipeline, state: RunState, owner: str) -> RunPhase:
    """Where the run is, as one word."""
    return _phase(pipeline, state, owner)[0]


# --- the run's phase and what it waits for --------------------------------------------------------


def _phase(pipeline: Pipeline, state: RunState, owner: str) -> tuple[RunPhase, float]:
    if state.finished is not None:
        return RunPhase(state.finished.status), 0.0
    wanted = plan(pipeline, state)
    if not wanted:
        return RunPhase.WAITING, 0.0
    if not owner:
        return RunPhase.INTERRUPTED, 0.0
    alarms = [command.at for command in wanted if isinstance(command, WaitUntil)]
    if len(alarms) == len(wanted):
        return RunPhase.SLEEPING, min(alarms)
    return RunPhase.RUNNING, 0.0


def _waits(state: RunState) -> Iterable[WaitView]:
    run = state.started.run if state.started else ""
    if state.finished is not None:
        return
    if state.pause is not None:
        commands = (f"interlock resume {run}", f"interlock cancel {run}")
        yield WaitView("", "", "", state.pause.reason, state.pause.detail, commands)
    for name, stage in state.stages.items():
        if stage.phase is Phase.PAUSED and stage.pause is not None:
            subject = str(stage.attempt.attempt) if stage.attempt else ""
            reason = stage.pause.reason
            yield WaitView(name, subject, "", reason, stage.pause.detail, _answers_to_pause(run, name, stage))
        for gate in sorted(stage.asked):
            subject = str(stage.attempt.attempt) if stage.attempt else ""
            commands = (f"interlock approve {run} {name}", f'interlock reject {run} {name} -m "what is wrong"')
            yield WaitView(name, subject, gate, "approval", "", commands)


def _answers_to_pause(run: str, name: str, stage: StageState) -> tuple[str, ...]:
    lines: list[str] = []
    match stage.pause.reason if stage.pause else None:
        case PauseReason.LIMIT:
            lines.append(f"interlock resume {run} --raise {_limit_named(stage)}=N")
        case PauseReason.INFRASTRUCTURE:
            lines.append(f"interlock resume {run}")
        case _:
            lines.append(f'interlock retry {run} {name} -m "what to do differently"')
            lines.append(f"interlock retry {run} {name} --with COMMIT")
    if stage.rejections:
        newest = stage.rejections[-1].event
        override = " --override" if newest.hard else ""
        lines.append(f"interlock accept {run} {newest.attempt}{override}")
    lines.append(f"interlock cancel {run}")
    return tuple(lines)


def _limit_named(stage: StageState) -> str:
    return stage.pause.detail.split(":", 1)[0] if stage.pause else "attempts"


# --- history ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seen:
    attempts: dict[AttemptId, AttemptView] = field(default_factory=dict)
    base: list[VerdictView] = field(default_factory=list)
    on_input: dict[str, list[VerdictView]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    answers: list[AnswerTaken] = field(default_factory=list)
    refused: int = 0


def _collect(records: Iterable[Recorded]) -> _Seen:
    seen = _Seen()
    for record in records:
        _see(seen, record)
    return seen


def _see(seen: _Seen, record: Recorded) -> None:
    match record.event:
        case VerdictGiven() as event if event.subject.is_base:
            seen.base.append(VerdictView(record.at, event))
        case VerdictGiven() as event if event.subject.is_input:
            seen.on_input.setdefault(event.subject.stage, []).append(VerdictView(record.at, event))
        case VerdictGiven() as event:
            _see_verdict(seen, record.at, event)
        case StageSkipped() as event:
            seen.skipped[event.subject.stage] = event.why
        case SentBack() as event:
            _see_sent_back(seen, event)
        case AnswerTaken() as event:
            _see_answer(seen, record.at, event)
        case Refused():
            seen.refused += 1
        case _:
            _see_attempt(seen, record)


def _see_attempt(seen: _Seen, record: Recorded) -> None:
    match record.event:
        case AttemptStarted() as event:
            seen.attempts[event.attempt] = AttemptView(
                event.attempt,
                AttemptPhase.WORKING,
                event.agent,
                event.model,
                event.by,
                event.input_tree,
                record.at,
            )
        case AttemptLost() as event:
            _change(seen, event.attempt, phase=AttemptPhase.LOST, ended_at=record.at, why=event.why)
        case AttemptErrored() as event:
            changes = {"phase": AttemptPhase.ERRORED, "why": event.why, "usage": event.usage}
            _change(seen, event.attempt, ended_at=record.at, evidence=event.evidence, **changes)
        case CandidateProduced() as event:
            _change(
                seen,
                event.attempt,
                phase=AttemptPhase.JUDGING,
                ended_at=record.at,
                commit=event.commit,
                tree=event.tree,
                outcome=event.outcome,
                claim=event.claim,
                cached=event.cached,
                usage=event.usage,
                evidence=event.evidence,
            )
        case ApprovalAsked() as event:
            _change(seen, event.subject, asked=(*seen.attempts[event.subject].asked, event.gate))
        case CandidateRejected() as event:
            _change(seen, event.attempt, phase=AttemptPhase.REJECTED, asked=())
        case HandoffAccepted() as event:
            changes = {"record": event.record, "override_by": event.override_by}
            _change(seen, event.attempt, phase=AttemptPhase.ACCEPTED, asked=(), **changes)
        case _:
            return


def _see_verdict(seen: _Seen, at: float, event: VerdictGiven) -> None:
    view = seen.attempts.get(event.subject)
    if view is not None:
        seen.attempts[event.subject] = replace(view, verdicts=(*view.verdicts, VerdictView(at, event)))


def _see_answer(seen: _Seen, at: float, event: AnswerTaken) -> None:
    seen.answers.append(event)
    if event.subject is None or not event.gate:
        return
    verdict = human_verdict(event)
    _see_verdict(seen, at, verdict)
    asked = tuple(gate for gate in seen.attempts[event.subject].asked if gate != event.gate)
    _change(seen, event.subject, asked=asked)


def _see_sent_back(seen: _Seen, event: SentBack) -> None:
    _change(seen, event.attempt, sent_back_to=event.target)
    for attempt, view in seen.attempts.items():
        if attempt.stage in event.resets and view.phase in (AttemptPhase.WORKING, AttemptPhase.JUDGING):
            seen.attempts[attempt] = replace(view, phase=AttemptPhase.RESET)


def _change(seen: _Seen, attempt: AttemptId, **changes: object) -> None:
    view = seen.attempts.get(attempt)
    if view is not None:
        seen.attempts[attempt] = replace(view, **changes)  # type: ignore[arg-type]


def _stage_view(stage: Stage, now: StageState, seen: _Seen) -> StageView:
    return StageView(
        id=stage.id,
        needs=stage.needs,
        phase=now.phase,
        epoch=now.epoch,
        worker=stage.agent or ("script" if stage.command else ""),
        attempts=tuple(view for attempt, view in seen.attempts.items() if attempt.stage == stage.id),
        input=now.input,
        commit=now.output[0] if now.output else "",
        skipped=seen.skipped.get(stage.id, "") if now.phase is Phase.SKIPPED else "",
        waits=now.pause.detail if now.phase is Phase.PAUSED and now.pause else "",
        input_verdicts=tuple(seen.on_input.get(stage.id, ())),
    )
