"""`interlock schema`: the JSON Schema that editors complete with, and the template of briefs."""

from __future__ import annotations

import json

import click

from interlock.cli.terminal import say


@click.command()
@click.option("--brief", is_flag=True, help="The template of what agents are told, to be copied and changed.")
def schema(brief: bool) -> int:
    """Print the JSON Schema of the pipeline file."""
    from interlock.pipelinefile import json_schema
    from interlock.pipelinefile.briefs import default_brief

    if brief:
        say(default_brief().rstrip("\n"))
        return 0
    say(json.dumps(json_schema(), indent=2))
    return 0
