"""`interlock export`: a run in the formats that other tools read.

Rule: JUnit and SARIF tell the newest candidate of each stage, one case for each gate. What was not judged, or was never
begun, is skipped; it is never passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from interlock.cli.opened import application, say

if TYPE_CHECKING:
    from interlock.cli.ci import Result
    from interlock.core.pipeline import Pipeline, Stage
    from interlock.core.views import RunView, StageView

FORMATS = ("json", "junit", "sarif", "markdown")


@click.command()
@click.argument("run", required=False, default="")
@click.option("--format", "form", type=click.Choice(FORMATS), default="json", show_default=True, help="As what.")
def export(run: str, form: str) -> int:
    """RUN on stdout, for other tools. Without RUN the only unfinished one, else the newest."""
    from interlock.cli import ci
    from interlock.service.jsons import document

    with application() as app:
        view = app.service.describe_run(app.service.latest_run(run).id)
        results = list(_results(app.service.pipeline_of(view.id), view))
    match form:
        case "junit":
            say(ci.junit(results).rstrip("\n"))
        case "sarif":
            say(ci.sarif(results).rstrip("\n"))
        case "markdown":
            say(_markdown(view, results))
        case _:
            say(document(run=view))
    return 0


def _results(pipeline: Pipeline, view: RunView) -> Iterator[Result]:
    known = {stage.id: stage for stage in pipeline.stages}
    for stage in view.stages:
        yield from _of_stage(pipeline.name, known[stage.id], stage)


def _of_stage(pipeline: str, stage: Stage, seen: StageView) -> Iterator[Result]:
    """Each gate's newest verdict on the newest candidate; for a stage without a worker, on its input."""
    from interlock.cli.ci import Result

    verdicts = seen.attempts[-1].verdicts if seen.attempts else seen.input_verdicts
    newest = {item.verdict.gate: item.verdict for item in verdicts}
    for gate in stage.gates:
        verdict = newest.get(f"{stage.id}/{gate.id}")
        if verdict is None:
            why = seen.skipped or f"no verdict: the stage is {seen.phase.value}"
            yield Result(pipeline, stage.id, gate.id, "skipped", why)
        else:
            yield Result(pipeline, stage.id, gate.id, verdict.status.value, findings=verdict.findings)


def _markdown(view: RunView, results: list[Result]) -> str:
    """The run for a person: where it is, each stage, each gate."""
    from interlock.cli import ci
    from interlock.cli.words import spent

    rows = [
        f"| {ci.cell(one.id)} | {one.phase.value} | {len(one.attempts)} | {one.commit[:10]} |" for one in view.stages
    ]
    over = [f"Accepted over a gate by a person: {ci.cell(name)}", ""] if (name := ", ".join(view.overrides)) else []
    head = [f"## Interlock: run {view.id} is {view.phase.value}", "", ci.cell(view.task), "", *over]
    told = [f"Spent: {ci.cell(spent(view))}. Base: {view.base_commit[:10]}. Sandbox: {view.sandbox}.", ""]
    table = ["| stage | phase | attempts | accepted |", "|---|---|---|---|", *rows, ""]
    return "\n".join([*head, *told, *table, ci.summary(results).rstrip("\n")])
