"""`interlock watch`: follow a run."""

from __future__ import annotations

import click

from interlock.cli.completing import runs
from interlock.cli.opened import application


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("--plain", is_flag=True, help="One line for each transition, never redrawn.")
@click.option("--json", "json", is_flag=True, help="Events as NDJSON.")
def watch(run: str, plain: bool, json: bool) -> int:
    """Follow RUN until it is over, or waits for a person, or nobody drives it. Watching changes nothing."""
    from interlock.cli.driving import Manner
    from interlock.cli.watching import watched

    with application() as app:
        return watched(app, app.service.latest_run(run).id, Manner(plain, json))
