"""The table of verbs. Rule: the module of a verb is imported when the verb is called, and no other is."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from interlock import __version__
from interlock.cli.exits import Exit, report
from interlock.cli.terminal import open_streams

# verb: (module and click command, one line of help); in the order of `--help`
VERBS: dict[str, tuple[str, str]] = {
    "init": ("interlock.cli.verbs.init:init", "Write pipelines that fit this repository."),
    "validate": ("interlock.cli.verbs.pipelines:validate", "Report every mistake in a pipeline file."),
    "plan": ("interlock.cli.verbs.pipelines:plan", "Show what a run would do."),
    "run": ("interlock.cli.verbs.run:run", "Start a run and follow it to its end."),
    "status": ("interlock.cli.verbs.runs:status", "The state of a run, in a few lines."),
    "list": ("interlock.cli.verbs.runs:list_runs", "The runs of this repository, newest first."),
    "show": ("interlock.cli.verbs.runs:show", "Attempts, verdicts, findings, digests, cost."),
    "logs": ("interlock.cli.verbs.logs:logs", "What an attempt or a gate printed."),
    "diff": ("interlock.cli.verbs.diff:diff", "The differences between attempts, stages and the base."),
    "watch": ("interlock.cli.verbs.runs:watch", "Follow a run."),
    "shell": ("interlock.cli.verbs.shell:shell", "A shell in a fresh checkout of a candidate."),
    "resume": ("interlock.cli.verbs.run:resume", "Continue a run."),
    "retry": ("interlock.cli.verbs.answers:retry", "Give a stage new attempts, with feedback or your own fix."),
    "approve": ("interlock.cli.verbs.answers:approve", "Approve a stage that waits for an approval."),
    "reject": ("interlock.cli.verbs.answers:reject", "Reject a stage that waits for an approval."),
    "accept": ("interlock.cli.verbs.answers:accept", "Accept a rejected candidate."),
    "cancel": ("interlock.cli.verbs.answers:cancel", "End a run for good."),
    "check": ("interlock.cli.verbs.check:check", "Run the gates without a run."),
    "transform": ("interlock.cli.verbs.standalone:transform", "Convert a document to text."),
    "schema": ("interlock.cli.verbs.standalone:schema", "Print the JSON Schema of the pipeline file."),
    "export": ("interlock.cli.verbs.runs:export", "A run as JSON, JUnit, SARIF or Markdown."),
    "verify": ("interlock.cli.verbs.verify:verify", "Check the signed records of a run."),
    "key": ("interlock.cli.verbs.verify:key", "The key that records are signed with."),
    "serve": ("interlock.cli.verbs.servers:serve", "Show the runs in a browser; answer, start and cancel them."),
    "dev": ("interlock.cli.verbs.dev:dev", "All that runs on Temporal need, on this machine."),
    "worker": ("interlock.cli.verbs.worker:worker", "Perform the effects of runs on Temporal."),
    "mcp": ("interlock.cli.verbs.servers:mcp", "Serve agents over MCP, on stdin and stdout."),
    "doctor": ("interlock.cli.verbs.doctor:doctor", "Check what Interlock needs and uses on this machine."),
    "gc": ("interlock.cli.verbs.gc:gc", "Remove what no run needs."),
    "help": ("interlock.cli.verbs.standalone:help_verb", "The verbs, or the options of one."),
    "completion": ("interlock.cli.verbs.standalone:completion", "Print the script for shell completion."),
}


class _Verbs(click.Group):
    """Finds commands by the table; `--help` reads the table alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(unknown(args[0]))
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-v", "-V", "--version", message="interlock %(version)s")
@click.option(
    "-C", "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False), help="Run as if started in DIR."
)
def app(folder: str | None) -> None:
    """Checked handoffs between coding agents: each stage produces a candidate, and gates judge it."""
    if folder:
        os.chdir(Path(folder))


def call(arguments: Sequence[str]) -> int:
    """Run the verb and return the exit code; without a verb print the help. An expected error is one message, a bug
    leaves a trace in a file."""
    try:
        open_streams()
        code = app.main(args=list(arguments) or ["--help"], prog_name="interlock", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except BaseException as error:  # noqa: BLE001 - every error becomes a message and an exit code
        return report(error, os.environ)
    return int(code) if isinstance(code, int) else Exit.ACCEPTED


def unknown(name: str) -> str:
    """The message for an unknown verb; click adds where the verbs are listed."""
    from difflib import get_close_matches  # lazy: only for a mistake

    close = get_close_matches(name, VERBS, 1)
    return f"no such verb: {name}" + (f" (did you mean {close[0]}?)" if close else "")
