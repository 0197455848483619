"""Answers of people: checked against what waits, then put into the inbox for the owner to journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from interlock.core.events import Action, PauseReason
from interlock.core.ids import parse_attempt
from interlock.core.inbox import Answer
from interlock.core.limits import limit_names
from interlock.core.state import Phase
from interlock.ports import UsageError
from interlock.readmodel.history import AttemptPhase, AttemptView
from interlock.readmodel.run import OVER, RunPhase, RunSummary, RunView, StageView, WaitView, attempt_word
from interlock.service.formats import moment
from interlock.text.cleaning import plain
from interlock.text.names import flaw

NOT_SEEN = "I have not seen the whole change."  # the comment of an approval in spite of that
_NAMED_MAX = 8
_DECISIONS = {Action.APPROVE: "approved", Action.REJECT: "rejected", Action.ACCEPT: "accepted"}
_CONTINUES = (PauseReason.INFRASTRUCTURE, PauseReason.LIMIT, PauseReason.DELIVERY)


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What a person answers. Empty fields are found out from what waits."""

    action: Action
    by: str
    stage: str = ""
    subject: str = ""
    gate: str = ""
    comment: str = ""
    commit: str = ""
    override: bool = False
    now: bool = False
    limits: tuple[tuple[str, float], ...] = ()
    branch: str = ""


def to_answer(view: RunView, request: AnswerRequest, new_id: Callable[[], str], at: float) -> Answer:
    """The answer that `request` means for the run as it is. Raises UsageError if it fits nothing that waits."""
    if request.branch:
        check_branch(request.branch)
    if view.phase in OVER:
        raise UsageError(
            f"run {view.id} is {view.phase}: {_decided(view, request) or 'it does not wait for an answer'}"
        )
    stage, subject, gate = _subject(view, request)
    return Answer(
        id=new_id(),
        run=view.id,
        action=request.action,
        by=request.by,
        at=at,
        stage=stage,
        subject=subject,
        gate=gate,
        comment=request.comment,
        commit=request.commit,
        override=request.override,
        now=request.now,
        limits=_limits(view, request),
        branch=request.branch,
    )


def resume_answers(
    view: RunSummary, limits: tuple[tuple[str, float], ...], by: str, branch: str = ""
) -> Iterator[AnswerRequest]:
    """The answers of `resume`: more of a limit, and a continue if the run is paused by a limit, a failed delivery or an
    infrastructure error, or is to deliver as another `branch`."""
    if limits:
        yield AnswerRequest(Action.RAISE, by, limits=limits)
    if branch or any(wait.reason in _CONTINUES for wait in view.waits):
        yield AnswerRequest(Action.CONTINUE, by, branch=branch)


def check_branch(name: str) -> None:
    """Raises UsageError if this is no valid name for a branch."""
    if wrong := flaw(name, plain(name, 300)):
        raise UsageError(f"--branch: {wrong} (`git help check-ref-format`)")


def too_late(view: RunSummary, branch: str, limits: tuple[tuple[str, float], ...] = ()) -> str:
    """Why a run that is over takes neither another branch name nor more of a limit."""
    over = f"run {view.id} has ended: it is {view.phase}"
    known = limit_names(name for name, _ in view.progress)
    unknown = [_no_limit(name, known) for name, _ in limits if name not in known]
    if not branch:
        return "; ".join([f"{over}: its limits cannot be raised", *unknown])
    if not view.branch:
        return f"{over}: it delivers nothing"
    delivered = plain(view.branch, 300)
    return f"{over}: it is delivered as {delivered} (`git branch {branch} {delivered}` creates another name for it)"


def no_candidate(view: RunView, attempt: AttemptView) -> str:
    """Why there is nothing of an attempt to show or to accept."""
    word = attempt_word(attempt, view.phase)
    match attempt.phase:
        case AttemptPhase.LOST:
            return f"{attempt.id} left no candidate: its process ended before it finished"
        case AttemptPhase.ERRORED:
            return f"{attempt.id} left no candidate: {plain(attempt.why, 300).partition(chr(10))[0]}"
        case AttemptPhase.WORKING if view.phase is RunPhase.INTERRUPTED:
            return f"{attempt.id} has no candidate yet: {_interrupted(view)}"
        case AttemptPhase.WORKING if word == attempt.phase:
            return f"{attempt.id} has no candidate yet: it is working"
        case _:
            return f"{attempt.id} left no candidate: it is {word}"


def unnamed_attempt(view: RunView, stage: str = "") -> str:
    """That an attempt is to be named for `accept`; which one, if only one can be meant."""
    candidates = [
        str(attempt.id)
        for each in view.stages
        for attempt in each.attempts
        if attempt.commit and stage in ("", each.id) and attempt.phase is not AttemptPhase.ACCEPTED
    ]
    if len(candidates) == 1:
        return f"name the attempt to accept: did you mean `interlock accept {view.id} {candidates[0]}`?"
    named = f": {', '.join(candidates[-_NAMED_MAX:])}" if candidates else ""
    return f"name the attempt to accept, as STAGE/1.2{named}: `interlock show {view.id}` lists them"


def _subject(view: RunView, request: AnswerRequest) -> tuple[str, str, str]:
    match request.action:
        case Action.APPROVE | Action.REJECT:
            wait = _the_approval(view, request)
            return wait.stage, wait.subject, wait.gate
        case Action.RETRY:
            return _retry_stage(view, request).id, "", ""
        case Action.ACCEPT:
            return _the_candidate(view, request)
        case _:
            return "", "", ""


def _the_approval(view: RunView, request: AnswerRequest) -> WaitView:
    waiting = [wait for wait in view.waits if wait.reason == "approval"]
    fitting = [
        wait
        for wait in waiting
        if (not request.stage or wait.stage == request.stage)
        and (not request.subject or wait.subject == request.subject)
        and (not request.gate or request.gate in (wait.gate, wait.gate.split("/", 1)[1]))
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not waiting:
        raise UsageError(_no_approval(view, request))
    named = ", ".join(f"{wait.subject} {wait.gate}" for wait in waiting)
    wait_now = f"{named} {'wait' if len(waiting) > 1 else 'waits'} for an approval"
    if request.subject and request.subject not in {wait.subject for wait in waiting}:
        decided = _decided(view, request)
        raise UsageError(f"nothing recorded for {request.subject}{f' ({decided})' if decided else ''}: {wait_now}")
    raise UsageError(f"name one: {wait_now}")


def _decided(view: RunView, request: AnswerRequest) -> str:
    """The newest answer to the question that `request` may mean: who gave it, and when; empty if there is none."""
    if request.action not in _DECISIONS:
        return ""
    for reply in reversed(view.replies):
        told = reply.answer
        stage = told.subject.stage if told.subject else told.stage
        if (
            not reply.refused
            and told.action in _DECISIONS
            and request.stage in ("", stage)
            and request.subject in ("", str(told.subject))
            and request.gate in ("", told.gate, told.gate.partition("/")[2])
        ):
            gate = f" (gate {told.gate.partition('/')[2]})" if told.gate else ""
            word = _DECISIONS[told.action]
            return f"{plain(told.by, 120)} {word} {told.subject or stage}{gate} at {moment(reply.at)}"
    return ""


def _interrupted(view: RunView) -> str:
    return f"run {view.id} is interrupted: no process runs it\nnext: interlock resume {view.id}"


def _no_approval(view: RunView, request: AnswerRequest) -> str:
    """Why there is nothing to approve, and the commands that move the run on."""
    nothing = f"nothing in run {view.id} waits for an approval"
    if decided := _decided(view, request):
        nothing = f"{nothing} any more ({decided})"
    if view.phase is RunPhase.INTERRUPTED:
        return f"{nothing}: it is interrupted\nnext: interlock resume {view.id}"
    if not view.waits:
        return f"{nothing}: it is {view.phase}\nnext: interlock watch {view.id}"
    paused = ", ".join(f"{wait.stage or 'it'} is paused ({wait.reason.replace('_', ' ')})" for wait in view.waits)
    commands = dict.fromkeys(command for wait in view.waits for command in wait.commands)
    return "\n".join([f"{nothing}: {paused}. One of:", *(f"  {command}" for command in commands)])


def _retry_stage(view: RunView, request: AnswerRequest) -> StageView:
    known = [stage.id for stage in view.stages]
    if not request.stage:
        paused = [stage for stage in view.stages if stage.phase is Phase.PAUSED]
        if len(paused) == 1:
            return paused[0]
        why = f": {_interrupted(view)}" if view.phase is RunPhase.INTERRUPTED else ""
        raise UsageError(f"name the stage to retry: {', '.join(known)}{why}")
    if request.stage not in known:
        raise UsageError(f"run {view.id} has no stage {request.stage}: it has {', '.join(known)}")
    stage = view.stage(request.stage)
    if stage.phase is Phase.WAITING:
        raise UsageError(f"stage {request.stage} has not started: it waits for {', '.join(stage.needs)}")
    if stage.phase in (Phase.WORKING, Phase.JUDGING) and not request.now:
        if view.phase is RunPhase.INTERRUPTED:
            raise UsageError(f"stage {request.stage} has not ended: {_interrupted(view)}")
        raise UsageError(f"stage {request.stage} is {stage.phase}: `--now` ends that attempt first")
    return stage


def _the_candidate(view: RunView, request: AnswerRequest) -> tuple[str, str, str]:
    if not request.subject:
        raise UsageError(unnamed_attempt(view, request.stage))
    try:
        attempt = parse_attempt(request.subject)
        found = view.attempt(attempt)
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"run {view.id} has no attempt {request.subject}: `interlock show {view.id}` lists them"
        ) from error
    if not found.commit:
        raise UsageError(no_candidate(view, found))
    hard_no = any(item.verdict.hard and item.verdict.status == "failed" for item in found.verdicts)
    if hard_no and not request.override:
        raise UsageError(
            f"a hard gate rejected {attempt}: `--override` accepts it anyway, and every later view shows that"
        )
    if found.phase is AttemptPhase.ACCEPTED:
        raise UsageError(f"{attempt} was accepted before")
    return attempt.stage, str(attempt), ""


def _limits(view: RunView, request: AnswerRequest) -> tuple[tuple[str, float], ...]:
    known = limit_names(stage.id for stage in view.stages)
    for name, amount in request.limits:
        if name not in known:
            raise UsageError(_no_limit(name, known))
        if not 0 < amount < float("inf"):
            raise UsageError(f"--raise {name}={amount:g}: expected a positive number")
    return request.limits


def _no_limit(name: str, known: Iterable[str]) -> str:
    return f"--raise {name}: no such limit, there are {', '.join(known)}"
