"""`interlock list`, `status`, `show`, `watch`, `export`: runs, as people and other tools read them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.targets import runs, targets
from interlock.cli.terminal import columns, note, say
from interlock.ports import UsageError
from interlock.text.cleaning import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from interlock.application import Application
    from interlock.cli.targets import Target
    from interlock.gates.locks import WaitingWork
    from interlock.notify import Undelivered
    from interlock.ports import Change
    from interlock.readmodel.run import RunView

_BYTES_MAX = 20_000_000
FORMATS = ("json", "junit", "sarif", "markdown", "otlp", "in-toto")


@click.command("list")
@click.option(
    "-n", "--count", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Show at most this many."
)
@click.option("--json", "json", is_flag=True, help="Print JSON.")
def list_runs(count: int, json: bool) -> int:
    """List the runs of this repository: first those that need you, then those that work; of each, the newest first. On
    a terminal, ids are short. For a run that cannot be read, the row says why. Exit code 5 if a run is damaged."""
    from interlock.cli.exits import Exit
    from interlock.cli.listing import list_page
    from interlock.readmodel.run import RunPhase
    from interlock.service import formats
    from interlock.service.formats import document

    with application(looks=True) as app:
        found = app.service.list_runs(count)
        aside = len(app.aside.runs().difference(run.id for run in found))
        held_up = [held for run in found if run.owner for held in app.waiting_work(run.id)]
        if json:
            say(document(runs=found, held_up=held_up))
        elif found:
            width, every = columns(sys.stdout), app.service.run_ids()
            say(list_page(found, app.service.clock.now(), width, held_up, every))
        elif not aside:
            note("no runs in this repository yet: `interlock run -p PIPELINE TASK` starts one")
        if aside:
            note(f"not listed: {formats.count(aside, 'damaged run')}, set aside: `interlock doctor` names them")
    return Exit.INFRASTRUCTURE if any(run.phase is RunPhase.DAMAGED for run in found) else Exit.ACCEPTED


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("--json", "json", is_flag=True, help="Print JSON.")
def status(run: str, json: bool) -> int:
    """Show the state of RUN: what to do, why, and each stage. Default: the only unfinished run, else the newest."""
    from interlock.cli.application import unreadable_runs_noted
    from interlock.cli.overview import Around, status_page
    from interlock.service.formats import document

    with application(looks=True) as app:
        with unreadable_runs_noted() as passed_over:
            found = app.service.latest_run(run, passed_over)
        view = app.service.describe_run(found.id)
        held_up = app.waiting_work(view.id) if view.owner else ()
        unread = app.service.has_answer(view.id)
        say(
            document(run=view, held_up=held_up, answer_waits=unread)
            if json
            else status_page(view, Around(held_up, unread, width=columns(sys.stdout)))
        )
    return 0


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2]", shell_complete=targets)
@click.option("-v", "--full", is_flag=True, help="Everything of the run: each attempt, verdict and finding.")
@click.option("--brief", is_flag=True, help="Print the brief exactly as the agent got it.")
@click.option("--json", "json", is_flag=True, help="Print JSON.")
def show(target: tuple[str, ...], full: bool, brief: bool, json: bool) -> int:
    """Show a run in one screen: state, what to do, why, what changes, how it went. With STAGE or STAGE/1.2: everything
    about that part."""
    from interlock.cli.application import unreadable_runs_noted
    from interlock.cli.pages import attempt_page, full_page, stage_page
    from interlock.cli.targets import find_attempt, find_target, require_no_rest
    from interlock.cli.words import folded
    from interlock.service.formats import document

    with application(looks=True) as app:
        with unreadable_runs_noted() as passed_over:
            found = require_no_rest(
                find_target(app.service, target, lambda name: app.service.latest_run(name, passed_over))
            )
        view, width = found.view, columns(sys.stdout)
        if brief:
            attempt_id, text = _brief(app, found)
            say(document(run=view.id, attempt=attempt_id, brief=text) if json else plain(text, _BYTES_MAX))
        elif found.attempt:
            attempt = find_attempt(found)
            say(document(run=view.id, attempt=attempt) if json else folded(attempt_page(view, attempt), width))
        elif found.stage:
            stage = view.stage(found.stage)
            say(document(run=view.id, stage=stage) if json else folded(stage_page(view, stage), width))
        else:
            url, undelivered = app.pull_requests.url(view.id), app.undelivered(view.id)
            held_up = app.waiting_work(view.id) if view.owner else ()
            if json:
                more = {"pull_request": url} if url else {}
                say(document(run=view, untold=undelivered, held_up=held_up, **more))
            else:
                every = folded(full_page(view, undelivered, held_up), width) if full else ()
                page = every or _overview(app, view, undelivered, held_up)
                say([*page, *_pull_request(app, view, url)])
    return 0


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("--plain", is_flag=True, help="Print one line for each event, without a live view.")
@click.option("--json", "json", is_flag=True, help="Print events as NDJSON.")
def watch(run: str, plain: bool, json: bool) -> int:
    """Follow RUN until it ends, waits for a person, or no process runs it. Ctrl-C ends only `watch`; the run
    continues."""
    from interlock.cli.drive import following, watch_run
    from interlock.cli.screens import DisplayOptions

    with application() as app:
        found = app.service.latest_run(run).id
        try:
            with following(app, found):
                return watch_run(app, found, DisplayOptions(plain, json))
        except KeyboardInterrupt:
            if app.service.owner_of(found):
                note(f"\nrun {found} continues\nnext: interlock watch {found}")
            raise


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="json", show_default=True, help="The output format."
)
def export(run: str, form: str) -> int:
    """Print RUN on stdout, for other tools. Default: the only unfinished run, else the newest."""
    from interlock.service import reports
    from interlock.service.formats import document
    from interlock.service.reports import run_markdown, run_results

    with application() as app:
        view = app.service.describe_run(app.service.latest_run(run).id)
        pipeline = app.service.pipeline_of(view.id)
        if form == "in-toto":
            from interlock.service.bundles import bundle

            say(list(bundle(app.sources(), view.id, app.service.history(view.id))))
            return 0
    match form:
        case "junit":
            say(reports.junit(run_results(pipeline, view)).rstrip("\n"))
        case "sarif":
            say(reports.sarif(run_results(pipeline, view)).rstrip("\n"))
        case "markdown":
            say(run_markdown(pipeline, view))
        case "otlp":
            from interlock.telemetry import otlp, spans

            say(otlp(spans(view)).rstrip("\n"))
        case _:
            say(document(run=view))
    return 0


def _overview(
    app: Application, view: RunView, undelivered: Sequence[Undelivered], held_up: Sequence[WaitingWork]
) -> Iterator[str]:
    """With what changes from the base up to what waits, else up to the newest candidate."""
    from interlock.cli.overview import Around, run_page
    from interlock.ports import InterlockError
    from interlock.service.diffs import visible_diff

    asked = [wait.subject for wait in view.waits if wait.reason == "approval"]
    made = [str(attempt.id) for stage in view.stages for attempt in stage.attempts if attempt.commit]
    up_to = next(iter([*asked, *reversed(made)]), "")
    changes: Sequence[Change] = ()
    if up_to:
        try:
            commit = app.service.commit_of(view, up_to)
            changes = visible_diff(app.workspaces, view, view.base_commit, commit, patch=False).changes
        except InterlockError:  # the commits are not there any more
            up_to = ""
    unread = app.service.has_answer(view.id)
    return run_page(view, Around(held_up, unread, undelivered, changes, up_to, columns(sys.stdout)))


def _pull_request(app: Application, view: RunView, url: str) -> list[str]:
    if url:
        return [f"pull request: {url}"]
    if app.pull_requests.is_missing(view):
        return [f"pull request: not opened; `interlock resume {view.id}` tries again"]
    return []


def _brief(app: Application, found: Target) -> tuple[str, str]:
    """An attempt and its brief: the named attempt, else the newest of the stage or of the run. Raises UsageError."""
    from interlock.cli.targets import find_attempt

    if found.stage:
        attempts = [find_attempt(found)]
    else:
        every = [attempt for stage in found.view.stages for attempt in stage.attempts]
        attempts = sorted(every, key=lambda attempt: attempt.started_at, reverse=True)
    for attempt in attempts:
        for item in attempt.evidence:
            if item.name == "brief":
                return str(attempt.id), app.blobs.get(item.digest).decode("utf-8", "replace")
    which = str(attempts[0].id) if found.stage else f"run {found.view.id}"
    raise UsageError(
        f"{which} has no brief yet: it is stored when the agent has ended (before that: interlock plan --brief)"
    )
