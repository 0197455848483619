"""The read model that every surface renders: a run as people look at it. Pure, from the history alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import field, fields
from enum import StrEnum

from interlock.core.answers import passed_hard_gates
from interlock.core.effects import DeliverBranch, WaitUntil
from interlock.core.events import (
    AnswerTaken,
    AttemptErrored,
    InputPrepared,
    PauseReason,
    VerdictStatus,
)
from interlock.core.feedback import passed_limit
from interlock.core.ids import AttemptId
from interlock.core.judging import find_gate, in_repository
from interlock.core.limits import LimitUsage, amounts
from interlock.core.pipeline import Pipeline, Stage
from interlock.core.plan import plan
from interlock.core.state import Phase, Rejection, RunState, Spending, StageState
from interlock.core.values import dataclass
from interlock.readmodel.costs import Costs, costs
from interlock.readmodel.history import AttemptPhase, AttemptView, History, Past, Reply, Span, VerdictView
from interlock.readmodel.reasons import Reason, reasons
from interlock.text.names import rejected_by

NOT_BEGUN, UNATTENDED = "not begun", "unattended"
_WAITS_FOR_REPOSITORY = "its work is accepted, and it waits for its repository: `interlock resume {run}` there"
_GATE_WAITS_FOR_REPOSITORY = "a gate is judged from its repository, which it waits for: `interlock resume {run}` there"
_PROTECTED = ("protected", "judged_table")
_ADDS = re.compile(r"; only a stage with `adds: \[([^`\]]+)\]` may add it$")
_OWN_PIPELINE = (
    "This run keeps its own copy of the pipeline. If a line of it is wrong, correct the file, then `interlock cancel` "
    "this run and `interlock run` a new one."
)


class RunPhase(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"  # for a human, paused included
    SLEEPING = "sleeping"  # for a time: a quota, a backoff
    INTERRUPTED = "interrupted"  # could go on, and nobody owns it
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    UNREADABLE = "unreadable"  # of another version
    DAMAGED = "damaged"  # its history is not as it was recorded


OVER = (RunPhase.ACCEPTED, RunPhase.CANCELLED, RunPhase.STOPPED)  # nothing moves a run of these phases any more


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
    hint: str = ""  # what to know before one of them is chosen


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Where a run is: what its state alone tells."""

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
    spent: Spending
    limits: tuple[LimitUsage, ...]
    waits: tuple[WaitView, ...]
    branch: str
    commit: str  # delivered
    sleeps_until: float
    sleeps_since: float  # with the waits before it, where it is a quota; else 0
    overrides: tuple[str, ...]  # attempts that a person accepted over a gate that did not pass, and that count
    progress: tuple[tuple[str, str], ...] = field(kw_only=True, default=())  # each stage and its phase, or `asked`
    engine: str = field(kw_only=True, default="")  # whose server drives it; empty: a process of this machine
    behind: str = field(kw_only=True, default="")  # why all this may be old

    @property
    def is_readable(self) -> bool:
        return self.phase not in (RunPhase.UNREADABLE, RunPhase.DAMAGED)

    @property
    def is_remote(self) -> bool:
        """Whether a server drives it, and no process of this machine follows it there."""
        return bool(self.engine) and self.owner == self.engine

    @property
    def word(self) -> str:
        """Its phase as people are told it: what only waits for somebody in its repository is not interrupted."""
        return UNATTENDED if self.phase is RunPhase.INTERRUPTED and self.why else str(self.phase)

    @property
    def way_out(self) -> str:
        """What takes a run out of the lists that nothing can mend."""
        return f"interlock doctor --set-aside {self.id}" if self.phase is RunPhase.DAMAGED else ""


@dataclass(frozen=True, slots=True)
class RunView(RunSummary):
    """A run with all its past."""

    stages: tuple[StageView, ...]
    base_verdicts: tuple[VerdictView, ...]
    refused: int
    answers: tuple[AnswerTaken, ...]  # that were taken
    costs: Costs
    replies: tuple[Reply, ...] = ()  # every answer, and what became of it
    reasons: tuple[Reason, ...] = ()  # why it is not accepted
    unowned: tuple[Span, ...] = ()  # when nobody ran it

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


def describe(pipeline: Pipeline, history: History, owner: str = "") -> RunView:
    """The view of a run. `owner` is who drives it now, empty for nobody.
    Raises ValueError where the history is empty."""
    state, past = history.state, history.past
    standing = locate(pipeline, state, owner)
    known = {each.name: getattr(standing, each.name) for each in fields(RunSummary)}
    stages = tuple(
        _stage_view(stage, state.stages[stage.id], past) for stage in pipeline.ordered() if stage.id in state.stages
    )
    return RunView(
        **known,
        stages=stages,
        base_verdicts=tuple(past.base),
        refused=past.refused,
        answers=tuple(reply.answer for reply in past.replies if not reply.refused),
        costs=costs(pipeline, state, past),
        replies=tuple(past.replies),
        reasons=tuple(reasons(state, past)),
        unowned=tuple(past.unowned),
    )


def locate(pipeline: Pipeline, state: RunState, owner: str = "") -> RunSummary:
    """As `describe`, without the past: this costs the same for a run of any length."""
    started = state.started
    if started is None:
        raise ValueError("the first event of the run is missing")
    phase, wait = _phase(pipeline, state, owner)
    return RunSummary(
        id=started.run,
        pipeline=started.pipeline,
        task=started.task,
        phase=phase,
        why=state.finished.why if state.finished else wait.why,
        base_commit=started.base_commit,
        sandbox=started.sandbox,
        by=started.by,
        started_at=state.started_at,
        at=state.at,
        seq=state.seq,
        owner=owner,
        spent=state.spent,
        limits=amounts(pipeline, state),
        waits=tuple(_waits(pipeline, state)),
        branch=state.delivered.branch if state.delivered else "",
        commit=state.delivered.commit if state.delivered else "",
        sleeps_until=wait.at,
        sleeps_since=wait.since,
        overrides=tuple(_overrides(state)),
        engine=started.engine,
        progress=tuple((name, "asked" if stage.asked else str(stage.phase)) for name, stage in state.stages.items()),
    )


def unreadable(run: str, why: str, *, damaged: bool) -> RunSummary:
    """What there is to say of a run whose history cannot be read."""
    phase = RunPhase.DAMAGED if damaged else RunPhase.UNREADABLE
    return RunSummary(
        id=run, pipeline="", task="", phase=phase, why=why, base_commit="", sandbox="", by="", started_at=0.0, at=0.0,
        seq=0, owner="", spent=Spending(), limits=(), waits=(), branch="", commit="", sleeps_until=0.0,
        sleeps_since=0.0, overrides=(),
    )  # fmt: skip


def phase_of(pipeline: Pipeline, state: RunState, owner: str) -> RunPhase:
    """Where the run is, as one word."""
    return _phase(pipeline, state, owner)[0]


def stage_word(stage: StageView, run: RunPhase) -> str:
    """Its phase as people are told it: the run's own word where it says at work and nobody drives the run, or where it
    says that more will come and the run is over."""
    if stage.phase in (Phase.ACCEPTED, Phase.SKIPPED) or (not _is_over(run) and run is not RunPhase.INTERRUPTED):
        return stage.phase
    if not _is_over(run):
        asked = bool(stage.attempts and stage.attempts[-1].asked)
        return run if stage.phase is Phase.WORKING or (stage.phase is Phase.JUDGING and not asked) else stage.phase
    if stage.phase is Phase.REJECTED:
        return stage.phase
    return run if stage.attempts else NOT_BEGUN


def attempt_word(attempt: AttemptView, run: RunPhase) -> str:
    """As `stage_word`."""
    at_work = attempt.phase is AttemptPhase.WORKING or (
        attempt.phase is AttemptPhase.JUDGING and (_is_over(run) or not attempt.asked)
    )
    return run if at_work and (_is_over(run) or run is RunPhase.INTERRUPTED) else attempt.phase


# --- the run's phase and what it waits for --------------------------------------------------------


def _phase(pipeline: Pipeline, state: RunState, owner: str) -> tuple[RunPhase, WaitUntil]:
    """And the wait that is over first, where there is nothing but waits."""
    nothing = WaitUntil(0.0)
    if state.finished is not None:
        return RunPhase(state.finished.status), nothing
    wanted = plan(pipeline, state)
    if not wanted:
        return RunPhase.WAITING, nothing
    if not owner:
        return RunPhase.INTERRUPTED, nothing
    started = state.started
    if started is not None and owner == started.engine and all(in_repository(pipeline, one) for one in wanted):
        is_done = all(isinstance(one, DeliverBranch) for one in wanted)
        why = _WAITS_FOR_REPOSITORY if is_done else _GATE_WAITS_FOR_REPOSITORY
        return RunPhase.INTERRUPTED, WaitUntil(0.0, why=why.format(run=started.run))
    waits = [command for command in wanted if isinstance(command, WaitUntil)]
    if len(waits) == len(wanted):
        return RunPhase.SLEEPING, min(waits, key=lambda wait: wait.at)
    return RunPhase.RUNNING, nothing


def _is_over(phase: RunPhase) -> bool:
    return phase in OVER


def _overrides(state: RunState) -> Iterator[str]:
    for stage in state.stages.values():
        if stage.accepted is not None and stage.accepted.override_by:
            yield str(stage.accepted.attempt)


def _waits(pipeline: Pipeline, state: RunState) -> Iterable[WaitView]:
    run = state.started.run if state.started else ""
    if state.finished is not None:
        return
    if state.pause is not None:
        yield WaitView("", "", "", state.pause.reason, state.pause.detail, tuple(_answers_to_run(run, state)))
    for name, stage in state.stages.items():
        if stage.phase is Phase.PAUSED and stage.pause is not None:
            subject = str(stage.attempt.attempt) if stage.attempt else ""
            reason = stage.pause.reason
            answers = _answers_to_pause(run, name, stage)
            yield WaitView(name, subject, "", reason, _why_paused(stage), answers, _hint(stage))
        for gate in sorted(stage.asked):
            subject = str(stage.attempt.attempt) if stage.attempt else ""
            commands = (f"interlock approve {run} {name}", f'interlock reject {run} {name} -m "what is wrong"')
            yield WaitView(name, subject, gate, "approval", find_gate(pipeline, gate)[1].question, commands)


def _why_paused(stage: StageState) -> str:
    """As it is recorded; after a person's rejection who that was, and the words."""
    if stage.pause is None:
        return ""
    if stage.pause.reason in (PauseReason.NO_RULE, PauseReason.RULE) and stage.rejections:
        for verdict in stage.rejections[-1].verdicts:
            if verdict.by and verdict.status is VerdictStatus.FAILED and verdict.findings:
                return rejected_by(verdict.by, verdict.findings[0].message)
    return stage.pause.detail


def _answers_to_run(run: str, state: RunState) -> Iterator[str]:
    yield f"interlock resume {run}"
    if state.pause is not None and state.pause.reason is PauseReason.DELIVERY and state.delivering is None:
        yield f"interlock resume {run} --branch NAME"
    yield f"interlock cancel {run}"


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
    if (attempt := _to_accept(stage)) is not None:
        override = "" if passed_hard_gates(stage, attempt) else " --override"
        lines.append(f"interlock accept {run} {attempt}{override}")
    lines.append(f"interlock cancel {run}")
    return tuple(lines)


def _to_accept(stage: StageState) -> AttemptId | None:
    """The newest attempt on whose candidate every hard gate passed, else the newest that was rejected."""
    newest = (stage.candidate.attempt,) if stage.candidate is not None else ()
    rejected = [item.event.attempt for item in reversed(stage.rejections) if not _passed_limit(item)]
    passed = (attempt for attempt in (*newest, *rejected) if passed_hard_gates(stage, attempt))
    return next(passed, rejected[0] if rejected else None)


def _passed_limit(rejection: Rejection) -> str:
    """The limit of the sandbox that its program passed, so that nothing was taken of it; else empty."""
    return next(filter(None, map(passed_limit, rejection.verdicts)), "")


def _hint(stage: StageState) -> str:
    """What the commands do not tell: that they cannot mend the pipeline; who may change a protected file."""
    if stage.pause is not None and stage.pause.reason is PauseReason.INFRASTRUCTURE:
        return _OWN_PIPELINE if _may_be_of_pipeline(stage.failure) else ""
    if stage.rejections and (passed := _passed_limit(stage.rejections[-1])):
        if passed.endswith("disk: filled the disk"):
            return "Nothing of its work was taken. If the disk is too small, make room on it, then retry."
        return f"Nothing of its work was taken. If the limit is too low, raise it under `sandbox`. {_OWN_PIPELINE}"
    offered = [item for item in stage.rejections if item.event.attempt == _to_accept(stage)]
    findings = [item for rejection in offered for verdict in rejection.verdicts for item in verdict.findings]
    files = {item.file: _ADDS.search(item.message) for item in findings if item.rule in _PROTECTED and item.file}
    if not files:
        return ""
    shown = ", ".join(list(files)[:3]) + (", ..." if len(files) > 3 else "")
    adds = dict.fromkeys(found[1] for found in files.values() if found)
    lines = [f"write `adds: [{', '.join(list(adds)[:3])}]` in the stage"] if adds else []
    lines += ["add the file to `authors` of a stage"] if not all(files.values()) else []
    return (
        f"protected from this stage: {shown}. If the change is right, accept it with --override. If such changes "
        f"are usual, {', or '.join(lines)}"
    )


def _may_be_of_pipeline(failure: AttemptErrored | None) -> bool:
    """Whether a wrong line of the pipeline may be behind it; None where a gate could not decide."""
    return failure is None or failure.permanent or failure.why.startswith("crashed")


def _limit_named(stage: StageState) -> str:
    return stage.pause.detail.split(":", 1)[0] if stage.pause else "attempts"


# --- stages ---------------------------------------------------------------------------------------


def _stage_view(stage: Stage, now: StageState, past: Past) -> StageView:
    return StageView(
        id=stage.id,
        needs=stage.needs,
        phase=now.phase,
        epoch=now.epoch,
        worker=stage.agent or ("script" if stage.command else ""),
        attempts=past.of_stage(stage.id),
        input=now.input,
        commit=now.output[0] if now.output else "",
        skipped=past.skipped.get(stage.id, "") if now.phase is Phase.SKIPPED else "",
        waits=_why_paused(now) if now.phase is Phase.PAUSED else "",
        input_verdicts=tuple(past.on_input.get(stage.id, ())),
    )
