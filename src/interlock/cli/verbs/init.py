"""`interlock init`: pipelines that fit the repository, on top of ready gates."""

from __future__ import annotations

import os
import shutil
from functools import partial

import click

from interlock.cli.opened import note, say


@click.command()
@click.option("--force", is_flag=True, help="Replace files that differ.")
@click.option("--agent", metavar="NAME", default="", help="The agent to take; without it the first that is found.")
@click.option("--json", "json", is_flag=True, help="As JSON on stdout.")
def init(force: bool, agent: str, json: bool) -> int:
    """Find language, tools and agents, and write the pipelines `feature` and `quick` into .interlock/."""
    from interlock.agents.probe import logged_in
    from interlock.cli.pipelines import repository_here
    from interlock.cli.words import safe
    from interlock.service.jsons import document
    from interlock.spec.scaffold import Known, plan_files, write

    root = repository_here()
    which = partial(shutil.which, path=os.environ.get("PATH"))
    scaffold = plan_files(root, os.environ, which, Known(agent, logged_in(os.environ)))
    written = [str(path.relative_to(root)) for path in write(scaffold, root, force)]
    if json:
        say(document(written=written, found=scaffold.found, notes=scaffold.notes))
        return 0
    found = scaffold.found
    note(f"found: {', '.join((*found.languages, *found.agents)) or 'neither a known language nor an agent'}")
    say(safe(name) for name in written)
    note(f"note: {safe(line, 500)}" for line in scaffold.notes)
    note("everything was there already" if not written else "next: interlock check, then commit .interlock/, then")
    note('  interlock run -p quick -t "what is to be done"')
    return 0
