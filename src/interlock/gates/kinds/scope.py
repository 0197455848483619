"""The scope gate: only what may change has changed. It is built in and runs first (`gates.scope` judges)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.core.pipeline import Gate, Pipeline, Stage
from interlock.gates.kinds import Kind, OutsideRun

if TYPE_CHECKING:
    from interlock.gates.referee import GateContext
    from interlock.ports import Cancel, GateRequest, Judgement


def judge(context: GateContext, request: GateRequest, cancel: Cancel) -> Judgement:
    from interlock.gates.scope import judge_changes

    return judge_changes(context, request)


def _outside_run(gate: Gate, conditions: OutsideRun) -> str:
    if conditions.proposes_nothing:
        return "nothing differs from the base"
    return "" if conditions.scoped else "add `--stage STAGE` to run it"


def _brief_line(pipeline: Pipeline, stage: Stage, gate: Gate) -> str:
    return f"only what may change has changed{'' if stage.may_be_empty else ', and something has'}"


KIND = Kind("scope", "", judge, is_written=False, only_reads=True, outside_run=_outside_run, brief_line=_brief_line)
