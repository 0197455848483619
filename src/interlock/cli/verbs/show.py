"""`interlock show`: attempts, verdicts with findings, digests, cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.completing import targets
from interlock.cli.terminal import say
from interlock.core.text import plain
from interlock.ports import UsageError

if TYPE_CHECKING:
    from interlock.bootstrap import Application
    from interlock.cli.targets import Target

_BYTES_MAX = 20_000_000


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2]", shell_complete=targets)
@click.option("--brief", is_flag=True, help="What the agent was told, as it was sent.")
@click.option("--json", "json", is_flag=True, help="As JSON.")
def show(target: tuple[str, ...], brief: bool, json: bool) -> int:
    """All of a run, of one stage, or of one attempt."""
    from interlock.cli.application import unreadable_runs_noted
    from interlock.cli.pages import attempt_page, run_page, stage_page
    from interlock.cli.proposing import proposed, standing
    from interlock.cli.targets import find_attempt, find_target, no_more
    from interlock.service.jsons import document

    with application(looks=True) as app:
        with unreadable_runs_noted() as passed_over:
            found = no_more(find_target(app.service, target, lambda name: app.service.latest_run(name, passed_over)))
        view = found.view
        if brief:
            attempt_id, text = _brief(app, found)
            say(document(run=view.id, attempt=attempt_id, brief=text) if json else plain(text, _BYTES_MAX))
        elif found.attempt:
            attempt = find_attempt(found)
            say(document(run=view.id, attempt=attempt) if json else attempt_page(view, attempt))
        elif found.stage:
            stage = view.stage(found.stage)
            say(document(run=view.id, stage=stage) if json else stage_page(view, stage))
        else:
            url, untold = proposed(app, view.id), app.untold(view.id)
            held_up = app.held_up(view.id) if view.owner else ()
            told = {"untold": untold, "held_up": held_up, **({"pull_request": url} if url else {})}
            say(document(run=view, **told) if json else [*run_page(view, untold, held_up), *standing(app, view)])
    return 0


def _brief(app: Application, found: Target) -> tuple[str, str]:
    """The attempt, and what it was told: the one that is named, else the newest of the stage, or of the run. Raises
    UsageError."""
    from interlock.cli.targets import find_attempt

    if found.stage:
        made = [find_attempt(found)]
    else:
        every = [attempt for stage in found.view.stages for attempt in stage.attempts]
        made = sorted(every, key=lambda attempt: attempt.started_at, reverse=True)
    for attempt in made:
        for item in attempt.evidence:
            if item.name == "brief":
                return str(attempt.id), app.blobs.get(item.digest).decode("utf-8", "replace")
    which = str(made[0].id) if found.stage else f"run {found.view.id}"
    raise UsageError(f"{which} has no brief: it is kept once an agent has ended (before that: interlock plan --brief)")
