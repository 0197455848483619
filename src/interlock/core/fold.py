"""`apply` and `fold`: how events become state.

Rule: `apply(state, record)` is total over what `admit` lets in and is never asked anything else.
The journal holds admitted events and `Refused` ones only, so a fold of it never fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from interlock.core.answers import take_answer
from interlock.core.effects import RevertedWork
from interlock.core.events import (
    SESSION,
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
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    Recorded,
    Refused,
    RunEvent,
    RunFinished,
    RunStarted,
    SentBack,
    StageSkipped,
    TimeReached,
    Usage,
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.limits import TRIES_MAX
from interlock.core.stages import Stages
from interlock.core.state import Phase, QuotaWait, Rejection, RunState, StageState, moved, stage_of
from interlock.core.values import changed


def fold(records: Iterable[Recorded], state: RunState | None = None) -> RunState:
    """The state after `records`, beginning with `state` or with nothing."""
    draft = _draft(state or RunState())
    for record in records:
        _take(draft, record)
    return draft


def apply(state: RunState, record: Recorded) -> RunState:
    """The state after one admitted event."""
    return fold((record,), state)


def _draft(state: RunState) -> RunState:
    """A copy that nobody else has seen: until it is given away, fields are put into it in place, and into its
    `spent` and its stages."""
    return changed(state, stages=state.stages.draft(), spent=changed(state.spent))


def _put(draft: RunState | StageState, **changes: object) -> None:
    draft.__dict__.update(changes)


def _take(draft: RunState, record: Recorded) -> None:
    """Cases here and below are in the order of how often they come."""
    event = record.event
    passed = record.at - draft.at
    if type(event) is TimeReached:
        passed -= event.jumped_s
    if passed > 0 and type(event) is not OwnerChanged and draft.stages.busy:
        draft.spent.__dict__["wall_s"] += passed  # not while nobody owned it
    fields = draft.__dict__  # as `_put`, which costs a dict of its own
    fields["seq"], fields["at"] = record.seq, record.at
    if record.at > draft.now:
        fields["now"] = record.at
    match event:
        case (
            AttemptStarted() | CandidateProduced() | AttemptErrored() | HandoffAccepted() | CandidateRejected()
            | InputPrepared() | StageSkipped() | WhenHeld() | AttemptLost() | ApprovalAsked()
        ):  # fmt: skip
            _take_by_stage(draft, event)
        case VerdictGiven() if event.subject.is_base:
            _put(draft, **vars(_judge_base(draft, event)))
        case Paused(stage=""):
            _put(draft, pause=event)
        case VerdictGiven() | Paused():
            _take_by_stage(draft, event)
        case SentBack():
            _put(draft, **vars(_send_back(draft, event)))
        case AnswerTaken():
            _put(draft, **vars(take_answer(draft, event)))
        case (
            RunStarted() | OwnerChanged() | Refused() | TimeReached() | EffectErrored() | DeliveryBegun()
            | Delivered() | RunFinished()
        ):  # fmt: skip
            _take_by_run(draft, event)
        case _:
            assert_never(event)


# --- the run ------------------------------------------------------------------------------------


def _take_by_run(draft: RunState, event: RunEvent) -> None:
    match event:
        case RunStarted():
            _put(
                draft,
                started=event,
                started_at=draft.at,
                stages=Stages((stage, StageState()) for stage in event.stages),
            )
        case OwnerChanged():
            _put(draft, fence=event.fence, stages=_orphaned(draft.stages))
        case TimeReached():
            _put(draft, now=max(draft.now, event.at))
        case EffectErrored():
            delivering = None if event.undone else draft.delivering
            _put(draft, errors={**draft.errors, event.effect: event}, delivering=delivering)
        case DeliveryBegun():
            _put(draft, delivering=event)
        case Delivered():
            _put(draft, delivered=event, delivering=None)
        case RunFinished():
            _put(draft, finished=event)
        case Refused():
            pass
        case _:
            assert_never(event)


def _orphaned(stages: Stages[StageState]) -> Stages[StageState]:
    for name in stages.live:
        if stages[name].phase is Phase.WORKING:
            stages = stages.having(name, changed(stages[name], orphaned=True))
    return stages


def _judge_base(state: RunState, event: VerdictGiven) -> RunState:
    passed = event.status is VerdictStatus.PASSED
    base_open = state.base_open - {event.gate} if passed else state.base_open | {event.gate}
    return changed(state, base_verdicts={**state.base_verdicts, event.gate: event}, base_open=base_open)


# --- a stage ------------------------------------------------------------------------------------


_StageEvent = AttemptEvent | VerdictGiven | Paused


def _take_by_stage(draft: RunState, event: _StageEvent) -> None:
    name = stage_of(event)
    stage = draft.stages.own(name)
    busy, live = stage.busy, stage.live
    _charge(draft, stage, event)
    _advance(stage, event, draft.at)
    draft.stages.count(name, stage, busy=busy, live=live)


def _charge(draft: RunState, stage: StageState, event: _StageEvent) -> None:
    """What it cost, to the run and to the stage."""
    match event:
        case AttemptErrored():
            _add(draft, stage, event.usage, int(event.worked))
        case CandidateProduced():
            if _by_agent(stage):
                _add(draft, stage, event.usage, 1)
        case VerdictGiven():
            if not event.hard:
                _add(draft, stage, event.usage, 0)
        case (
            AttemptStarted() | HandoffAccepted() | CandidateRejected() | InputPrepared() | StageSkipped() | WhenHeld()
            | AttemptLost() | ApprovalAsked() | Paused()
        ):  # fmt: skip
            pass
        case _:
            assert_never(event)


def _add(draft: RunState, stage: StageState, usage: Usage, attempts: int) -> None:
    draft.__dict__["spent"] = draft.spent.plus(usage, attempts)
    stage.__dict__["spent"] = stage.spent.plus(usage, attempts)


def _by_agent(stage: StageState) -> bool:
    return stage.attempt is not None and bool(stage.attempt.agent)


def _advance(stage: StageState, event: _StageEvent, at: float) -> None:
    if type(event) is VerdictGiven and event.subject.is_input:  # in any phase
        _put(stage, input_verdicts={**stage.input_verdicts, event.gate: event})
    else:
        _change(stage, event, at)
        moved(stage, event, stage)


def _change(stage: StageState, event: _StageEvent, at: float) -> None:
    """All that the event changes but the phase."""
    match event:
        case AttemptStarted():
            _begin(stage, event)
        case AttemptErrored():
            _let_down(stage, event, at)
        case CandidateProduced():
            _produce(stage, event)
        case VerdictGiven():
            _put(stage, **stage.fields_judged(event))
            _wait(stage, event, at)
        case InputPrepared():
            _put(stage, input=event)
        case WhenHeld():
            _put(stage, when_held=True)
        case StageSkipped():
            output = (stage.input.commit, stage.input.tree) if stage.input else None
            _put(stage, output=output)
        case AttemptLost():
            _put(stage, orphaned=False, answer=_after_end(stage), asked=frozenset())
        case ApprovalAsked():
            _put(stage, asked=stage.asked | {event.gate})
        case CandidateRejected():
            _reject(stage, event)
        case HandoffAccepted():
            _accept(stage, event)
        case Paused():
            came_from = stage.paused_from if stage.phase is Phase.PAUSED else stage.phase
            _put(stage, pause=event, paused_from=came_from)
        case _:
            assert_never(event)


def _begin(stage: StageState, event: AttemptStarted) -> None:
    _put(
        stage,
        attempt=event,
        number=event.attempt.number,
        candidate=None,
        verdicts={},
        asked=frozenset(),
        orphaned=False,
        retry_at=0.0,
        gates_waited={},
    )


def _wait(stage: StageState, event: VerdictGiven, at: float) -> None:
    if not event.quota:
        return
    waited = stage.gates_waited.get(event.gate, QuotaWait()).after(at, event.retry_at)
    _put(stage, gates_waited={**stage.gates_waited, event.gate: waited})


def _let_down(stage: StageState, event: AttemptErrored, at: float) -> None:
    """An agent is down once retrying cannot help, its quota is used up, or it failed too often in a row."""
    agent = stage.attempt.agent if stage.attempt is not None else ""
    failures = stage.failures if event.quota else {**stage.failures, agent: stage.failures.get(agent, 0) + 1}
    given_up = not event.quota and (event.permanent or failures[agent] >= TRIES_MAX)
    down = event.quota or given_up
    limited = tuple(name for name in stage.limited if name != agent) if given_up else stage.limited
    _put(
        stage,
        errors=0 if given_up else stage.errors + (not event.quota),
        failures=failures,
        down=(*stage.down, agent) if down and agent not in stage.down else stage.down,
        limited=(*limited, agent) if event.quota and agent not in limited else limited,
        waited=stage.waited.after(at, event.retry_at) if event.quota else stage.waited,
        failure=event,
        retry_at=event.retry_at,
        answer=_after_end(stage),
    )


def _produce(stage: StageState, event: CandidateProduced) -> None:
    """An answer stays to be carried out, unless this candidate is what it asked for."""
    submitted = stage.attempt is not None and bool(stage.attempt.by)
    refusal = event.refusal
    _put(
        stage,
        candidate=event,
        verdicts={refusal.gate: refusal} if refusal else {},
        errors=0,
        waited=QuotaWait(),
        failure=None,
        down=(),
        limited=(),
        failures={},
        session=_session(stage, event),
        answer=None if submitted else stage.answer,
    )


def _session(stage: StageState, event: CandidateProduced) -> tuple[str, str]:
    agent = stage.attempt.agent if stage.attempt is not None else ""
    return agent, next((item.digest for item in event.evidence if item.name == SESSION), "")


def _reject(stage: StageState, event: CandidateRejected) -> None:
    commit = stage.candidate.commit if stage.candidate else ""
    rejection = Rejection(event, commit, tuple(stage.verdicts.values()), stage.attempt, stage.candidate)
    _put(
        stage,
        rejections=(*stage.rejections, rejection),
        charged=stage.charged + 1,
        feedback=(*stage.feedback, event.feedback) if event.feedback else stage.feedback,
        asked=frozenset(),
    )


def _accept(stage: StageState, event: HandoffAccepted) -> None:
    """A person may accept an earlier candidate: then its verdicts are those of the stage."""
    earlier = next((item for item in stage.rejections if item.event.attempt == event.attempt), None)
    verdicts = {verdict.gate: verdict for verdict in earlier.verdicts} if earlier else stage.verdicts
    _put(
        stage,
        accepted=event,
        output=(event.commit, event.tree),
        verdicts=verdicts,
        asked=frozenset(),
        pause=None,
        answer=None,
    )


def _after_end(stage: StageState) -> AnswerTaken | None:
    """What is left to carry out once the attempt is out of the way: of a retry, a person's own commit."""
    retry = stage.answer is not None and stage.answer.action is Action.RETRY
    return _submission(stage.answer) if retry else stage.answer


def _submission(answer: AnswerTaken | None) -> AnswerTaken | None:
    if answer is None or answer.action is not Action.RETRY or not answer.commit:
        return None
    return replace(answer, now=False)


def _send_back(state: RunState, event: SentBack) -> RunState:
    """New epochs for all that is reset; what kept the former result from being delivered is forgotten."""
    stages = state.stages
    for name in event.resets:
        former = stages[name]
        feedback = (event.feedback,) if name == event.target and event.feedback else ()
        answer = _submission(former.answer) if name == event.target else None
        undone = _undone(former) if name == event.target else None
        new = StageState(former.epoch + 1, feedback=feedback, answer=answer, undone=undone, spent=former.spent)
        stages = stages.having(name, moved(former, event, new))
    loops = dict(state.loops)
    if event.rule >= 0:
        key = (event.attempt.stage, event.rule)
        loops[key] = loops.get(key, 0) + 1
    errors = {name: error for name, error in state.errors.items() if " " in name}
    return changed(state, stages=stages, loops=loops, errors=errors, pause=None)


def _undone(former: StageState) -> RevertedWork | None:
    """What was accepted, or rejected last."""
    last = former.accepted or (former.rejections[-1].event if former.rejections else None)
    if last is None or former.input is None or last.tree == former.input.tree:
        return former.undone
    return RevertedWork(last.attempt, former.input.tree, last.tree)
