"""`admit`: whether an event fits the state of a run, and if not, why not.

Rule: what does not fit is refused, never raised. A late report of a dead attempt, of a stale epoch or of a
former owner, a report that comes twice, an answer to what no longer waits: all of them change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from interlock.core.answers import admit_answer
from interlock.core.effects import (
    AcceptHandoff,
    CheckWhen,
    DeliverBranch,
    EvaluateGate,
    LoseAttempt,
    Operation,
    PrepareInput,
    RejectCandidate,
    StartAttempt,
)
from interlock.core.events import (
    Action,
    AnswerTaken,
    ApprovalAsked,
    AttemptErrored,
    AttemptEvent,
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
    PauseReason,
    Refused,
    RunFinished,
    RunStarted,
    RunStatus,
    SentBack,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    WhenHeld,
)
from interlock.core.ids import AttemptId
from interlock.core.judging import qualified
from interlock.core.limits import effect_key
from interlock.core.pipeline import Pipeline
from interlock.core.state import Phase, RunState, StageState, fits, stage_of, subject_of


def admit(state: RunState, event: Event) -> str:
    """Why `event` does not fit the state, or empty where it does."""
    if isinstance(event, Refused | OwnerChanged | TimeReached):
        return ""
    if isinstance(event, RunStarted):
        return "the run has started" if state.started else ""
    if state.started is None:
        return "the run has not started"
    if state.finished is not None:
        return f"the run is {state.finished.status}"
    match event:
        case Paused(stage=""):
            return "already paused" if state.pause else ""
        case EffectErrored() | DeliveryBegun() | Delivered() | RunFinished():
            return _admit_run_event(state, event)
        case AnswerTaken():
            return admit_answer(state, event)
        case VerdictGiven():
            return _admit_verdict(state, event)
        case SentBack():
            return _admit_sent_back(state, event)
        case (
            Paused() | InputPrepared() | StageSkipped() | WhenHeld() | AttemptStarted() | AttemptLost()
            | AttemptErrored() | CandidateProduced() | ApprovalAsked() | HandoffAccepted() | CandidateRejected()
        ):  # fmt: skip
            return _admit_stage_event(state, event)
        case _:
            assert_never(event)


def admit_copy(pipeline: Pipeline, state: RunState, event: Event) -> str:
    """As `admit`, for an event that another machine recorded: it names only stages and gates of the pipeline, as all
    that read a history expect."""
    if why := admit(state, event):
        return why
    if isinstance(event, RunStarted):
        known, named = {stage.id for stage in pipeline.stages}, set(event.stages)
        whole = named and named <= known and len(named) == len(event.stages)
        return "" if whole else "its stages are not those of the pipeline"
    if isinstance(event, VerdictGiven | ApprovalAsked):
        return _admit_gates(pipeline, (event.gate,))
    return _admit_gates(pipeline, event.gates) if isinstance(event, CandidateRejected) else ""


def _admit_gates(pipeline: Pipeline, gates: Iterable[str]) -> str:
    known = {qualified(stage, gate) for stage in pipeline.stages for gate in stage.gates}
    unknown = [gate for gate in gates if gate not in known]
    return f"there is no gate {unknown[0]!r:.80} in the pipeline" if unknown else ""


def admit_report(effect: Operation, event: Event) -> str:
    """Why `event` cannot be what became of this effect, or empty where it can. Whoever performs an effect reports of
    that effect alone: neither what a person says, nor another attempt, nor the verdict of another gate."""
    return "" if _reports(effect, event) else f"{type(event).__name__} is no report of {type(effect).__name__}"


def admit_errand(state: RunState, effect: EvaluateGate | DeliverBranch) -> str:
    """Why the history of a run does not lead to an effect that a repository is asked for, or empty where it does. What
    would leave the repository is compared, and not all that a planner of another version may say differently."""
    if isinstance(effect, EvaluateGate):
        known = (effect.commit, effect.tree) == _candidate_of(state, effect.subject)
        return "" if known else f"{effect.subject} has another candidate"
    accepted = {stage.accepted.commit for stage in state.stages.values() if stage.accepted}
    if not accepted.issuperset(effect.series):
        return "not all of the series is accepted"
    if effect.branch != state.branch:
        return "no person gave the branch this name"
    begun = state.delivering
    if begun is None or effect.begun is None:
        named = begun or effect.begun
        return (
            f"branch {named.branch} is begun" if named else admit(state, DeliveryBegun(state.branch, "", effect.commit))
        )
    return admit(state, Delivered(effect.begun.branch, effect.begun.commit, effect.commit))


def _candidate_of(state: RunState, subject: AttemptId) -> tuple[str, str]:
    """Commit and tree; empty where there is none."""
    stage, started = state.stages.get(subject.stage), state.started
    if stage is None or started is None or subject.epoch not in (0, stage.epoch):
        return "", ""
    if subject.is_base:
        return started.base_commit, started.base_tree
    found = stage.input if subject.is_input else stage.candidate
    if found is None or (isinstance(found, CandidateProduced) and found.attempt != subject):
        return "", ""
    return found.commit, found.tree


def _reports(effect: Operation, event: Event) -> bool:
    match effect:
        case StartAttempt():
            return isinstance(event, CandidateProduced | AttemptErrored) and event.attempt == effect.attempt
        case LoseAttempt():
            return isinstance(event, AttemptLost) and event.attempt == effect.attempt
        case EvaluateGate():
            judged = (effect.subject, effect.gate, effect.number, effect.tree, "")
            return isinstance(event, VerdictGiven) and judged == (
                event.subject, event.gate, event.number, event.tree, event.by,
            )  # fmt: skip
        case PrepareInput() | CheckWhen() | AcceptHandoff() | RejectCandidate() | DeliverBranch():
            if isinstance(event, EffectErrored):
                return (event.effect, event.number) == (effect_key(effect), effect.number)
            return _follows(effect, event)
        case _:
            assert_never(effect)


def _follows(effect: PrepareInput | CheckWhen | AcceptHandoff | RejectCandidate | DeliverBranch, event: Event) -> bool:
    """Whether the event is that of an effect which has gone well."""
    match effect:
        case PrepareInput():
            made = (effect.subject, effect.sources, effect.names)
            return isinstance(event, InputPrepared) and made == (event.subject, event.sources, event.names)
        case CheckWhen():
            if isinstance(event, Paused):
                return bool(effect.broken) and (event.stage, event.reason) == (
                    effect.subject.stage,
                    PauseReason.CONFLICT,
                )
            return isinstance(event, WhenHeld | StageSkipped) and event.subject == effect.subject
        case AcceptHandoff():
            taken = (effect.attempt, effect.commit, effect.tree, effect.override_by, effect.by)
            return isinstance(event, HandoffAccepted) and taken == (
                event.attempt, event.commit, event.tree, event.override_by, event.by,
            )  # fmt: skip
        case RejectCandidate():
            refused = (effect.attempt, effect.tree)
            return isinstance(event, CandidateRejected) and refused == (event.attempt, event.tree)
        case DeliverBranch():
            return isinstance(event, DeliveryBegun | Delivered) and event.source == effect.commit
        case _:
            assert_never(effect)


# --- the run ------------------------------------------------------------------------------------


def _admit_run_event(state: RunState, event: EffectErrored | DeliveryBegun | Delivered | RunFinished) -> str:
    match event:
        case EffectErrored():
            former = state.errors.get(event.effect)
            return _in_turn(former.number if former else 0, event.number)
        case DeliveryBegun():
            return _admit_delivery(state, event)
        case Delivered():
            return _admit_delivered(state, event)
        case RunFinished():
            return _admit_finish(state, event)
        case _:
            assert_never(event)


def _admit_delivery(state: RunState, event: DeliveryBegun) -> str:
    """The last moment at which a person's answer comes first."""
    if state.cancelled_by:
        return f"{state.cancelled_by} cancelled the run"
    if state.pause is not None:
        return "the run is paused"
    if any(stage.answer is not None for stage in state.live):
        return "a person answered first"
    if state.branch not in ("", event.branch):
        return f"a person said branch {state.branch}"
    return _admit_delivered(replace(state, delivering=event), Delivered(event.branch, event.commit, event.source))


def _admit_delivered(state: RunState, event: Delivered) -> str:
    if state.delivered is not None:
        return "the branch is delivered"
    if state.delivering is None:
        return "its delivery had not begun"
    if state.output is None or state.output[0] != event.source:
        return "it is not what the run accepted"
    if (event.branch, event.commit) != (state.delivering.branch, state.delivering.commit):
        return "another branch was begun"
    return ""


def _admit_finish(state: RunState, event: RunFinished) -> str:
    match event.status:
        case RunStatus.ACCEPTED:
            until = state.started is not None and bool(state.started.until)
            done = state.output is not None and (state.delivered is not None or until)
            return "" if done else "not all stages are accepted, or the branch is not delivered"
        case RunStatus.CANCELLED:
            return "" if state.cancelled_by else "no person cancelled the run"
        case RunStatus.STOPPED:
            return ""


# --- a stage ------------------------------------------------------------------------------------


def _admit_stage_event(state: RunState, event: AttemptEvent | Paused) -> str:
    stage = state.stages.get(stage_of(event))
    if stage is None:
        return "the stage is not part of this run"
    subject = subject_of(event)
    if subject is not None and subject.epoch != stage.epoch:
        return _stale(subject, stage)
    if not fits(stage, event):
        return f"the stage is {stage.phase}"
    match event:
        case AttemptStarted():
            return _admit_claim(stage, event)
        case AttemptErrored() | CandidateProduced():
            return "its process has ended" if stage.orphaned else _admit_newest(stage, event.attempt)
        case AttemptLost():
            return _admit_newest(stage, event.attempt)
        case CandidateRejected():
            return "a person answered first" if stage.answer else _admit_newest(stage, event.attempt)
        case ApprovalAsked():
            asked = event.gate in stage.asked or event.gate in stage.verdicts
            return "this question was asked before" if asked else _admit_newest(stage, event.subject)
        case HandoffAccepted():
            return _admit_accept(stage, event)
        case InputPrepared() | StageSkipped() | WhenHeld() | Paused():
            return ""
        case _:
            assert_never(event)


def _admit_claim(stage: StageState, event: AttemptStarted) -> str:
    if event.attempt.number != stage.number + 1:
        return "the attempt has another number"
    if stage.answer is not None and stage.submission is None:
        return "a person answered first"
    if event.by != (stage.submission.by if stage.submission else ""):
        return "another person submitted the candidate"
    return ""


def _admit_newest(stage: StageState, attempt: AttemptId) -> str:
    if stage.attempt is None or stage.attempt.attempt != attempt:
        return "it is not the running attempt"
    return ""


def _admit_accept(stage: StageState, event: HandoffAccepted) -> str:
    answer = stage.answer
    if answer is None:
        if event.override_by:
            return "no person overrode a gate"
        return _admit_newest(stage, event.attempt) if stage.phase is Phase.JUDGING else f"the stage is {stage.phase}"
    if answer.action is not Action.ACCEPT or answer.subject != event.attempt:
        return "a person gave another answer"
    if event.override_by not in ("", answer.by):
        return "no person overrode a gate"
    return ""


def _admit_verdict(state: RunState, event: VerdictGiven) -> str:
    stage = state.stages.get(event.subject.stage)
    if stage is None:
        return "the stage is not part of this run"
    if event.subject.is_base:
        return _admit_try(state.base_verdicts.get(event.gate), event)
    if event.subject.epoch != stage.epoch:
        return _stale(event.subject, stage)
    if event.subject.is_input:
        return _admit_try(stage.input_verdicts.get(event.gate), event) if stage.input else "the stage has no input yet"
    if not fits(stage, event):
        return f"the stage is {stage.phase}"
    return _admit_newest(stage, event.subject) or _admit_try(stage.verdicts.get(event.gate), event)


def _admit_try(former: VerdictGiven | None, event: VerdictGiven) -> str:
    if former is not None and former.decided:
        return "the gate has decided"
    return _in_turn(former.number if former else 0, event.number)


def _in_turn(former: int, number: int) -> str:
    return "" if number == former + 1 else f"it is try {number}, expected {former + 1}"


def _admit_sent_back(state: RunState, event: SentBack) -> str:
    """A rule sends back what was just rejected; a person sends back what is settled."""
    stage = state.stages.get(event.attempt.stage)
    if stage is None or any(name not in state.stages for name in (event.target, *event.resets)):
        return "the stage is not part of this run"
    if event.attempt.epoch != stage.epoch:
        return _stale(event.attempt, stage)
    if event.rule >= 0:
        rejected = stage.phase is Phase.REJECTED and stage.rejections[-1].event.attempt == event.attempt
        return "" if rejected else f"the stage is {stage.phase}"
    asked = stage.settled and stage.answer is not None and stage.answer.action is Action.RETRY
    return "" if asked else f"the stage is {stage.phase} and no person asked for it"


def _stale(subject: AttemptId, stage: StageState) -> str:
    return f"epoch {subject.epoch} is over, the stage is in epoch {stage.epoch}"
