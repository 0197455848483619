"""The live view: the stages with phase, attempt, worker, duration, cost, gate marks, and the newest line of output.

Rule: the run is drawn from its view alone; output of an attempt is never more than one harmless line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from interlock.agents.logs import readable
from interlock.agents.program import log_path
from interlock.bootstrap import Application
from interlock.cli.lines import verdict_words
from interlock.cli.words import MARKS, RUN_TONES, gate_name, nearly_used, safe, stage_look, waiting
from interlock.core.events import Recorded, VerdictStatus
from interlock.core.ids import AttemptId, base_of
from interlock.core.pipeline import GateKind, Pipeline
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptPhase, AttemptView, VerdictView
from interlock.readmodel.run import OVER, RunPhase, RunView, StageView
from interlock.service import Service
from interlock.service.formats import duration, paid, usage
from interlock.text.cleaning import ending

_FRESH_S = 0.3  # the view is redrawn so often if no event comes
_REJECTIONS_SHOWN = 2
_END = "\n"
_RESTING = (Phase.PAUSED, Phase.ACCEPTED, Phase.SKIPPED)
_ALIGNED = 5  # columns before the gates
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class LiveScreen:
    """Redraws the run in place on `stream`; the last drawing stays."""

    def __init__(
        self, pipeline: Pipeline, run: str, service: Service, stream: TextIO, activity: Callable[[AttemptId], str]
    ) -> None:
        self._pipeline, self._run, self._service, self._activity = pipeline, run, service, activity
        self._console = Console(file=stream, highlight=False, soft_wrap=False)
        self._live: Live | None = None
        self._drawn_at = 0.0

    def __enter__(self) -> LiveScreen:
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="ellipsis")
        self._live.start()
        self._draw(time.time())
        return self

    def __exit__(self, *raised: object) -> None:
        if self._live is not None:
            self._draw(time.time(), last=True)
            self._live.stop()
            self._live = None

    def show(self, batch: Sequence[Recorded]) -> None:
        now = time.time()
        if batch or now - self._drawn_at >= _FRESH_S:
            self._draw(now)

    def _draw(self, now: float, *, last: bool = False) -> None:
        self._drawn_at = now
        if self._live is None:
            return
        view = self._service.describe_run(self._run)
        drawn = picture(self._pipeline, view, now, self._activity, width=self._console.width, last=last)
        self._live.update(drawn, refresh=True)


def picture(
    pipeline: Pipeline,
    view: RunView,
    now: float,
    activity: Callable[[AttemptId], str],
    *,
    width: int,
    last: bool = False,
) -> RenderableType:
    """The run at `now` (unix seconds), `width` columns wide; `activity` gives the newest output of an attempt. The last
    picture is without what waits: that is printed after it."""
    rows = [_row(stage, view.phase, now) for stage in view.stages]
    widths = [max(len(row[column]) for row in rows) for column in range(_ALIGNED)]
    lines = [_head(pipeline, view, now)]
    for stage, row in zip(view.stages, rows, strict=True):
        lines.extend(_stage_lines(_joined(row, widths), _marks(pipeline, stage), width))
        lines.extend(_rejections(stage))
        if stage.phase not in _RESTING and (newest := activity(_subject(stage))):
            lines.append(Text(f"  │ {safe(newest)}", style="dim"))
    if view.phase not in OVER and not last:
        lines.extend(Text(line, style="yellow") for wait in view.waits for line in waiting(wait))
    for line in lines[1:]:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _stage_lines(row: Text, marks: list[Text], width: int) -> Iterator[Text]:
    """The row with its gate marks, which get lines of their own if the screen is too narrow."""
    whole = Text("  ").join([row, *marks]) if marks else row
    if len(whole) <= width:
        yield whole
        return
    yield row
    line = Text("   ")
    for mark in marks:
        if len(line) + 1 + len(mark) > width and len(line) > len("   "):
            yield line
            line = Text("   ")
        line.append(" ").append_text(mark)
    if marks:
        yield line


def _joined(row: tuple[Text, ...], widths: list[int]) -> Text:
    """The cells side by side, each as wide as its column."""
    line = Text()
    for cell, width in zip(row, widths, strict=True):
        line.append_text(cell).append(" " * max(1, width + 1 - len(cell)))
    line.rstrip()
    return line


def _head(pipeline: Pipeline, view: RunView, now: float) -> Text:
    head = Text(f"{view.pipeline} ", style="bold")
    head.append(f"{view.id} ", style="default")
    head.append(view.phase, style=f"bold {RUN_TONES[view.phase]}")
    if view.phase is RunPhase.SLEEPING:
        head.append(f" for {duration(view.sleeps_until - now)}: {safe(view.why, 60)}")
    head.append(f"  {duration((view.at if view.phase in OVER else now) - view.started_at)}")
    used = [f"{view.spent.attempts} of {pipeline.limits.attempts} attempts", *paid(view.spent)]
    head.append(f"  {', '.join(used)}", style="dim")
    for near in nearly_used(view):
        head.append(f"  {near}", style="bold yellow")
    head.append(f"  sandbox {view.sandbox}", style="dim")
    if view.overrides:
        head.append(f"  OVERRIDDEN {', '.join(view.overrides)}", style="bold red")
    return head


def _subject(stage: StageView) -> AttemptId:
    """What is at work: the newest attempt, or the gates on the base."""
    return stage.attempts[-1].id if stage.attempts else base_of(stage.id)


def _newest(stage: StageView) -> AttemptView | None:
    """The newest attempt of the current epoch."""
    return stage.attempts[-1] if stage.attempts and stage.attempts[-1].id.epoch == stage.epoch else None


def _row(stage: StageView, run: RunPhase, now: float) -> tuple[Text, ...]:
    mark, tone, word = stage_look(stage, run)
    if word == Phase.WORKING or (word == Phase.JUDGING and not _waits_for_person(stage)):
        mark = _SPINNER[int(now * 8) % len(_SPINNER)]
    newest = _newest(stage)
    style = tone.replace("bright_black", "dim")
    number = str(newest.id).rpartition("/")[2] if newest else ""
    return (
        Text(f"{mark} {stage.id}", style=style),
        Text(number, style="dim"),
        Text(_who(stage, newest)),
        Text(_time(newest, now) if newest else ""),
        _word(stage, word, style),
    )


def _waits_for_person(stage: StageView) -> bool:
    return bool(stage.attempts and stage.attempts[-1].asked)


def _who(stage: StageView, newest: AttemptView | None) -> str:
    if newest is None or not newest.agent:
        return safe(newest.by, 40) if newest and newest.by else stage.worker
    return f"{newest.agent} ({safe(newest.model, 40)})" if newest.model else newest.agent


def _time(attempt: AttemptView, now: float) -> str:
    if attempt.cached:
        return "cached"
    open_end = now if attempt.phase is AttemptPhase.WORKING else attempt.started_at
    used = usage(attempt.usage)
    return duration((attempt.ended_at or open_end) - attempt.started_at) + (f", {used}" if used else "")


def _word(stage: StageView, word: str, style: str) -> Text:
    if word == Phase.JUDGING and _waits_for_person(stage):
        return Text("waits", style="yellow")
    return Text("" if word == Phase.WAITING else word, style=style)


def _marks(pipeline: Pipeline, stage: StageView) -> list[Text]:
    """The gates with their results, in the order of the file; gates that are still to be asked are grey."""
    match stage.phase:
        case Phase.WAITING:
            return [Text(f"waits for {', '.join(stage.needs)}", style="dim")] if stage.needs else []
        case Phase.SKIPPED:
            return [Text(safe(stage.skipped), style="dim")]
        case Phase.PAUSED:
            return [Text(safe(stage.waits), style="yellow")]
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
    """Why the last attempts were rejected, failed or were lost."""
    unsuccessful = [
        item
        for item in stage.attempts
        if item.phase in (AttemptPhase.REJECTED, AttemptPhase.ERRORED, AttemptPhase.LOST)
    ]
    for attempt in unsuccessful[-_REJECTIONS_SHOWN:]:
        failed = [view.verdict for view in attempt.verdicts if view.verdict.status is not VerdictStatus.PASSED]
        why = verdict_words(failed[0]) if failed else f"{attempt.phase}: {safe(attempt.why.partition(_END)[0])}"
        yield Text(f"  └ {str(attempt.id).rpartition('/')[2]} {why}", style="dim")


# --- the newest output of an attempt --------------------------------------------------------------

_TAIL_BYTES = 4_000
_LINE_MAX = 400


def activity(app: Application, run: str, attempt: AttemptId) -> str:
    """The slot or lock that the stage waits for, or the newest output of its attempt."""
    waits = (held.words for held in app.waiting_work(run) if held.stage == attempt.stage)
    return next(waits, "") or last_line(app, run, attempt)


def last_line(app: Application, run: str, attempt: AttemptId) -> str:
    """Empty if the attempt is not at work here, or printed nothing yet."""
    checkout = app.workspaces.checkout_root(run, attempt)
    if checkout is None:
        return ""
    try:
        with log_path(checkout).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            text = ending(readable(file.read().decode("utf-8", "replace")).encode(), _LINE_MAX)
    except OSError:
        return ""
    return text.rpartition("\n")[2].strip()
