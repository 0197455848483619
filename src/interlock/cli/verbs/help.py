"""`interlock help`: what `--help` says, of Interlock or of a verb."""

from __future__ import annotations

import click

from interlock.cli.terminal import say


@click.command("help")
@click.argument("verb", required=False, default="")
def help_verb(verb: str) -> int:
    """The verbs, or the options of VERB."""
    from interlock.cli.app import app, unknown

    root = click.get_current_context().find_root()
    if not verb:
        say(app.get_help(root))
        return 0
    command = app.get_command(root, verb)
    if command is None:
        root.fail(unknown(verb))
    with click.Context(command, info_name=verb, parent=root) as inner:
        say(command.get_help(inner))
    return 0
