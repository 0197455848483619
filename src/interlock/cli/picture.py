"""What the live view draws of a run: what waits for a person, then what works, then the rest folded. Pure.

Rule: no line is wider than the screen, and no picture higher. What is at work is never left out while it fits; less
important lines (old rejections, gate marks, stages to come) are left out first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from interlock.cli.verdicts import verdict_words
from interlock.cli.words import MARKS, RUN_TONES, gate_name, in_a_line, nearly_used, run_word, safe, stage_look
from interlock.core.events import VerdictStatus
from interlock.core.ids import AttemptId, base_of
from interlock.core.pipeline import GateKind, Pipeline
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptPhase, AttemptView, VerdictView
from interlock.readmodel.reasons import alike
from interlock.readmodel.run import OVER, RunPhase, RunView, StageView, WaitView, attempt_word
from interlock.service.formats import count, duration, paid

_REJECTIONS_SHOWN = 2
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FINISHED = (Phase.ACCEPTED, Phase.SKIPPED)
_RESTING = (Phase.PAUSED, *_FINISHED)
_CELLS = 5
_END = "\n"
_SUBJECT, _NOW, _GATES, _PAST = 0, 1, 2, 3  # how important a further line is; the first are never left out


@dataclass(frozen=True, slots=True)
class Frame:
    """The room for a picture. `question` is what a key answers now, `said` what became of the last key. The last
    picture stays on the screen: of a run that is over it shows every stage, and what waits is printed after it."""

    width: int
    height: int
    question: str = ""
    asked: tuple[str, str] = ("", "")  # subject and gate of the question
    said: str = ""
    last: bool = False
    changes: tuple[str, ...] = ()  # what is asked about changes


@dataclass(frozen=True, slots=True)
class Moment:
    """A run at `now` (unix seconds); `activity` gives the newest output of an attempt."""

    pipeline: Pipeline
    view: RunView
    now: float
    activity: Callable[[AttemptId], str]


@dataclass(slots=True)
class _Block:
    """The lines of one subject, in the order of the screen; each with its importance."""

    lines: list[tuple[int, Text]] = field(default_factory=list)

    def add(self, importance: int, line: Text) -> None:
        self.lines.append((importance, line))

    @property
    def height(self) -> int:
        """The lines that are never left out."""
        return sum(importance == _SUBJECT for importance, _ in self.lines)


def picture(moment: Moment, frame: Frame) -> list[Text]:
    """The lines of the screen, from its top."""
    view = moment.view
    head, total = [_head(moment), *_warnings(view)], [_total(moment)]
    if frame.last and view.phase in OVER:
        body = [line for block in _stages(moment, view.stages, frame.width) for _, line in block.lines]
    else:
        body = _body(moment, frame, max(1, frame.height - len(head) - len(total)))
    lines = [*head, *body, *total]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
        line.truncate(frame.width, overflow="ellipsis")
    return lines


def _body(moment: Moment, frame: Frame, room: int) -> list[Text]:
    """As much as `room` lines hold."""
    stages = moment.view.stages
    done = [stage for stage in stages if stage.phase in _FINISHED]
    to_come = [stage for stage in stages if stage.phase is Phase.WAITING]
    active = [stage for stage in stages if stage not in done and stage not in to_come]
    waits = [] if frame.last else [_wait(wait, frame) for wait in moment.view.waits]
    said = [_one(Text(frame.said, style="bold"))] if frame.said else []
    rest = _stages(moment, to_come, frame.width)
    end = _folded(done, "✓", "green") if len(done) > 1 else _stages(moment, done, frame.width)
    before = [*waits, *said, *_stages(moment, active, frame.width)]
    if len(rest) > 1 and sum(len(block.lines) for block in (*before, *rest, *end)) > room:
        rest = _folded(to_come, "·", "dim")
    after = [*rest, *end]
    return _fitted([*_cut(before, room - sum(block.height for block in after)), *after], room)


def _cut(blocks: list[_Block], room: int) -> list[_Block]:
    """The blocks whose subjects fit; the others as a count."""
    if sum(block.height for block in blocks) <= room:
        return blocks
    kept: list[_Block] = []
    for block in blocks:
        if sum(each.height for each in kept) + block.height > room - 1:
            break
        kept.append(block)
    return [*kept, _one(Text(f"… and {len(blocks) - len(kept)} more", style="dim"))]


def _fitted(blocks: Sequence[_Block], room: int) -> list[Text]:
    """The most important lines, in the order of the screen."""
    ranked = [
        (importance, number, place)
        for number, block in enumerate(blocks)
        for place, (importance, _) in enumerate(block.lines)
    ]
    kept = {(number, place) for _, number, place in sorted(ranked)[:room]}
    return [
        line
        for number, block in enumerate(blocks)
        for place, (_, line) in enumerate(block.lines)
        if (number, place) in kept
    ]


# --- what the lines are ---------------------------------------------------------------------------


def _head(moment: Moment) -> Text:
    view = moment.view
    head = Text(f"{view.pipeline} ", style="bold")
    head.append(f"{view.id} ", style="default")
    head.append(run_word(view), style=f"bold {RUN_TONES[view.phase]}")
    if view.phase is RunPhase.SLEEPING:
        head.append(f" for {duration(view.sleeps_until - moment.now)}: {safe(view.why, 60)}")
    return head


def _warnings(view: RunView) -> Iterator[Text]:
    if view.overrides:
        yield Text(f"OVERRIDDEN {', '.join(view.overrides)}", style="bold red")
    for near in nearly_used(view):
        yield Text(near, style="bold yellow")


def _total(moment: Moment) -> Text:
    """What the run used: attempts, tokens, money, time."""
    view = moment.view
    used = [
        f"{view.spent.attempts} of {moment.pipeline.limits.attempts} attempts",
        *paid(view.spent),
        f"{duration((view.at if view.phase in OVER else moment.now) - view.started_at)} since the start",
    ]
    return Text(f"total {', '.join(used)}  sandbox {view.sandbox}", style="dim")


def _one(line: Text) -> _Block:
    return _Block([(_SUBJECT, line)])


def _wait(wait: WaitView, frame: Frame) -> _Block:
    """What waits, and how to answer it: by key, else by command."""
    about = wait.subject or wait.stage or "the run"
    block = _Block()
    if wait.reason == "approval":
        gate = gate_name(wait.gate, wait.stage)
        block.add(_SUBJECT, Text(f"? {about} waits for you, {gate}: {safe(wait.detail)}", style="bold yellow"))
    else:
        why = f"‖ {about} is paused ({wait.reason.replace('_', ' ')}): {in_a_line(wait.detail)}"
        block.add(_SUBJECT, Text(why, style="bold yellow"))
    if frame.question and frame.asked == (wait.subject, wait.gate):
        for number, change in enumerate(frame.changes):
            block.add(_PAST if number else _GATES, Text(f"  {'  ' if number else ''}{safe(change)}"))
        block.add(_SUBJECT, Text(f"  {frame.question.removeprefix(f'{about}: ')}", style="yellow"))
        return block
    for command in wait.commands:
        block.add(_NOW, Text(f"  {command}", style="yellow"))
    return block


def _folded(stages: Sequence[StageView], mark: str, style: str) -> list[_Block]:
    """One line for all of them."""
    phases = [(Phase.ACCEPTED, "accepted"), (Phase.SKIPPED, "skipped"), (Phase.WAITING, "to come")]
    numbers_of = [(sum(stage.phase is phase for stage in stages), word) for phase, word in phases]
    (first, word), *others = [(number, word) for number, word in numbers_of if number]
    words = ", ".join([f"{count(first, 'stage')} {word}", *(f"{number} {word}" for number, word in others)])
    return [_one(Text(f"{mark} {words}: {', '.join(stage.id for stage in stages)}", style=style))]


def _stages(moment: Moment, stages: Sequence[StageView], width: int) -> list[_Block]:
    """A block for each: its row, gates, rejections, and newest output."""
    rows = {stage.id: _row(stage, moment.view.phase, moment.now) for stage in moment.view.stages}
    widths = [max(len(row[column]) for row in rows.values()) for column in range(_CELLS)] if rows else []
    blocks = []
    for stage in stages:
        block = _Block()
        lines = _stage_lines(_joined(rows[stage.id], widths), _marks(moment.pipeline, stage), width)
        for number, line in enumerate(lines):
            block.add(_GATES if number else _SUBJECT, line)
        for line in _rejections(stage):
            block.add(_PAST, line)
        if stage.phase not in _RESTING and (newest := moment.activity(_subject(stage))):
            block.add(_NOW, Text(f"  │ {safe(newest)}", style="dim"))
        blocks.append(block)
    return blocks


def _stage_lines(row: Text, marks: list[Text], width: int) -> Iterator[Text]:
    """The row with its gate marks, which get lines of their own if the screen is too narrow."""
    whole = Text("  ").join([row, *marks]) if marks else row
    if whole.cell_len <= width:
        yield whole
        return
    yield row
    line = Text("   ")
    for mark in marks:
        if line.cell_len + 1 + mark.cell_len > width and len(line) > len("   "):
            yield line
            line = Text("   ")
        line.append(" ").append_text(mark)
    if marks:
        yield line


def _joined(row: tuple[Text, ...], widths: list[int]) -> Text:
    """The cells side by side, each as wide as its column."""
    line = Text()
    for cell, width in zip(row, widths, strict=True):
        if width:
            line.append_text(cell).append(" " * (width + 1 - len(cell)))
    line.rstrip()
    return line


def _subject(stage: StageView) -> AttemptId:
    """What is at work: the newest attempt, or the gates on the base."""
    return stage.attempts[-1].id if stage.attempts else base_of(stage.id)


def _newest(stage: StageView) -> AttemptView | None:
    """The newest attempt of the current epoch."""
    return stage.attempts[-1] if stage.attempts and stage.attempts[-1].id.epoch == stage.epoch else None


def _row(stage: StageView, run: RunPhase, now: float) -> tuple[Text, ...]:
    """What matters most comes first: the end is cut on a narrow screen."""
    mark, tone, word = stage_look(stage, run)
    if word == Phase.WORKING or (word == Phase.JUDGING and not _waits_for_person(stage)):
        mark = _SPINNER[int(now * 8) % len(_SPINNER)]
    newest = _newest(stage)
    style = tone.replace("bright_black", "dim")
    number = str(newest.id).rpartition("/")[2] if newest else ""
    return (
        Text(f"{mark} {stage.id}", style=style),
        _word(stage, word, style),
        Text(number, style="dim"),
        Text(_time(newest, run, now) if newest else ""),
        Text(_who(stage, newest), style="dim"),
    )


def _waits_for_person(stage: StageView) -> bool:
    return bool(stage.attempts and stage.attempts[-1].asked)


def _who(stage: StageView, newest: AttemptView | None) -> str:
    if newest is None or not newest.agent:
        return safe(newest.by, 40) if newest and newest.by else stage.worker
    return f"{newest.agent} ({safe(newest.model, 40)})" if newest.model else newest.agent


def _time(attempt: AttemptView, run: RunPhase, now: float) -> str:
    if attempt.cached:
        return "cached"
    if attempt_word(attempt, run) == AttemptPhase.WORKING:
        return duration(now - attempt.started_at)
    return "" if attempt.worked_s is None else duration(attempt.worked_s)


def _word(stage: StageView, word: str, style: str) -> Text:
    if word == Phase.JUDGING and _waits_for_person(stage):
        return Text("waits for you", style="yellow")
    return Text("" if word == Phase.WAITING else word, style=style)


def _marks(pipeline: Pipeline, stage: StageView) -> list[Text]:
    """The gates with their results, in the order of the file; gates that are still to be asked are grey."""
    match stage.phase:
        case Phase.WAITING:
            return [Text(f"waits for {', '.join(stage.needs)}", style="dim")] if stage.needs else []
        case Phase.SKIPPED:
            return [Text(safe(stage.skipped), style="dim")]
        case Phase.PAUSED:
            return []  # what it waits for is said above
        case _:
            return list(_gates(pipeline, stage, _newest(stage)))


def _gates(pipeline: Pipeline, stage: StageView, newest: AttemptView | None) -> Iterator[Text]:
    verdicts = {view.verdict.gate: view for view in newest.verdicts} if newest else {}
    names = [f"{stage.id}/{gate.id}" for gate in pipeline.stage(stage.id).gates if gate.kind != GateKind.SCOPE]
    for name in [*(gate for gate in verdicts if gate not in names), *names]:
        yield _gate(name, stage.id, verdicts.get(name), is_asked=newest is not None and name in newest.asked)
    if newest is not None and newest.override_by:
        yield Text(f"OVERRIDDEN by {safe(newest.override_by, 60)}", style="bold red")


def _gate(name: str, stage: str, view: VerdictView | None, *, is_asked: bool) -> Text:
    shown = gate_name(name, stage)
    if view is None:
        return Text(f"? {shown}", style="yellow") if is_asked else Text(f"· {shown}", style="dim")
    mark, tone = MARKS[view.verdict.status]
    extra = "".join(
        f" ({word})" for word, holds in (("cached", view.verdict.cached), ("flaky", view.verdict.flaky)) if holds
    )
    return Text(f"{mark} {shown}{extra}", style=tone)


def _rejections(stage: StageView) -> Iterator[Text]:
    """Why the last attempts were rejected, failed or were lost; attempts that ended alike in one line."""
    unsuccessful = [
        item
        for item in stage.attempts
        if item.phase in (AttemptPhase.REJECTED, AttemptPhase.ERRORED, AttemptPhase.LOST)
    ]
    for group in list(alike(unsuccessful))[-_REJECTIONS_SHOWN:]:
        newest = group[-1]
        failed = [view.verdict for view in newest.verdicts if view.verdict.status is not VerdictStatus.PASSED]
        why = verdict_words(failed[0]) if failed else f"{newest.phase}: {safe(newest.why.partition(_END)[0])}"
        yield Text(f"  └ {numbers(group)} {why}", style="dim")


def numbers(group: Sequence[AttemptView]) -> str:
    """`1.2`; of attempts in a row the first and the last."""
    first, last = (str(attempt.id).rpartition("/")[2] for attempt in (group[0], group[-1]))
    return first if len(group) == 1 else f"{first}\u2013{last}"
