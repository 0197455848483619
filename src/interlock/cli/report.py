"""A run as results of its gates, and as Markdown for people.

Rule: the newest candidate of each stage, one result for each gate. What was not judged, or was never begun, is
skipped; it is never passed.
"""

from __future__ import annotations

from collections.abc import Iterator

from interlock.cli.ci import Result, cell, summary
from interlock.cli.words import spent
from interlock.core.pipeline import Pipeline, Stage
from interlock.core.views import RunView, StageView


def results(pipeline: Pipeline, view: RunView) -> list[Result]:
    """Of every stage, in order."""
    known = {stage.id: stage for stage in pipeline.stages}
    return [one for stage in view.stages for one in _of_stage(pipeline.name, known[stage.id], stage)]


def _of_stage(pipeline: str, stage: Stage, seen: StageView) -> Iterator[Result]:
    """Each gate's newest verdict on the newest candidate; for a stage without a worker, on its input."""
    verdicts = seen.attempts[-1].verdicts if seen.attempts else seen.input_verdicts
    newest = {item.verdict.gate: item.verdict for item in verdicts}
    for gate in stage.gates:
        verdict = newest.get(f"{stage.id}/{gate.id}")
        if verdict is None:
            why = seen.skipped or f"no verdict: the stage is {seen.phase.value}"
            yield Result(pipeline, stage.id, gate.id, "skipped", why)
        else:
            yield Result(pipeline, stage.id, gate.id, verdict.status.value, findings=verdict.findings)


def markdown(pipeline: Pipeline, view: RunView) -> str:
    """The run for a person: where it is, each stage, each gate."""
    rows = [f"| {cell(one.id)} | {one.phase.value} | {len(one.attempts)} | {one.commit[:10]} |" for one in view.stages]
    over = [f"Accepted over a gate by a person: {cell(name)}", ""] if (name := ", ".join(view.overrides)) else []
    head = [f"## Interlock: run {view.id} is {view.phase.value}", "", cell(view.task), "", *over]
    told = [f"Spent: {cell(spent(view))}. Base: {view.base_commit[:10]}. Sandbox: {view.sandbox}.", ""]
    table = ["| stage | phase | attempts | accepted |", "|---|---|---|---|", *rows, ""]
    return "\n".join([*head, *told, *table, summary(results(pipeline, view)).rstrip("\n")])
