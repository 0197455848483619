"""What agents wrote, as HTML (Markdown, and the lines of a diff in colours); the data of a run's graph and timeline.

Rule: no HTML of agents, no image, and no link but to the web gets through. A picture shows nothing that the page does
not say in words too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from markdown_it import MarkdownIt
from minijinja import safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

from interlock.core.pipeline import Pipeline
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptPhase, AttemptView
from interlock.readmodel.run import CUT_OFF, NOT_BEGUN, OVER, RunPhase, RunView, StageView, stage_word
from interlock.text.cleaning import plain

_COLOURED_MAX = 500  # characters of a line
_LINES_MAX = 5_000
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)")


def markdown(text: str) -> str:
    """CommonMark with tables, as HTML."""
    return safe(_reader().render(text))


def coloured(text: str, file: str) -> str:
    """A line of `file`, with syntax highlighting; unchanged if the file's language is not known."""
    lexer = _lexer(file.rpartition("/")[2])
    if lexer is None or len(text) > _COLOURED_MAX:
        return text
    return safe(highlight(text, lexer, _formatter()).rstrip("\n"))


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    reader.validateLink = lambda url: url.lower().startswith(("https://", "http://", "#"))  # type: ignore[method-assign]
    return reader


@lru_cache(maxsize=256)
def _lexer(name: str) -> Lexer | None:
    try:
        return get_lexer_for_filename(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@cache
def _formatter() -> HtmlFormatter[str]:
    return HtmlFormatter(nowrap=True, classprefix="c-")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a diff. `anchor` is FILE:LINE of the new side, or empty; `sign` is the first character."""

    kind: str  # file | hunk | added | removed | same
    text: str
    anchor: str = ""
    sign: str = ""


def diff_lines(patch: bytes, more: str) -> Iterator[DiffLine]:
    """The lines of a patch; after 5,000 lines one that says `more`."""
    file, number = "", 0
    for count, text in enumerate(plain(patch.decode("utf-8", "replace"), 20_000_000).split("\n")):
        if count >= _LINES_MAX:
            yield DiffLine("hunk", f"more lines: {more}")
            return
        if text.startswith("+++ "):
            file, number = text.removeprefix("+++ ").removeprefix("b/"), 0
            yield DiffLine("file", text)
        elif found := _HUNK.match(text):
            number = int(found[1])
            yield DiffLine("hunk", text)
        elif not number or text.startswith("\\"):
            yield DiffLine("file", text)
        elif text.startswith("diff --git "):
            number = 0
            yield DiffLine("file", text)
        elif text.startswith("-"):
            yield DiffLine("removed", coloured(text[1:], file), sign="-")
        else:
            kind = "added" if text.startswith("+") else "same"
            yield DiffLine(kind, coloured(text[1:], file), f"{file}:{number}", text[:1])
            number += 1


# --- graph and timeline -------------------------------------------------------------------------


WIDTH = 1000.0  # units from the run's beginning to its end
_MARKS = 5
_SHOWN_MAX = 100  # attempts of a stage, the newest
_LEAST = 2.0  # units: shorter bars would not be visible


@dataclass(frozen=True, slots=True)
class Bar:
    """A duration, in units of the axis. `kind` is work, gates or wait; `tone` is a phase or a status."""

    kind: str
    tone: str
    x: float
    width: float
    title: str
    attempt: AttemptView


@dataclass(frozen=True, slots=True)
class Lane:
    stage: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """`marks` are seconds since the start, from 0 to the end, at equal distances."""

    lanes: tuple[Lane, ...]
    marks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Axis:
    start: float
    span: float

    def at(self, moment: float) -> float:
        return min(WIDTH, max(0.0, (moment - self.start) / self.span * WIDTH))

    def bar(self, kind: str, tone: str, ends: tuple[float, float], title: str, attempt: AttemptView) -> Bar:
        left, right = self.at(ends[0]), self.at(ends[1])
        return Bar(kind, tone, round(min(left, WIDTH - _LEAST), 2), round(max(_LEAST, right - left), 2), title, attempt)


def timeline(view: RunView, now: float) -> Timeline:
    """The newest attempts of each stage, gates and waits on one axis, up to the newest event of a run that is over,
    else to `now`."""
    end = view.at if view.phase in OVER else now
    span = max(end - view.started_at, 0.1)
    axis = _Axis(view.started_at, span)
    lanes = tuple(Lane(stage.id, tuple(_bars(stage, axis, end))) for stage in view.stages if stage.attempts)
    return Timeline(lanes, tuple(span * number / (_MARKS - 1) for number in range(_MARKS)))


def _bars(stage: StageView, axis: _Axis, end: float) -> Iterator[Bar]:
    for attempt in stage.attempts[-_SHOWN_MAX:]:
        done = attempt.ended_at or (end if attempt.phase is AttemptPhase.WORKING else attempt.started_at)
        words = f"{attempt.id} {attempt.phase}"
        yield axis.bar("work", attempt.phase.value, (attempt.started_at, done), words, attempt)
        before = done
        for item in sorted(attempt.verdicts, key=lambda one: one.at):
            kind = "wait" if item.verdict.by else "gates"
            title = f"{attempt.id} {item.verdict.gate.rpartition('/')[2]} {item.verdict.status}"
            yield axis.bar(kind, item.verdict.status.value, (before, item.at), title, attempt)
            before = max(before, item.at)
        if attempt.asked and attempt.phase is AttemptPhase.JUDGING:
            yield axis.bar("wait", "waiting", (before, end), f"{attempt.id} waits for a person", attempt)


def graph(pipeline: Pipeline, view: RunView) -> dict[str, object]:
    """Stages, their needs, and the loops back with how often they were used: for a layout to draw."""
    known = {stage.id for stage in view.stages}
    sent = [(str(attempt.id.stage), attempt.sent_back_to) for stage in view.stages for attempt in stage.attempts]
    return {
        "nodes": [_node(stage, view.phase) for stage in view.stages],
        "edges": [[need, stage.id] for stage in view.stages for need in stage.needs if need in known],
        "loops": [
            {"from": stage.id, "to": rule.goto, "gone": sent.count((stage.id, rule.goto)), "max": rule.max}
            for stage in pipeline.stages
            for rule in stage.on_reject
            if rule.goto and {stage.id, rule.goto} <= known
        ],
    }


def _node(stage: StageView, run: RunPhase) -> dict[str, object]:
    tried = len(stage.attempts)
    attempts = f"{tried} attempt{'' if tried == 1 else 's'}" if tried else ""
    epoch = f"epoch {stage.epoch}" if stage.epoch > 1 else ""
    word = stage_word(stage, run)
    waits = word == Phase.JUDGING and bool(stage.attempts and stage.attempts[-1].asked)
    return {
        "id": stage.id,
        "phase": "asked" if waits else "waiting" if word in (CUT_OFF, NOT_BEGUN) else word,
        "says": "waits for a person" if waits else word,
        "worker": stage.worker,
        "detail": ", ".join(part for part in (attempts, epoch) if part),
    }
