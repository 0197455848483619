"""Diffs in colours, and the pager.

Rule: the text is plain before it is coloured, so that no colour is somebody else's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

import click

from interlock.ports import Change
from interlock.text.cleaning import count

Color = Literal["auto", "always", "never"]
_BODY = {"+": "green", "-": "red"}


def wants_colours(choice: Color) -> bool:
    """`auto`: on a terminal, unless NO_COLOR or TERM=dumb says otherwise."""
    if choice != "auto":
        return choice == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured_diff(patch: str) -> Iterator[str]:
    """The lines of a patch, each with its end."""
    in_body = False
    for line in patch.split("\n"):
        if line.startswith("diff "):
            in_body = False
        elif line.startswith("@@"):
            in_body = True
        yield f"{_coloured(line, in_body=in_body)}\n"


def stat_line(change: Change, name: str) -> str:
    """`M a.py +1 -2`, with the colours that git gives to what is added and removed."""
    added, removed = click.style(f"+{change.added}", fg="green"), click.style(f"-{change.removed}", fg="red")
    return f"{change.status} {name} {added} {removed}"


def stat_total(changes: Sequence[Change]) -> Iterator[str]:
    """`2 files changed, 3 insertions(+), 1 deletion(-)`, as git says it; nothing without a change."""
    if not changes:
        return
    added, removed = (sum(getattr(each, name) or 0 for each in changes) for name in ("added", "removed"))
    parts = [f"{count(len(changes), 'file')} changed"]
    parts += [f"{count(added, 'insertion')}(+)"] if added or not removed else []
    parts += [f"{count(removed, 'deletion')}(-)"] if removed or not added else []
    yield f"{', '.join(parts)}\n"


def show_in_pager(lines: Iterator[str], *, color: bool | None = None) -> None:
    """Short texts are printed as they are. `color` None: as the terminal allows."""
    mine = "LESS" not in os.environ
    os.environ.setdefault("LESS", "FRX")
    try:
        click.echo_via_pager(lines, color=wants_colours("auto") if color is None else color)
    finally:
        if mine:  # nothing that is started later has it
            os.environ.pop("LESS", None)


def _coloured(line: str, *, in_body: bool) -> str:
    if line.startswith("@@"):
        place, mark, rest = line[2:].partition("@@")
        return click.style(f"@@{place}{mark}", fg="cyan") + rest
    if not in_body:
        return click.style(line, bold=True) if line else line
    tone = _BODY.get(line[:1])
    return click.style(line, fg=tone) if tone else line
