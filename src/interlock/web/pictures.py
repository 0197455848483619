"""The data of a run's graph and timeline. Pure.

Rule: a picture shows nothing that the page does not say in words too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from interlock.core.pipeline import Pipeline
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptPhase, AttemptView
from interlock.readmodel.run import OVER, RunPhase, RunView, StageView, stage_word

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
        "phase": "asked" if waits else word if word == stage.phase else "waiting",
        "says": "waits for a person" if waits else word,
        "worker": stage.worker,
        "detail": ", ".join(part for part in (attempts, epoch) if part),
    }
