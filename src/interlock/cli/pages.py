"""Runs, stages and attempts as text for people. Rule: blocked is never shown as passed; claims are shown as claims.

Every page shows overrides and the sandbox level, because they say how far a verdict can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from interlock.cli.lines import answer_words
from interlock.cli.words import (
    ATTEMPT_TONES,
    MARKS,
    RUN_TONES,
    clock,
    closing,
    gate_name,
    in_a_line,
    moment,
    nearly_used,
    place,
    run_word,
    safe,
    short,
    stage_look,
    traits,
)
from interlock.core.events import Finding, VerdictStatus
from interlock.core.feedback import passed_limit
from interlock.core.ids import parse_attempt
from interlock.core.joins import conflict_text
from interlock.core.state import Phase, Spending
from interlock.readmodel.history import AttemptPhase, AttemptView, Reply, VerdictView, taken_before
from interlock.readmodel.reasons import has_output, headline
from interlock.readmodel.run import NOT_BEGUN, RunPhase, RunView, StageView, attempt_word
from interlock.service.formats import count, done, duration, paid, spent, usage
from interlock.text.cleaning import without_place

if TYPE_CHECKING:
    from interlock.gates.locks import WaitingWork
    from interlock.notify import Undelivered

_LINES_MAX = 2  # of a finding, beyond its first
_LINES_DEEP_MAX = 12
_FINDINGS_MAX = 50
_WAITS_MAX = 60  # characters; the closing lines have the whole text
_NOTHING = "-"
_QUEUED = "queued"


def full_page(
    view: RunView, undelivered: Sequence[Undelivered] = (), held_up: Sequence[WaitingWork] = ()
) -> Iterator[str]:
    """The whole run, with notifications that were not delivered, and what waits for a slot."""
    yield from head_lines(view)
    yield f"task     {safe(view.task, 400)}"
    yield f"base     {view.base_commit}"
    yield f"started  {moment(view.started_at)}"
    yield f"spent    {spent(view)}"
    yield from _costs(view)
    if view.refused:
        yield f"refused  {view.refused} reports or answers came too late and had no effect"
    yield from undelivered_lines(view, undelivered)
    for verdict in view.base_verdicts:
        yield from _verdict(verdict, "base")
    for stage in view.stages:
        yield ""
        yield from _stage(stage, view.phase, held_up)
    yield from answer_lines(view)
    yield ""
    yield from (line for line in closing(view) if line != f"next: interlock show {view.id}")  # this page


def answer_lines(view: RunView, most: int = 1_000, *, short_names: bool = False) -> Iterator[str]:
    """The newest answers of people with their words, and what became of them. A short name is without the address."""
    if not view.replies:
        return
    yield ""
    if len(view.replies) > most:
        yield f"{count(len(view.replies) - most, 'answer')} before"
    yield from (_answer(view, reply, short_names=short_names) for reply in view.replies[-most:])


def _answer(view: RunView, reply: Reply, *, short_names: bool) -> str:
    given = replace(reply.answer, by=reply.answer.by.partition(" (")[0]) if short_names else reply.answer
    mark = click.style("✗", fg="red") if reply.refused else click.style("✓", fg="green")
    about = str(reply.answer.subject) if reply.answer.subject else reply.answer.stage
    said = f"{mark} {clock(reply.at)} {about + ': ' if about else ''}{answer_words(given)}"
    if not reply.refused:
        return said
    before = taken_before(view.replies, reply)
    first = (
        f" ({safe(before.answer.by, 60)} had answered {before.answer.action} {duration(reply.at - before.at)} before)"
        if before
        else ""
    )
    return f"{said}; refused: {safe(reply.refused)}{first}"


def undelivered_lines(view: RunView, undelivered: Sequence[Undelivered]) -> Iterator[str]:
    for item in undelivered:
        why = safe(item.why) or "no try has finished yet"
        text = f"{safe(item.channel, 100)}, {item.event} at {moment(item.at)}: {why}"
        yield f"not sent {click.style(text, fg='yellow')}"
    if undelivered:
        yield f"         sent again when the run continues: interlock resume {view.id}"


def _costs(view: RunView) -> Iterator[str]:
    """The cost by stage and by agent, if there are several, and of rejected work."""
    for words, shares in (("by stage", view.costs.by_stage), ("by agent", view.costs.by_agent)):
        for share in shares if len(shares) > 1 else ():
            yield f"         {words} {safe(share.of, 60)}: {_amount(share.spent, share.reviews)}"
    lost = view.costs.rejected
    if lost.attempts or lost.tokens:
        yield f"         on rejected work: {_amount(lost)}"
    for used in nearly_used(view):
        yield f"         {click.style(used, fg='yellow')}"


def _amount(spent: Spending, reviews: int = 0) -> str:
    return ", ".join([done(spent.attempts, reviews), *paid(spent)])


def stage_page(view: RunView, stage: StageView) -> Iterator[str]:
    yield from head_lines(view)
    yield from _stage(stage, view.phase)


def attempt_page(view: RunView, attempt: AttemptView) -> Iterator[str]:
    """One attempt with its digests."""
    yield from head_lines(view)
    yield from _attempt(attempt, view.phase, deep=True)
    yield ""
    yield f"next: interlock logs {view.id} {attempt.id}"
    if attempt.commit:
        yield f"      interlock diff {view.id} base {attempt.id}"
        yield f"      interlock shell {view.id}/{attempt.id}"


def _stage(stage: StageView, run: RunPhase, held_up: Sequence[WaitingWork] = ()) -> Iterator[str]:
    """With all its attempts."""
    yield stage_line(stage, run, held_up)
    yield from waiting_lines(stage, held_up)
    if stage.input and stage.input.conflicts:
        yield f"    input: {safe(conflict_text(stage.input))}"
    for verdict in stage.input_verdicts:
        yield from _verdict(verdict, stage.id, "on its input: ")
    first_with: dict[str, AttemptView] = {}
    for attempt in stage.attempts:
        queued = _is_queued(attempt, held_up)
        yield from _attempt(attempt, run, before=first_with.get(attempt.why), queued=queued)
        first_with.setdefault(attempt.why, attempt)


def head_lines(view: RunView) -> Iterator[str]:
    phase = click.style(run_word(view), fg=RUN_TONES[view.phase], bold=True)
    owner = f", controlled by {safe(view.owner)}" if view.owner else ""
    yield f"run {view.id}  {phase}  {view.pipeline}, sandbox {view.sandbox}{owner}"
    if view.overrides:
        overrides = "; ".join(_override(view.attempt(parse_attempt(name))) for name in view.overrides)
        yield click.style(f"OVERRIDDEN by a person: {overrides}", fg="red", bold=True)


def _override(attempt: AttemptView) -> str:
    """Which attempt, by whom, and over which gates."""
    newest = {view.verdict.gate: view.verdict for view in attempt.verdicts}.values()
    gates = [
        f"{gate_name(verdict.gate, attempt.id.stage)} ({'hard' if verdict.hard else 'soft'}) {verdict.status}"
        for verdict in newest
        if verdict.status is not VerdictStatus.PASSED
    ]
    over = f": {', '.join(gates)}" if gates else ""
    return f"{attempt.id} by {safe(attempt.override_by, 120)}{over}"


def stage_line(
    stage: StageView, run: RunPhase, held_up: Sequence[WaitingWork] = (), *, is_pause_told: bool = False
) -> str:
    """A stage whose worker waits for a slot is queued, not at work."""
    mark, tone, word = stage_look(stage, run)
    if stage.phase is Phase.WORKING and stage.attempts and _is_queued(stage.attempts[-1], held_up):
        mark, tone, word = "○", "bright_black", _QUEUED
    phase = click.style(f"{word:<9}", fg=tone)
    about = _state(stage, is_pause_told=is_pause_told) if word != NOT_BEGUN else ""
    return f"{click.style(mark, fg=tone)} {stage.id:<14} {phase} {about}".rstrip()


def waiting_lines(stage: StageView, held_up: Sequence[WaitingWork]) -> Iterator[str]:
    """What of the stage waits for a slot or a lock."""
    yield from (f"    {safe(held.about)} {safe(held.words)}" for held in held_up if held.stage == stage.id)


def _state(stage: StageView, *, is_pause_told: bool) -> str:
    """What to show of a stage beside its phase."""
    newest = stage.attempts[-1] if stage.attempts else None
    match stage.phase:
        case Phase.WAITING:
            return f"for {', '.join(stage.needs)}" if stage.needs else ""
        case Phase.SKIPPED:
            return safe(stage.skipped)
        case Phase.PAUSED if not is_pause_told:
            return in_a_line(stage.waits, _WAITS_MAX)
        case Phase.JUDGING if newest and newest.asked:
            return f"{newest.id} waits for a person: {', '.join(gate_name(gate, stage.id) for gate in newest.asked)}"
        case _:
            return f"{newest.id} {_worker(newest)}{_tests(newest)}{_overridden(newest)}".rstrip() if newest else ""


def _tests(attempt: AttemptView) -> str:
    """What the test report on it counts; of several that of a gate that failed, then the longest."""
    newest = {item.verdict.gate: item.verdict for item in attempt.verdicts if item.verdict.tests}
    said = sorted(newest.values(), key=lambda one: (one.status is VerdictStatus.FAILED, _number(one.tests)))
    more = f" (+{count(len(said) - 1, 'report')})" if len(said) > 1 else ""
    return f", {said[-1].tests}{more}" if said else ""


def _number(tests: str) -> int:
    return int("".join(filter(str.isdigit, tests.split(" ")[0])) or 0)


def _worker(attempt: AttemptView) -> str:
    if attempt.by:
        return f"by {safe(attempt.by, 120)}"
    model = f" ({safe(attempt.model, 60)})" if attempt.model else ""
    place = f" on {safe(attempt.worker, 120)}" if attempt.worker else ""
    return f"{attempt.agent}{model}{place}".strip()


def _overridden(attempt: AttemptView) -> str:
    return f" OVERRIDDEN by {safe(attempt.override_by, 120)}" if attempt.override_by else ""


def _attempt(
    attempt: AttemptView, run: RunPhase, *, deep: bool = False, before: AttemptView | None = None, queued: bool = False
) -> Iterator[str]:
    """`before` is an earlier attempt that ended for the same reason, which is shown there."""
    word = _QUEUED if queued else attempt_word(attempt, run)
    facts = [
        click.style(word, fg=ATTEMPT_TONES[attempt.phase]) + _overridden(attempt),
        _worker(attempt),
    ]
    if attempt.worked_s is not None:
        facts.append("cached" if attempt.cached else duration(attempt.worked_s))
    facts.append(usage(attempt.usage))
    yield f"  {attempt.id}  {', '.join(fact for fact in facts if fact)}"
    yield from _digests(attempt, deep=deep)
    if attempt.why:
        yield f"    why      {f'as {before.id}' if before is not None else in_a_line(attempt.why, 400)}"
    if attempt.outcome not in ("", "completed"):
        yield f"    ended    the agent {attempt.outcome.replace('_', ' ')}"
    if attempt.claim:
        yield f"    claims   {safe(attempt.claim, 2000 if deep else 160)}"
    yield from (f"    note     {safe(note, 400)}" for note in attempt.notes)
    for verdict in attempt.verdicts:
        yield from _verdict(verdict, attempt.id.stage, deep=deep)
    for gate in attempt.asked:
        yield f"    {click.style('?', fg='yellow')} {gate_name(gate, attempt.id.stage):<12} waits for a person"
    if attempt.phase is AttemptPhase.JUDGING and not attempt.asked:
        yield f"    {click.style('?', fg='cyan')} being judged"
    if attempt.sent_back_to:
        yield f"    sent back to {attempt.sent_back_to}"


def _is_queued(attempt: AttemptView, held_up: Sequence[WaitingWork]) -> bool:
    """Whether its worker waits for a slot."""
    return attempt.phase is AttemptPhase.WORKING and any(
        held.subject == str(attempt.id) and not held.gate for held in held_up
    )


def _digests(attempt: AttemptView, *, deep: bool) -> Iterator[str]:
    if not deep:
        if attempt.commit:
            yield f"    commit   {short(attempt.commit)}"
        return
    yield f"    began    {moment(attempt.started_at)} from tree {attempt.input_tree or _NOTHING}"
    if attempt.sandbox:
        yield f"    sandbox  {attempt.sandbox}"
    yield f"    commit   {attempt.commit or _NOTHING}"
    yield f"    tree     {attempt.tree or _NOTHING}"
    if attempt.record:
        yield f"    record   {attempt.record}"
    for item in attempt.evidence:
        yield f"    evidence {item.name} {item.digest} ({item.size} bytes)"


def _verdict(view: VerdictView, stage: str, before: str = "", *, deep: bool = False) -> Iterator[str]:
    verdict = view.verdict
    mark, tone = MARKS[verdict.status]
    name = gate_name(verdict.gate, stage)
    prefix = "base: " if stage == "base" else before
    said = in_a_line(passed_limit(verdict), 400) or f"{name:<12} {verdict.status}{traits(verdict)}"
    yield f"    {click.style(mark, fg=tone)} {prefix}{said}"
    for finding in verdict.findings[:_FINDINGS_MAX]:
        yield from (f"        {line}" for line in _finding(finding, deep=deep))
    if len(verdict.findings) > _FINDINGS_MAX:
        yield f"        and {len(verdict.findings) - _FINDINGS_MAX} more: --json shows all"
    yield from (f"        note: {safe(note, 400)}" for note in verdict.notes)
    if deep:
        level = f", sandbox {verdict.sandbox}" if verdict.sandbox else ""
        level += f", on {safe(verdict.worker, 120)}" if verdict.worker else ""
        yield f"        {clock(view.at)}, key {verdict.digest or _NOTHING}{level}"
        for item in verdict.evidence:
            yield f"        evidence {item.name} {item.digest} ({item.size} bytes)"


def _finding(finding: Finding, *, deep: bool) -> Iterator[str]:
    """What it says first, and some of the other lines; `logs` has the rest. The end of an output is never left out."""
    top = headline(finding) if has_output(finding) else finding
    where = place(top)
    severity = "" if finding.severity == "error" else f"{finding.severity}: "
    rule = f" [{safe(finding.rule, 80)}]" if finding.rule else ""
    hidden = " (held out)" if finding.secret else ""
    message = without_place(finding.message, finding.file, finding.line).strip()
    first, *others = message.splitlines() or [""]
    if top is not finding:
        first, others = without_place(top.message, top.file, top.line), [first, *others]
    yield f"{where + ': ' if where else ''}{severity}{safe(first, 400)}{rule}{hidden}"
    shown = [line for line in others if line.strip()]
    most = _LINES_DEEP_MAX if deep else _LINES_MAX
    if len(shown) > most and has_output(finding):
        shown = [shown[0], "...", *shown[1 - most :]]
    yield from (f"    {safe(line, 200)}" for line in (shown if has_output(finding) else shown[:most]))
