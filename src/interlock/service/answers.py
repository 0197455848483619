"""Answers of people: checked against what waits, then put into the inbox for the owner to journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from interlock.core.events import Action, PauseReason
from interlock.core.ids import parse_attempt
from interlock.core.limits import limit_names
from interlock.core.state import Phase
from interlock.ports import Answer, UsageError
from interlock.readmodel.history import AttemptPhase
from interlock.readmodel.run import OVER, RunPhase, RunSummary, RunView, StageView, WaitView
from interlock.text.cleaning import plain
from interlock.text.names import flaw

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
        raise UsageError(f"run {view.id} is {view.phase}: it does not wait for an answer")
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


def too_late(view: RunSummary, branch: str) -> str:
    """Why a run that is over takes neither another branch name nor more of a limit."""
    over = f"run {view.id} has ended: it is {view.phase}"
    if not branch:
        return f"{over}: its limits cannot be raised"
    if not view.branch:
        return f"{over}: it delivers nothing"
    delivered = plain(view.branch, 300)
    return f"{over}: it is delivered as {delivered} (`git branch {branch} {delivered}` creates another name for it)"


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
        raise UsageError(_no_approval(view))
    named = ", ".join(f"{wait.subject} {wait.gate}" for wait in waiting)
    raise UsageError(f"name one: {named} {'wait' if len(waiting) > 1 else 'waits'} for an approval")


def _no_approval(view: RunView) -> str:
    """Why there is nothing to approve, and the commands that move the run on."""
    nothing = f"nothing in run {view.id} waits for an approval"
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
        raise UsageError(f"name the stage to retry: {', '.join(known)}")
    if request.stage not in known:
        raise UsageError(f"run {view.id} has no stage {request.stage}: it has {', '.join(known)}")
    stage = view.stage(request.stage)
    if stage.phase is Phase.WAITING:
        raise UsageError(f"stage {request.stage} has not started: it waits for {', '.join(stage.needs)}")
    if stage.phase in (Phase.WORKING, Phase.JUDGING) and not request.now:
        raise UsageError(f"stage {request.stage} is {stage.phase}: `--now` ends that attempt first")
    return stage


def _the_candidate(view: RunView, request: AnswerRequest) -> tuple[str, str, str]:
    if not request.subject:
        raise UsageError("name the attempt to accept, as STAGE/EPOCH.NUMBER: `interlock show` lists them")
    try:
        attempt = parse_attempt(request.subject)
        found = view.attempt(attempt)
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"run {view.id} has no attempt {request.subject}: `interlock show {view.id}` lists them"
        ) from error
    if not found.commit:
        raise UsageError(f"{attempt} has no candidate: it is {found.phase}")
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
            raise UsageError(f"--raise {name}: no such limit, there are {', '.join(known)}")
        if not 0 < amount < float("inf"):
            raise UsageError(f"--raise {name}={amount:g}: expected a positive number")
    return request.limits
