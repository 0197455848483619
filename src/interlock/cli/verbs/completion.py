"""`interlock completion`: the script that a shell reads at its start."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from interlock.cli.terminal import say
from interlock.ports import UsageError

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> int:
    """Print the script for shell completion, such as for `eval "$(interlock completion bash)"`."""
    from interlock.cli.app import app

    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"no completion for {shell}: there is {', '.join(SHELLS)}")
    say(found(app, {}, "interlock", "_INTERLOCK_COMPLETE").source())
    return 0
