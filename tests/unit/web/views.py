"""Runs as the read model tells them, made by hand, for the tests of pictures."""

from __future__ import annotations

from dataclasses import fields

from interlock.core.events import VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline, Rule, Stage
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptPhase, AttemptView, VerdictView
from interlock.readmodel.run import RunPhase, RunView, StageView

START = 1_750_000_000.0


def verdict(at: float, gate: str, status: str = "passed", by: str = "") -> VerdictView:
    """`at` is seconds after START."""
    given = VerdictGiven(AttemptId("code", 1, 1), f"code/{gate}", 1, VerdictStatus(status), by=by)
    return VerdictView(START + at, given)


def attempt(
    name: str, phase: str, start: float, end: float = 0.0, *verdicts: VerdictView, **more: object
) -> AttemptView:
    """`name` is STAGE/EPOCH.NUMBER or STAGE[ITEM]/EPOCH.NUMBER; times are seconds after START, 0 is no end."""
    stage, _, number = name.partition("/")
    stage, _, item = stage.rstrip("]").partition("[")
    epoch, _, try_ = number.partition(".")
    return AttemptView(
        AttemptId(stage, int(epoch), int(try_), item), AttemptPhase(phase), "coder", "", "", "", START + start,
        ended_at=START + end if end else 0.0, verdicts=verdicts, **more,
    )  # type: ignore[arg-type]  # fmt: skip


def stage(name: str, phase: str, needs: str = "", *attempts: AttemptView, worker: str = "coder") -> StageView:
    epoch = max((one.id.epoch for one in attempts), default=1)
    return StageView(name, tuple(needs.split()), Phase(phase), epoch, worker, attempts, None)


def run(*stages: StageView, phase: str = "running", end: float = 100.0) -> RunView:
    """Of what is not given there is nothing."""
    known = {each.name: () for each in fields(RunView)} | {"id": "r1", "phase": RunPhase(phase), "owner": "me"}
    return RunView(**{**known, "started_at": START, "at": START + end, "stages": stages})  # type: ignore[arg-type]


def pipeline(view: RunView, *loops: str) -> Pipeline:
    """`loops` are FROM>TO."""
    back = [loop.split(">") for loop in loops]
    stages = [
        Stage(one.id, one.needs, on_reject=tuple(Rule(goto=to, max=3) for source, to in back if source == one.id))
        for one in view.stages
    ]
    return Pipeline("p", tuple(stages))
