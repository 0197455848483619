"""`interlock schema`: the JSON Schema that editors complete with."""

from __future__ import annotations

import json

import click

from interlock.cli.opened import say


@click.command()
def schema() -> int:
    """Print the JSON Schema of the pipeline file."""
    from interlock.spec import json_schema

    say(json.dumps(json_schema(), indent=2))
    return 0
