"""A run in one screen: state, what to do, why, what changes, how it went, what it cost. Each thing is said once.

Rule: the order is that of every surface (docs/decisions/0103); attempts that ended alike are one line. All details are
in `pages`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from interlock.cli.pages import answer_lines, head_lines, stage_line, undelivered_lines, waiting_lines
from interlock.cli.words import ended, gate_name, in_a_line, moment, nearly_used, next_commands, safe, short
from interlock.core.events import VerdictStatus
from interlock.core.feedback import passed_limit
from interlock.core.pipeline import ARTIFACTS
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptPhase, AttemptView
from interlock.readmodel.reasons import WITH_HEADLINE, Reason, alike, headline
from interlock.readmodel.run import RunPhase, RunView, StageView
from interlock.service.formats import count, spent
from interlock.text.cleaning import without_place
from interlock.text.names import person, rejected_by

if TYPE_CHECKING:
    from interlock.gates.locks import WaitingWork
    from interlock.notify import Undelivered
    from interlock.ports import Change

_REASONS_MAX = 4
_GROUPS_MAX = 2  # of attempts of a stage that ended alike
_FILES_MAX = 3
_ANSWERS_MAX = 5
_STAGES_MAX = 9  # more are folded
_NARROWEST = 20
_LINE = 160  # characters, where the width is not known
_UNSUCCESSFUL = (AttemptPhase.REJECTED, AttemptPhase.ERRORED, AttemptPhase.LOST)
_FOLDED = {Phase.ACCEPTED: ("✓", "green", "accepted"), Phase.SKIPPED: ("-", "bright_black", "skipped"),
           Phase.WAITING: ("·", "bright_black", "to come")}  # fmt: skip
_DASH = "\u2013"


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of a run beside its history. `up_to` names what `changes` lead to from the run's base; `width` is
    that of the terminal, 0 for none."""

    held_up: Sequence[WaitingWork] = ()
    unread: bool = False  # an answer is in the inbox
    undelivered: Sequence[Undelivered] = ()
    changes: Sequence[Change] = ()
    up_to: str = ""
    width: int = 0

    @property
    def room(self) -> int:
        return self.width or _LINE


def status_page(view: RunView, around: Around) -> Iterator[str]:
    """State, what to do, why, and each stage."""
    yield from head_lines(view)
    yield from _to_do(view, around)
    yield from _why(view, around)
    yield f"spent    {spent(view)}"
    yield from _near(view)
    yield ""
    yield from _stages(view, around)


def run_page(view: RunView, around: Around) -> Iterator[str]:
    """As `status_page`, with what changes, what was rejected on the way, and the answers of people."""
    yield from head_lines(view)
    yield f"task     {safe(view.task, around.room - 9)}"
    yield from _to_do(view, around)
    yield from _why(view, around)
    yield from _changes(view, around)
    yield f"spent    {spent(view)}"
    yield from _near(view)
    yield from undelivered_lines(view, around.undelivered)
    yield ""
    yield from _stages(view, around, history=True)
    yield from answer_lines(view, _ANSWERS_MAX, short_names=True)
    yield ""
    yield f"details: interlock show {view.id} [--full | STAGE | STAGE/1.2]"


# --- what to do, and why --------------------------------------------------------------------------


def _to_do(view: RunView, around: Around) -> Iterator[str]:
    match view.phase:
        case RunPhase.ACCEPTED if view.branch:
            yield f"result   branch {safe(view.branch)} at {short(view.commit)}"
        case RunPhase.STOPPED | RunPhase.CANCELLED:
            yield f"ended    {ended(view.phase, view.why)}"
        case RunPhase.SLEEPING:
            since = f"since {moment(view.sleeps_since)}, " if view.sleeps_since else ""
            yield f"state    waits {since}until {moment(view.sleeps_until)}: {safe(view.why)}"
        case RunPhase.INTERRUPTED:
            yield f"state    {safe(view.why) or 'no process runs it'}"
        case _:
            pass
    for line in next_commands(view):
        if line != f"next: interlock show {view.id}":
            is_command = line.startswith(("  ", "next: ", "      "))
            yield from [line] if is_command else _wrapped(line, around.width)
    if around.unread and view.is_remote:
        yield f"an answer waits here until the server takes it: `interlock resume {view.id}` sends it"
    elif around.unread and view.owner:
        yield "an answer waits in the inbox until the process of the run reads it; if that process hangs:"
        yield f"  interlock resume --take-over {view.id}"
    elif around.unread:
        yield "an answer waits in the inbox until the run continues"


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of `text`; one where no terminal says how wide they may be."""
    return textwrap.wrap(text, width) if width > _NARROWEST else [text]


def _near(view: RunView) -> Iterator[str]:
    yield from (f"         {click.style(used, fg='yellow')}" for used in nearly_used(view))


def _why(view: RunView, around: Around) -> Iterator[str]:
    """Each reason once: a pause that says the same is not repeated."""
    said = " ".join(in_a_line(wait.detail, 1000) for wait in view.waits)
    left = [reason for reason in view.reasons if not reason.message or in_a_line(_headline(reason), 200) not in said]
    label = "why"
    for reason in left[:_REASONS_MAX]:
        tone = "red" if reason.hard else "yellow"
        folded = len(left) > 1 and around.width > _NARROWEST
        said = _reason(view, reason, around.width - 9 if folded else 0)
        for line in [said] if folded else _wrapped(said, around.width - 9):
            yield f"{label:<8} {click.style(line, fg=tone)}"
            label = ""
    if len(left) > _REASONS_MAX:
        yield f"         and {len(left) - _REASONS_MAX} more"


def _reason(view: RunView, reason: Reason, room: int) -> str:
    """`code/1.1-1.3 rejected by test: tests/test_a.py:3 1 != 2 (same 3 times)`, in at most `room` characters; 0: in as
    many as it needs."""
    gate = gate_name(reason.gate, reason.stage)
    where = reason.file + (f":{reason.line}" if reason.line else "") if reason.file else ""
    message = without_place(_headline(reason), reason.file, reason.line)
    named = "" if where and message.startswith(where) else where
    more = f" (and {reason.findings - 1} more)" if reason.findings > 1 else ""
    same = f" (same {reason.times} times)" if reason.times > 1 else ""
    about = _about(view, reason)
    if reason.limited:
        return f"{about} {in_a_line(message, room or 200)}{same}"
    how = f"{about} {_how(view, reason, gate)}" if about else _how(view, reason, gate)
    said = " ".join(part for part in (named, message.strip()) if part)
    said = said.removeprefix("rejected ") if reason.by else said
    if room:
        how, same = how if reason.by else how.replace(" rejected by ", " "), same.replace("(same ", "(")
    most = min(200, max(_NARROWEST, room - len(f"{how}: {more}{same}"))) if room else 200
    return f"{how}: {in_a_line(said or 'no reason given', most)}{more}{same}"


def _headline(reason: Reason) -> str:
    """Of a message with a failure or a program's output the line that says what is wrong, or its ends."""
    lines = reason.message.strip().splitlines()
    return lines[0] if reason.rule in WITH_HEADLINE and lines and lines[1:2] != ["..."] else reason.message


def _about(view: RunView, reason: Reason) -> str:
    if not reason.attempt:
        return f"{reason.stage} input:" if reason.stage else "base:"
    ended = [each for each in view.stage(reason.stage).attempts if each.phase is not AttemptPhase.WORKING]
    place = next((at for at, each in enumerate(ended) if str(each.id) == reason.attempt), None)
    if place is None or reason.times < 2:
        return reason.attempt
    first = str(ended[max(0, place - reason.times + 1)].id)
    return f"{first}{_DASH}{reason.attempt.rpartition('/')[2]}"


def _how(view: RunView, reason: Reason, gate: str) -> str:
    attempts = {str(each.id): each.phase for each in view.stage(reason.stage).attempts} if reason.attempt else {}
    phase = attempts.get(reason.attempt)
    if not gate:
        return str(phase or "ended")
    if reason.by:
        return f"rejected by {person(reason.by)}"
    if reason.status is VerdictStatus.ERRORED:
        return f"gate {gate} errored"
    return f"rejected by {gate}" if phase is AttemptPhase.REJECTED else f"gate {gate} failed"


# --- what changes, and how it went ----------------------------------------------------------------


def _changes(view: RunView, around: Around) -> Iterator[str]:
    if not around.up_to:
        return
    first, *others = change_lines(around.changes, around.up_to, around.room)
    yield f"changes  {first}"
    yield from (f"         {line}" for line in others)
    if around.changes:
        yield f"         interlock diff {view.id} base {around.up_to}"


def change_lines(every: Sequence[Change], up_to: str, room: int, most: int = _FILES_MAX) -> Iterator[str]:
    """How much changes from the base, then the files with their sizes. Documents are counted apart."""
    documents = [each for each in every if each.path.startswith(f"{ARTIFACTS}/")]
    changes = [each for each in every if each not in documents]
    added, removed = (sum(getattr(each, name) or 0 for each in changes) for name in ("added", "removed"))
    size = f"{count(len(changes), 'file')}, +{added} -{removed}" if changes else "nothing"
    beside = f" and {count(len(documents), 'document')}, not delivered" if documents else ""
    yield f"{size}{beside}, base to {up_to}"
    for change in changes[:most]:
        yield f"{change.status} {safe(change.path, room - 30)} +{change.added} -{change.removed}"
    if len(changes) > most:
        yield f"and {count(len(changes) - most, 'more file')}"


def _stages(view: RunView, around: Around, *, history: bool = False) -> Iterator[str]:
    """Each stage; of many, those that are finished or to come are folded, if nothing was rejected in them."""
    fold = len(view.stages) > _STAGES_MAX
    folded: dict[Phase, list[str]] = {}
    for stage in view.stages:
        if fold and stage.phase in _FOLDED and not (history and any(_past(view, stage))):
            folded.setdefault(stage.phase, []).append(stage.id)
            continue
        yield stage_line(stage, view.phase, around.held_up, is_pause_told=True)
        yield from waiting_lines(stage, around.held_up)
        if history:
            yield from _history(view, stage, around)
    for phase, names in folded.items():
        mark, tone, word = _FOLDED[phase]
        line = f"{count(len(names), 'stage')} {word}: {', '.join(names)}"
        yield f"{click.style(mark, fg=tone)} {safe(line, around.room - 2)}"


def _past(view: RunView, stage: StageView) -> list[Sequence[AttemptView]]:
    """What was rejected, errored or lost on the way and is not in the reasons."""
    told = {reason.attempt: reason.times for reason in view.reasons if reason.stage == stage.id}
    left = [each for each in stage.attempts if each.phase in _UNSUCCESSFUL]
    groups = list(alike(left))
    if groups and str(groups[-1][-1].id) in told:
        groups.pop()
    return groups


def _history(view: RunView, stage: StageView, around: Around) -> Iterator[str]:
    groups = _past(view, stage)
    if len(groups) > _GROUPS_MAX:
        earlier = sum(len(group) for group in groups[:-_GROUPS_MAX])
        yield f"    {count(earlier, 'attempt')} before"
    for group in groups[-_GROUPS_MAX:]:
        yield f"    {safe(_group(group), around.room - 4)}"


def _group(group: Sequence[AttemptView]) -> str:
    first, last = (str(attempt.id).rpartition("/")[2] for attempt in (group[0], group[-1]))
    which = first if len(group) == 1 else f"{first}{_DASH}{last}"
    newest = group[-1]
    failed = [each.verdict for each in newest.verdicts if each.verdict.status is not VerdictStatus.PASSED]
    same = f" ({len(group)} times)" if len(group) > 1 else ""
    if not failed:
        return f"{which} {newest.phase}{same}: {in_a_line(newest.why, 140) or 'it changed nothing'}"
    verdict = failed[0]
    if limit := passed_limit(verdict):
        return f"{which} {in_a_line(limit, 240)}{same}"
    gate = gate_name(verdict.gate, newest.id.stage)
    finding = headline(verdict.findings[0]) if verdict.findings else None
    if verdict.by and finding:
        return f"{which} {in_a_line(rejected_by(verdict.by, finding.message), 240)}{same}"
    where = f"{finding.file}:{finding.line} " if finding and finding.file and finding.line else ""
    message = without_place(finding.message, finding.file, finding.line).strip() if finding else "no reason given"
    said = in_a_line(message, 200)
    return f"{which} {newest.phase} by {gate}{same}: {'' if said.startswith(where.strip()) else where}{said}"
