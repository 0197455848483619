"""Where a run stands, in the words of its page: its state, who must act, why, and what to do next. Pure.

Rule: each state has a word, an icon and a colour of its own; what waits for a person never looks as if it had passed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from interlock.core.limits import LimitUsage
from interlock.readmodel.history import AttemptPhase, AttemptView
from interlock.readmodel.reasons import Reason, without_notes
from interlock.readmodel.run import UNATTENDED, RunPhase, RunSummary, RunView
from interlock.service.formats import cost, count, duration, tokens
from interlock.text.cleaning import plain, without_place

_WAIT = ("Waiting for you", "hand", "wait")
_PAUSED = ("Paused, needs you", "pause", "wait")
_STATES = {
    RunPhase.RUNNING: ("Running", "play", "busy"),
    RunPhase.SLEEPING: ("Sleeping", "clock", "busy"),
    RunPhase.INTERRUPTED: ("Interrupted", "plug", "wait"),
    RunPhase.ACCEPTED: ("Accepted", "check", "good"),
    RunPhase.CANCELLED: ("Cancelled", "minus", "off"),
    RunPhase.STOPPED: ("Stopped", "cross", "bad"),
    RunPhase.UNREADABLE: ("Unreadable", "alert", "bad"),
    RunPhase.DAMAGED: ("Damaged", "alert", "bad"),
}
_MESSAGE_MAX = 4000  # characters
_TASK_MAX = 200  # characters of a task in a command
_LINE_MAX = 80  # characters of a message that is seen whole
_SHORT = 10  # characters of a commit's name
_HALTED = (RunPhase.STOPPED, RunPhase.CANCELLED)


@dataclass(frozen=True, slots=True)
class Standing:
    """`tone` is good, bad, wait, busy or off; `who` says who must act; `commands` are what to do next on the command
    line."""

    word: str
    icon: str
    tone: str
    who: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """A reason, for the page: `message` is one line, `rest` the whole of it if there is more; `repeated` says whether
    it is new."""

    reason: Reason
    gate: str
    message: str
    repeated: str
    attempt: AttemptView | None
    rest: str = ""


def standing(run: RunSummary) -> Standing:
    """Of any run, also of one that cannot be read."""
    word, icon, tone = _state(run)
    who = f"{_who(run)} This may be old: {run.behind}." if run.behind else _who(run)
    return Standing(word, icon, tone, who, tuple(_commands(run)))


def state_word(run: RunSummary) -> str:
    """The word of its page, for the list."""
    word, _, _ = _state(run)
    return word[:1].lower() + word[1:]


def at_work(view: RunView) -> Iterator[tuple[str, AttemptView]]:
    """What is at work now: who does what, and on which attempt."""
    for stage in view.stages:
        newest = stage.attempts[-1] if stage.attempts else None
        if newest is None:
            continue
        if newest.phase is AttemptPhase.WORKING:
            yield f"{newest.agent or newest.by or stage.worker or 'a script'} works on", newest
        elif newest.phase is AttemptPhase.JUDGING and not newest.asked:
            yield "gates judge", newest


def begun(view: RunView) -> str:
    """The attempts at work, which are not counted before they end."""
    working = sum(one.phase is AttemptPhase.WORKING for stage in view.stages for one in stage.attempts)
    if not working:
        return ""
    return f"{working} more began" if view.spent.attempts else f"{count(working, 'attempt')} began"


def worked(attempt: AttemptView, view: RunView, now: float) -> str:
    """How long an attempt is at work by now: nobody saw when a former process of the run ended."""
    is_sure = all(two <= attempt.started_at for _, two in view.unowned)
    return f"{'' if is_sure else 'at most '}{duration(now - attempt.started_at)}"


def delivered(*, series: bool) -> str:
    """What the branch of an accepted run has: other commits than those of the attempts."""
    return "a commit for each handoff" if series else "one commit on the base: the accepted work without the documents"


def whys(view: RunView) -> Iterator[Why]:
    """The reasons of the run, hard gates first."""
    for reason in _that_count(view):
        attempts = view.stage(reason.stage).attempts if reason.stage else ()
        attempt = next((one for one in attempts if str(one.id) == reason.attempt), None)
        said = without_place(plain(reason.message, 2000), reason.file, reason.line)
        message = _in_a_line(said).removeprefix("rejected " if reason.by else "")
        whole = plain(_whole_message(view, reason, attempt), _MESSAGE_MAX)
        rest = whole if len(whole.strip().splitlines()) > 1 else said if len(said) > _LINE_MAX else ""
        yield Why(reason, reason.gate.rpartition("/")[2], message, _repeated(reason, attempts), attempt, rest)


def _in_a_line(said: str) -> str:
    """The first line; an exit code alone says too little, so the last line of the output is added to it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("exit code "):
        return f"{lines[0]}: {lines[-1]}"
    return lines[0] if lines else ""


def _whole_message(view: RunView, reason: Reason, attempt: AttemptView | None) -> str:
    """Of the finding that the reason names: a reason may have only a part of it."""
    given = attempt.verdicts if attempt else () if reason.stage else view.base_verdicts
    newest = next((one.verdict for one in reversed(given) if one.verdict.gate == reason.gate), None)
    return without_notes(newest.findings)[0].message if newest and newest.findings else reason.message


def _that_count(view: RunView) -> list[Reason]:
    """All; of a run that stopped those that stopped it."""
    stopping = (
        [one for one in view.reasons if f"gate {one.gate} " in view.why] if view.phase is RunPhase.STOPPED else []
    )
    return stopping or list(view.reasons)


def limit_words(amount: LimitUsage) -> str:
    """How much of a limit is used, such as `8 of 30 attempts`."""
    stage, _, name = amount.name.rpartition(".")
    words = {
        "attempts": f"{amount.used:g} of {count(int(amount.bound), 'attempt')}",
        "tokens": f"{tokens(int(amount.used)).removesuffix(' tokens')} of {tokens(int(amount.bound))}",
        "cost_usd": f"{cost(amount.used)} of {cost(amount.bound)}",
        "wall": f"{duration(amount.used)} of {duration(amount.bound)} of agents and gates",
    }.get(name, f"{amount.used:g} of {amount.bound:g} {name}")
    return f"{stage}: {words}" if stage else words


def moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _state(run: RunSummary) -> tuple[str, str, str]:
    if run.phase is RunPhase.WAITING:
        return _WAIT if any(wait.reason == "approval" for wait in run.waits) else _PAUSED
    word, icon, tone = _STATES[run.phase]
    if run.word == UNATTENDED:
        return "Waits for its repository", "clock", tone
    if run.phase is RunPhase.ACCEPTED and run.overrides:
        return f"{word} with an override", "alert", "wait"
    return word, icon, tone


def _who(run: RunSummary) -> str:
    match run.phase:
        case RunPhase.WAITING:
            return "You decide."
        case RunPhase.RUNNING:
            return "Nobody needs to act."
        case RunPhase.SLEEPING:
            return f"Nobody needs to act: it continues at {moment(run.sleeps_until)}."
        case RunPhase.INTERRUPTED:
            return f"You: resume it. {run.why or 'No process controls this run'}."
        case RunPhase.ACCEPTED if run.branch:
            return "You: review the branch and merge it."
        case RunPhase.ACCEPTED:
            return "Nobody needs to act: there is no branch to deliver."
        case RunPhase.CANCELLED:
            return "Nobody needs to act: the run is over and delivered nothing."
        case RunPhase.STOPPED:
            return "You: correct what is wrong on the base, then start the run again."
        case RunPhase.UNREADABLE:
            return "You: upgrade Interlock. Another version wrote this run."
        case RunPhase.DAMAGED:
            return "You: see what interlock doctor says. The run cannot continue."


def _commands(run: RunSummary) -> Iterator[str]:
    match run.phase:
        case RunPhase.ACCEPTED if run.branch:
            branch = plain(run.branch, 300)
            yield f"git diff {run.base_commit[:_SHORT]} {branch}"
            yield f"git merge {branch}"
        case RunPhase.INTERRUPTED:
            yield f"interlock resume {run.id}"
        case RunPhase.RUNNING | RunPhase.SLEEPING:
            yield f"interlock watch {run.id}"
        case RunPhase.STOPPED | RunPhase.CANCELLED:
            yield f"interlock show {run.id}"
            yield f"interlock run -p {plain(run.pipeline, 100)} -t {_quoted(run.task)}"
        case RunPhase.UNREADABLE | RunPhase.DAMAGED:
            yield "interlock doctor"
            if run.way_out:
                yield run.way_out
        case _:
            yield f"interlock show {run.id}"


def _quoted(task: str) -> str:
    """For a shell; a long task has room elsewhere on the page."""
    is_short = len(task) <= _TASK_MAX and plain(task, _TASK_MAX) == task and len(task.splitlines()) == 1
    return quote(task) if is_short else '"..."'


def _repeated(reason: Reason, attempts: tuple[AttemptView, ...]) -> str:
    if reason.times > 1:
        return f"the same in the last {reason.times} attempts"
    return "new in this attempt" if len(attempts) > 1 else ""
