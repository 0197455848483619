"""`interlock watch`: follow a run."""

from __future__ import annotations

import click

from interlock.cli.application import application
from interlock.cli.completing import runs
from interlock.cli.terminal import note


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("--plain", is_flag=True, help="One line for each transition, never redrawn.")
@click.option("--json", "json", is_flag=True, help="Events as NDJSON.")
def watch(run: str, plain: bool, json: bool) -> int:
    """Follow RUN until it is over, or waits for a person, or nobody drives it. Watching changes nothing: the run goes
    on after a Ctrl-C."""
    from interlock.cli.driving import DisplayOptions
    from interlock.cli.watching import watched

    with application() as app:
        found = app.service.latest_run(run).id
        try:
            return watched(app, found, DisplayOptions(plain, json))
        except KeyboardInterrupt:
            if app.service.owner_of(found):
                note(f"\nrun {found} goes on without being watched\nnext: interlock watch {found}")
            raise
