"""Runs as the read model has them, for the tests of pages and pictures."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from interlock.core.events import Finding, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline, Stage
from interlock.core.state import Phase, Spending
from interlock.readmodel.costs import Costs
from interlock.readmodel.history import AttemptPhase, AttemptView, VerdictView
from interlock.readmodel.run import RunPhase, RunSummary, RunView, StageView, WaitView, unreadable

RUN = "20261125-221406-qb4g6x"
ASKED = WaitView("ship", "ship/1.1", "ship/merge", "approval", "Merge this?", ("interlock approve R ship",))


def run_of(*stages: StageView, phase: RunPhase = RunPhase.RUNNING, **more: Any) -> RunView:
    known = {each.name: getattr(unreadable(RUN, "", damaged=False), each.name) for each in fields(RunSummary)}
    past = {"base_verdicts": (), "refused": 0, "answers": (), "costs": Costs((), (), Spending())}
    made = {"pipeline": "feature", "sandbox": "none", "task": "Make it two.", "phase": phase}
    return RunView(**{**known, **made, **past, "stages": stages, **more})


def stage_of(name: str, phase: Phase, *attempts: AttemptView, needs: tuple[str, ...] = ()) -> StageView:
    return StageView(name, needs, phase, 1, "coder", attempts, None)


def attempt_of(name: str, number: int, phase: AttemptPhase, *findings: Finding, **more: Any) -> AttemptView:
    """Rejected by gate `test` for its findings, if there are any."""
    made = AttemptId(name, 1, number)
    given = VerdictGiven(made, f"{name}/test", 1, VerdictStatus.FAILED, findings=findings) if findings else None
    verdicts = (VerdictView(9.0, given),) if given is not None else ()
    return AttemptView(made, phase, "coder", "", "", "t", 0.0, **{"verdicts": verdicts, **more})


def pipeline_of(view: RunView) -> Pipeline:
    return Pipeline("feature", tuple(Stage(stage.id, agent="coder", needs=stage.needs) for stage in view.stages))
