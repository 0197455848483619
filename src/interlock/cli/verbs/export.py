"""`interlock export`: a run in the formats that other tools read."""

from __future__ import annotations

import click

from interlock.cli.application import application
from interlock.cli.completing import runs
from interlock.cli.terminal import say

FORMATS = ("json", "junit", "sarif", "markdown", "otlp")


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("--format", "form", type=click.Choice(FORMATS), default="json", show_default=True, help="As what.")
def export(run: str, form: str) -> int:
    """RUN on stdout, for other tools. Without RUN the only unfinished one, else the newest."""
    from interlock.cli import ci
    from interlock.cli.report import markdown, results
    from interlock.service.jsons import document

    with application() as app:
        view = app.service.describe_run(app.service.latest_run(run).id)
        pipeline = app.service.pipeline_of(view.id)
    match form:
        case "junit":
            say(ci.junit(results(pipeline, view)).rstrip("\n"))
        case "sarif":
            say(ci.sarif(results(pipeline, view)).rstrip("\n"))
        case "markdown":
            say(markdown(pipeline, view))
        case "otlp":
            from interlock.telemetry import otlp, spans

            say(otlp(spans(view)).rstrip("\n"))
        case _:
            say(document(run=view))
    return 0
