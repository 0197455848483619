"""Words that verbs share: times, marks, and how a run ended. Rule: what others wrote goes through `safe`."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import click

from interlock.core.events import Finding, VerdictGiven, VerdictStatus
from interlock.core.limits import LimitUsage
from interlock.core.state import Phase
from interlock.process import relative_path_entries
from interlock.readmodel.history import AttemptPhase
from interlock.readmodel.run import NOT_BEGUN, RunPhase, RunSummary, StageView, WaitView, stage_word
from interlock.service.formats import cost, duration, spent, tokens, usage
from interlock.service.formats import moment as moment
from interlock.text.cleaning import plain

POLLED = "What is polled is ended within a tenth of a second or so."
COUNTED_BY_THE_KERNEL = (
    "The kernel counts memory and processes itself where a"
    " control group can be had: `systemd-run --user --scope interlock ...`; in a service `Delegate=yes` and"
    " `DelegateSubgroup=main`"
)
NO_SANDBOX = "sandbox none: agents and gates run with your user's rights"

NO_IDENTITY = (
    "git has no user name and e-mail for you here, so commits will name Interlock as author: set them with"
    " `git config --global user.name NAME` and `git config --global user.email MAIL`"
)

MARKS = {
    VerdictStatus.PASSED: ("✓", "green"),
    VerdictStatus.FAILED: ("✗", "red"),
    VerdictStatus.ERRORED: ("!", "yellow"),
}
_STAGE_MARKS = {
    Phase.WAITING: ("·", "bright_black"),
    Phase.READY: ("○", "bright_black"),
    Phase.WORKING: ("▶", "cyan"),
    Phase.JUDGING: ("?", "cyan"),
    Phase.REJECTED: ("✗", "red"),
    Phase.PAUSED: ("‖", "yellow"),
    Phase.ACCEPTED: ("✓", "green"),
    Phase.SKIPPED: ("-", "bright_black"),
}
RUN_TONES = {
    RunPhase.RUNNING: "cyan",
    RunPhase.WAITING: "yellow",
    RunPhase.SLEEPING: "cyan",
    RunPhase.INTERRUPTED: "yellow",
    RunPhase.ACCEPTED: "green",
    RunPhase.CANCELLED: "red",
    RunPhase.STOPPED: "red",
    RunPhase.UNREADABLE: "red",
    RunPhase.DAMAGED: "red",
}
RUN_MARKS = {
    RunPhase.RUNNING: "▶",
    RunPhase.WAITING: "?",
    RunPhase.SLEEPING: "○",
    RunPhase.INTERRUPTED: "‖",
    RunPhase.ACCEPTED: "✓",
    RunPhase.CANCELLED: "✗",
    RunPhase.STOPPED: "✗",
    RunPhase.UNREADABLE: "!",
    RunPhase.DAMAGED: "!",
}
ATTEMPT_TONES = {
    AttemptPhase.WORKING: "cyan",
    AttemptPhase.JUDGING: "cyan",
    AttemptPhase.ACCEPTED: "green",
    AttemptPhase.REJECTED: "red",
    AttemptPhase.ERRORED: "yellow",
    AttemptPhase.LOST: "yellow",
    AttemptPhase.RESET: "bright_black",
}
_ENDED_MARK = ("‖", "yellow")
_IDLE_MARKS: dict[str, tuple[str, str]] = {
    RunPhase.INTERRUPTED: _ENDED_MARK,
    RunPhase.CANCELLED: _ENDED_MARK,
    RunPhase.STOPPED: _ENDED_MARK,
    NOT_BEGUN: ("·", "bright_black"),
}
_NAMED_MAX = 20
_OF_BASE = re.compile(r"gate (?P<gate>[\w./-]+) (?:cannot run|must be green) on the base: ")
_COMMAND = re.compile(r"\s*(?:next: )?interlock ")
NARROWEST = 20  # columns


def stage_look(stage: StageView, run: RunPhase) -> tuple[str, str, str]:
    """Mark, tone and word of a stage in a run of this phase."""
    word = stage_word(stage, run)
    mark, tone = _IDLE_MARKS.get(word) or _STAGE_MARKS[stage.phase]
    return mark, tone, word


def run_word(run: RunSummary) -> str:
    """Its phase with a mark, as a person is told it."""
    return f"{RUN_MARKS[run.phase]} {'waiting for you' if run.phase is RunPhase.WAITING else run.word}"


def path_warning(environ: Mapping[str, str]) -> str:
    """A warning about relative folders in PATH; empty if there are none."""
    entries = relative_path_entries(environ)
    named = ", ".join(safe(entry, 60) or "an empty entry" for entry in entries[:5])
    return f"{named} in PATH is ignored: it is relative to the current folder; use absolute paths" if named else ""


def safe(text: str, limit: int = 300) -> str:
    """One line that is safe on a terminal; a longer text is cut."""
    line = " ".join(plain(text, 4 * limit).split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 4]
    return f"{cut.rpartition(' ')[0] or cut} ..."


def in_a_line(text: str, limit: int = 300) -> str:
    """As `safe`, with a mark between lines."""
    return safe(" / ".join(line for line in text.splitlines() if line.strip()), limit)


def short(commit: str) -> str:
    return commit[:10]


def clock(at: float) -> str:
    """Local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(at))


@dataclass(frozen=True, slots=True)
class UnreadableRuns:
    """Runs that cannot be read for the same reason."""

    runs: tuple[RunSummary, ...]

    @property
    def which(self) -> str:
        names = ", ".join(run.id for run in self.runs[:_NAMED_MAX]) + (", ..." if len(self.runs) > _NAMED_MAX else "")
        return f"run {names}" if len(self.runs) == 1 else f"{len(self.runs)} runs ({names})"


def by_reason(runs: Iterable[RunSummary]) -> Iterator[UnreadableRuns]:
    """Runs that cannot be read, grouped by their reason."""
    reasons: dict[tuple[str, str], list[RunSummary]] = {}
    for run in runs:
        reasons.setdefault((run.phase, run.why), []).append(run)
    yield from (UnreadableRuns(tuple(each)) for each in reasons.values())


def nearly_used(view: RunSummary) -> Iterator[str]:
    """The limits of which four fifths are used, with how much that is."""
    for amount in view.limits:
        if amount.near:
            used, bound = _measured(amount, amount.used), _measured(amount, amount.bound)
            yield f"{round(100 * amount.used / amount.bound)} % of {amount.name} used: {used} of {bound}"


def _measured(amount: LimitUsage, number: float) -> str:
    match amount.name.rpartition(".")[2]:
        case "cost_usd":
            return cost(number)
        case "wall":
            return duration(number)
        case "tokens":
            return tokens(round(number)).removesuffix(" tokens").removesuffix(" token")
        case _:
            return f"{number:g}"


def place(finding: Finding) -> str:
    """`file:line`, or as much of it as is known."""
    if not finding.file:
        return ""
    return safe(finding.file) + (f":{finding.line}" if finding.line else "")


def gate_name(verdict_gate: str, stage: str) -> str:
    """A gate as people name it: GATE within its own stage, else STAGE/GATE."""
    owner, _, gate = verdict_gate.partition("/")
    return gate if owner == stage else verdict_gate


def traits(verdict: VerdictGiven) -> str:
    """What qualifies a verdict beside its status, in brackets."""
    parts = [verdict.tests] if verdict.tests else []
    if not verdict.hard and not verdict.by:
        parts.append("soft")
    if verdict.cached:
        parts.append("cached")
    if verdict.flaky:
        parts.append("flaky")
    if used := usage(verdict.usage):
        parts.append(used)
    if verdict.by:
        parts.append(f"by {safe(verdict.by, 120)}")
    return f" ({', '.join(parts)})" if parts else ""


# --- how a run ended, or what it waits for -------------------------------------------------------


def closing(view: RunSummary) -> list[str]:
    """The outcome, and the exact next command."""
    return [_outcome(view), *_overrides(view), *nearly_used(view), *next_commands(view)]


def wrapped(lines: Iterable[str], width: int) -> Iterator[str]:
    """Wrapped at words, but for commands; as they are where no terminal says how wide they may be."""
    for line in lines:
        is_command = line.startswith((" ", "next: "))
        yield from [line] if is_command or width <= NARROWEST else textwrap.wrap(line, width, break_on_hyphens=False)


def folded(lines: Iterable[str], width: int) -> Iterator[str]:
    """As `wrapped`, for a page: what goes on is indented by four more."""
    for line in lines:
        if width <= NARROWEST or len(click.unstyle(line)) <= width or _COMMAND.match(line):
            yield line
            continue
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        yield from textwrap.wrap(
            line, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False,
            replace_whitespace=False,
        )  # fmt: skip


def ended(phase: str, why: str) -> str:
    """`stopped: WHY`, `cancelled by WHOM: WHY`."""
    if why.startswith(f"{phase} by "):
        return safe(why)
    return f"{phase}: {safe(why)}" if why else phase


def uncancelled(view: RunSummary) -> str:
    """What happened before a cancel of a run that was not over then; empty if nothing did."""
    if view.branch:
        branch = safe(view.branch)
        return f"branch {branch} was delivered before (`git branch -D {branch}` removes it)"
    match view.phase:
        case RunPhase.ACCEPTED:
            return "it was accepted before"
        case RunPhase.STOPPED:
            return f"it had already stopped: {safe(view.why)}"
        case _:
            return ""


def waiting(wait: WaitView) -> list[str]:
    """One thing that waits for a person, with the commands that answer it."""
    hint = [safe(wait.hint, 400)] if wait.hint else []
    return [_waits_for(wait), *(f"  {command}" for command in wait.commands), *hint]


def _outcome(view: RunSummary) -> str:
    used = spent(view)
    match view.phase:
        case RunPhase.ACCEPTED if view.branch:
            return f"run {view.id} accepted: branch {safe(view.branch)} at {short(view.commit)} ({used})"
        case RunPhase.WAITING:
            return f"run {view.id} waits for a person ({used})"
        case RunPhase.SLEEPING:
            since = f"since {moment(view.sleeps_since)}, " if view.sleeps_since else ""
            return f"run {view.id} waits {since}until {moment(view.sleeps_until)}: {safe(view.why)} ({used})"
        case RunPhase.INTERRUPTED:
            return f"run {view.id} is {view.word}: {safe(view.why) or 'no process runs it'} ({used})"
        case _:
            return f"run {view.id} {ended(view.phase, view.why)} ({used})"


def _overrides(view: RunSummary) -> list[str]:
    if not view.overrides:
        return []
    return [f"accepted by a person although not every gate passed: {', '.join(view.overrides)}"]


def next_commands(view: RunSummary) -> list[str]:
    """The exact next command, or those that answer what waits."""
    match view.phase:
        case RunPhase.ACCEPTED if view.branch:
            return [
                f"next: git diff {short(view.base_commit)} {safe(view.branch)}",
                f"      git merge {safe(view.branch)}",
            ]
        case RunPhase.ACCEPTED:
            return [f"next: interlock show {view.id}"]
        case RunPhase.WAITING:
            return [line for wait in view.waits for line in waiting(wait)]
        case RunPhase.INTERRUPTED:
            return [f"next: interlock resume {view.id}"]
        case RunPhase.RUNNING | RunPhase.SLEEPING:
            return [f"next: interlock watch {view.id}"]
        case RunPhase.UNREADABLE | RunPhase.DAMAGED:
            return ["next: interlock doctor"]
        case RunPhase.CANCELLED | RunPhase.STOPPED:
            of_base = _OF_BASE.match(view.why)
            more = [f"      interlock logs {view.id} base {of_base['gate']}"] if of_base else []
            return [f"next: interlock show {view.id}", *more]


def _waits_for(wait: WaitView) -> str:
    about = wait.subject or wait.stage or "the run"
    if wait.reason == "approval":
        question = f": {safe(wait.detail)}" if wait.detail else ""
        text = f"{about} waits for an approval of gate {gate_name(wait.gate, wait.stage)}{question}"
    else:
        text = f"{about} is paused ({wait.reason.replace('_', ' ')}): {in_a_line(wait.detail)}"
    return f"{text if text.endswith(('?', '!', '.')) else f'{text}.'} One of:"
