"""`interlock diff`: what differs between attempts, stages and the base."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.targets import targets
from interlock.cli.terminal import say, say_bytes, say_coloured
from interlock.ports import UsageError
from interlock.text.cleaning import plain, plain_patch

if TYPE_CHECKING:
    from interlock.cli.colours import Color
    from interlock.readmodel.run import RunView
    from interlock.service import Service

_BYTES_MAX = 50_000_000


@click.command()
@click.argument("words", nargs=-1, metavar="[RUN] [A [B]]", shell_complete=targets)
@click.option("--stat", is_flag=True, help="Only the files and their numbers of changed lines.")
@click.option("--raw", is_flag=True, help="Print the bytes unchanged, for `git apply`.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours; `auto` is on a terminal only.",
)
@click.option("--unmasked", is_flag=True, help="Include files of a candidate that contain a secret.")
@click.option("--json", "json", is_flag=True, help="Print the files as JSON.")
def diff(words: tuple[str, ...], stat: bool, raw: bool, color: Color, unmasked: bool, json: bool) -> int:
    """Show the difference from A to B. Each is `base`, a stage (its accepted candidate) or an attempt such as code/1.2.
    With A alone: the difference from its input. Without A: from the base to the newest candidate."""
    from interlock.service.diffs import VisibleDiff, documents_last, visible_diff
    from interlock.service.formats import document

    with application(looks=True) as app:
        view, names = _run_and_names(app.service, words)
        old, new = _commits(app.service, view, names)
        if unmasked:
            found = VisibleDiff(*documents_last(app.workspaces.changes(old, new), app.workspaces.patch(old, new)))
        else:
            found = visible_diff(app.workspaces, view, old, new, patch=not json and not stat)
        if json:
            say(document(run=view.id, old=old, new=new, changes=found.changes))
        elif stat:
            from interlock.cli.colours import stat_line, stat_total, wants_colours

            lines = (f"{stat_line(change, _name(change.path))}\n" for change in found.changes)
            say_coloured((*lines, *stat_total(found.changes)), coloured=wants_colours(color))
        elif raw and found.left_out:
            raise UsageError(f"{'; '.join(found.notes)}: --unmasked shows it")
        else:
            notes = "".join(f"{plain(line, 1000)}; --unmasked shows it\n" for line in found.notes)
            _print_patch(notes.encode() + found.patch, color, raw=raw)
    return 0


def _run_and_names(service: Service, words: tuple[str, ...]) -> tuple[RunView, tuple[str, ...]]:
    """The run, and one or two names in it."""
    from interlock.cli.targets import find_run

    view, names = find_run(service, words, service.latest_run)
    if not names:
        names = ("base", _last_with_candidate(view))
    if len(names) > 2:
        raise UsageError(f"unexpected argument: {names[2]}: expected [RUN] [A [B]]")
    return view, tuple(name.removeprefix(f"{view.id}/") for name in names)


def _last_with_candidate(view: RunView) -> str:
    attempts = [attempt for stage in view.stages for attempt in stage.attempts if attempt.commit]
    if not attempts:
        raise UsageError(f"run {view.id} has no candidate yet")
    return str(attempts[-1].id)


def _commits(service: Service, view: RunView, names: tuple[str, ...]) -> tuple[str, str]:
    from interlock.service.service import input_of

    new = service.commit_of(view, names[-1])
    if len(names) == 2:
        return service.commit_of(view, names[0]), new
    if names[0] == "base":
        raise UsageError("diff base needs a second name: expected [RUN] [A [B]]")
    return input_of(view, names[0]), new


def _print_patch(patch: bytes, color: Color, *, raw: bool) -> None:
    """In a pager on a terminal. Everywhere without what could steer a terminal, unless the bytes are asked for."""
    from interlock.cli.colours import coloured_diff, show_in_pager, wants_colours

    if raw:
        say_bytes(patch)
        return
    text, coloured = plain_patch(patch, _BYTES_MAX), wants_colours(color)
    if sys.stdout.isatty():
        show_in_pager(coloured_diff(text), color=coloured)
    elif text:
        say_coloured(coloured_diff(text), coloured=coloured)


def _name(path: str) -> str:
    from interlock.cli.words import safe

    return safe(path, 1000)
