"""`interlock show`: attempts, verdicts with findings, digests, cost."""

from __future__ import annotations

import click

from interlock.cli.completing import targets
from interlock.cli.opened import application, say


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2]", shell_complete=targets)
@click.option("--json", "json", is_flag=True, help="As JSON.")
def show(target: tuple[str, ...], json: bool) -> int:
    """All of a run, of one stage, or of one attempt."""
    from interlock.cli.opened import tell_unread
    from interlock.cli.pages import attempt_page, run_page, stage_page
    from interlock.cli.proposing import proposed, standing
    from interlock.cli.targets import find_attempt, find_target, no_more
    from interlock.service.jsons import document

    with application() as app:
        found = no_more(find_target(app.service, target, lambda name: app.service.latest_run(name, tell_unread)))
        view = found.view
        if found.attempt:
            attempt = find_attempt(found)
            say(document(run=view.id, attempt=attempt) if json else attempt_page(view, attempt))
        elif found.stage:
            stage = view.stage(found.stage)
            say(document(run=view.id, stage=stage) if json else stage_page(view, stage))
        else:
            url, untold = proposed(app, view.id), app.untold(view.id)
            told = {"untold": untold, **({"pull_request": url} if url else {})}
            say(document(run=view, **told) if json else [*run_page(view, untold), *standing(app, view)])
    return 0
