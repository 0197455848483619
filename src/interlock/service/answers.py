"""Human answers: checked against what waits, then put into the inbox for the owner to journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from interlock.core.branches import flaw
from interlock.core.budget import limit_names
from interlock.core.events import Action, PauseReason
from interlock.core.history import AttemptPhase
from interlock.core.ids import parse_attempt
from interlock.core.state import Phase
from interlock.core.text import plain
from interlock.core.views import RunSummary, RunView, StageView, WaitView
from interlock.ports import Answer, UsageError

_CONTINUES = (PauseReason.INFRASTRUCTURE, PauseReason.LIMIT, PauseReason.DELIVERY)


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What a person said, before it is known what it is about. Empty fields are to be found out."""

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


def to_answer(view: RunView, said: AnswerRequest, new_id: Callable[[], str], at: float) -> Answer:
    """The answer that `said` means for the run as it is. Raises UsageError where it fits nothing."""
    if said.branch:
        check_branch(said.branch)
    if view.phase in ("accepted", "cancelled", "stopped"):
        raise UsageError(f"run {view.id} is {view.phase}: nothing in it waits for an answer")
    stage, subject, gate = _about(view, said)
    return Answer(
        id=new_id(),
        run=view.id,
        action=said.action,
        by=said.by,
        at=at,
        stage=stage,
        subject=subject,
        gate=gate,
        comment=said.comment,
        commit=said.commit,
        override=said.override,
        now=said.now,
        limits=_limits(view, said),
        branch=said.branch,
    )


def going_on(
    view: RunSummary, limits: tuple[tuple[str, float], ...], by: str, branch: str = ""
) -> Iterator[AnswerRequest]:
    """What `resume` says to a run: more of a limit, and to go on where it paused for the world's sake; then, or where
    it is to deliver under another name, with that."""
    if limits:
        yield AnswerRequest(Action.RAISE, by, limits=limits)
    if branch or any(wait.reason in _CONTINUES for wait in view.waits):
        yield AnswerRequest(Action.CONTINUE, by, branch=branch)


def check_branch(name: str) -> None:
    """Raises UsageError where nothing can be delivered under this name."""
    if wrong := flaw(name, plain(name, 300)):
        raise UsageError(f"--branch: {wrong} (`git help check-ref-format`)")


def too_late(view: RunSummary, branch: str) -> str:
    """Why a run that is over takes neither another name for its branch nor more of a limit."""
    said = f"run {view.id} is {view.phase}, and over"
    if not branch:
        return f"{said}: no limit of it can be raised"
    if not view.branch:
        return f"{said}: nothing of it is delivered"
    delivered = plain(view.branch, 300)
    return f"{said}: it is delivered as {delivered} (`git branch {branch} {delivered}` gives that another name too)"


def _about(view: RunView, said: AnswerRequest) -> tuple[str, str, str]:
    match said.action:
        case Action.APPROVE | Action.REJECT:
            wait = _the_approval(view, said)
            return wait.stage, wait.subject, wait.gate
        case Action.RETRY:
            return _retry_stage(view, said).id, "", ""
        case Action.ACCEPT:
            return _the_candidate(view, said)
        case _:
            return "", "", ""


def _the_approval(view: RunView, said: AnswerRequest) -> WaitView:
    waiting = [wait for wait in view.waits if wait.reason == "approval"]
    fitting = [
        wait
        for wait in waiting
        if (not said.stage or wait.stage == said.stage)
        and (not said.subject or wait.subject == said.subject)
        and (not said.gate or said.gate in (wait.gate, wait.gate.split("/", 1)[1]))
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not waiting:
        raise UsageError(f"nothing in run {view.id} waits for an approval: it is {view.phase}")
    named = ", ".join(f"{wait.subject} {wait.gate}" for wait in waiting)
    raise UsageError(f"say which: {named} {'wait' if len(waiting) > 1 else 'waits'} for an approval")


def _retry_stage(view: RunView, said: AnswerRequest) -> StageView:
    known = [stage.id for stage in view.stages]
    if not said.stage:
        paused = [stage for stage in view.stages if stage.phase is Phase.PAUSED]
        if len(paused) == 1:
            return paused[0]
        raise UsageError(f"say which stage to retry: {', '.join(known)}")
    if said.stage not in known:
        raise UsageError(f"run {view.id} has no stage {said.stage}: it has {', '.join(known)}")
    stage = view.stage(said.stage)
    if stage.phase is Phase.WAITING:
        raise UsageError(f"stage {said.stage} has not begun: it waits for {', '.join(stage.needs)}")
    if stage.phase in (Phase.WORKING, Phase.JUDGING) and not said.now:
        raise UsageError(f"stage {said.stage} is {stage.phase}: `--now` ends that attempt first")
    return stage


def _the_candidate(view: RunView, said: AnswerRequest) -> tuple[str, str, str]:
    if not said.subject:
        raise UsageError("say which attempt to accept, as STAGE/EPOCH.NUMBER: `interlock show` lists them")
    try:
        attempt = parse_attempt(said.subject)
        found = view.attempt(attempt)
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"run {view.id} has no attempt {said.subject}: `interlock show {view.id}` lists them"
        ) from error
    if not found.commit:
        raise UsageError(f"{attempt} has no candidate: it is {found.phase}")
    hard_no = any(item.verdict.hard and item.verdict.status == "failed" for item in found.verdicts)
    if hard_no and not said.override:
        raise UsageError(
            f"a hard gate said no to {attempt}: `--override` accepts it all the same, and stays visible for good"
        )
    if found.phase is AttemptPhase.ACCEPTED:
        raise UsageError(f"{attempt} is accepted already")
    return attempt.stage, str(attempt), ""


def _limits(view: RunView, said: AnswerRequest) -> tuple[tuple[str, float], ...]:
    known = limit_names(stage.id for stage in view.stages)
    for name, amount in said.limits:
        if name not in known:
            raise UsageError(f"--raise {name}: no such limit, there are {', '.join(known)}")
        if amount <= 0:
            raise UsageError(f"--raise {name}={amount:g}: say how much more, above zero")
    return said.limits
