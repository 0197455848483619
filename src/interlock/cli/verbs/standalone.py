"""`interlock help`, `completion`, `schema`, `transform`: verbs that read no run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from interlock.cli.terminal import say, say_bytes
from interlock.ports import UsageError
from interlock.text.cleaning import plain

SHELLS = ("bash", "zsh", "fish")


@click.command("help")
@click.argument("verb", required=False, default="")
def help_verb(verb: str) -> int:
    """List the verbs, or the options of VERB."""
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


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> int:
    """Print the script for shell completion, such as for `eval "$(interlock completion bash)"`."""
    from interlock.cli.app import app

    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"no completion for {shell}: available: {', '.join(SHELLS)}")
    say(found(app, {}, "interlock", "_INTERLOCK_COMPLETE").source())
    return 0


@click.command()
@click.option("--brief", is_flag=True, help="Print the template of the brief, to copy and change.")
def schema(brief: bool) -> int:
    """Print the JSON Schema of the pipeline file."""
    from interlock.pipelinefile import json_schema
    from interlock.pipelinefile.templates import default_brief

    if brief:
        say(default_brief().rstrip("\n"))
        return 0
    say(json.dumps(json_schema(), indent=2))
    return 0


@click.command()
@click.argument("kind", metavar="KIND")
@click.argument("file", type=click.Path(path_type=Path))
def transform(kind: str, file: Path) -> int:
    """Convert FILE to text on stdout. KIND: pdf-to-text. The same bytes always give the same text."""
    from interlock.pipelinefile.transform import TRANSFORMS

    if kind not in TRANSFORMS:
        raise UsageError(f"transform {kind}: no such kind, there are: {', '.join(TRANSFORMS)}")
    text = TRANSFORMS[kind](file)
    if sys.stdout.isatty():  # a document may hold escape sequences; a file gets all bytes
        text = plain(text, len(text) + 20) + "\n"
    say_bytes(text.encode("utf-8", "replace"))
    return 0
