"""`interlock transform`: a document as text on stdout, for script stages."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from interlock.cli.terminal import say_bytes
from interlock.core.text import plain
from interlock.ports import UsageError


@click.command()
@click.argument("kind", metavar="KIND")
@click.argument("file", type=click.Path(path_type=Path))
def transform(kind: str, file: Path) -> int:
    """Turn FILE into text on stdout. KIND: pdf-to-text. The same bytes give the same text."""
    from interlock.pipelinefile.transform import TRANSFORMS

    if kind not in TRANSFORMS:
        raise UsageError(f"transform {kind}: no such kind, there are: {', '.join(TRANSFORMS)}")
    text = TRANSFORMS[kind](file)
    if sys.stdout.isatty():  # a document may hold escape sequences; a file gets it as it is
        text = plain(text, len(text) + 20) + "\n"
    say_bytes(text.encode("utf-8", "replace"))
    return 0
