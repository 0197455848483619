"""The approve gate: a person answers a question. No program judges it; its question is a field of every gate."""

from __future__ import annotations

from interlock.core.pipeline import Gate, Pipeline, Stage
from interlock.gates.kinds import KeyPath, Kind, OutsideRun, View
from interlock.text.cleaning import cut


def check(view: View, stage: Stage, gate: Gate, at: KeyPath) -> None:
    if not gate.question.strip():
        view.error(at, "the question is empty", "write the question to a person")
    if "{{" in gate.question:
        hint = "templates work in prompts and in the branch's name only; write the question without them"
        view.error(at, "a template in a question", hint)


def _outside_run(gate: Gate, conditions: OutsideRun) -> str:
    return "a person decides"


def _brief_line(pipeline: Pipeline, stage: Stage, gate: Gate) -> str:
    return f"a person is asked: {cut(gate.question, 600)}"


def _plan_line(gate: Gate) -> str:
    return gate.question


KIND = Kind(
    "approve",
    "The question to a person.",
    None,
    names_files=False,
    for_agents=False,
    check=check,
    outside_run=_outside_run,
    brief_line=_brief_line,
    plan_line=_plan_line,
)
