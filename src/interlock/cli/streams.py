"""The three standard streams. Rule: stdout carries data, stderr all else; who listens decides nothing.

A reader that goes away, such as `head`, ends a verb that only shows, with exit code 0; what judges or drives goes on
unheard and ends with its true code. Notes that nobody can read are lost.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TextIO

import click

from interlock.ports import InfrastructureError


def ready() -> None:
    """Put something in the place of streams that are closed, so that no other file gets their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = os.fdopen(os.open(os.devnull, os.O_RDWR), mode)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def say(lines: str | Iterable[str]) -> None:
    """Data, to stdout. Raises click.exceptions.Exit where the reader went away."""
    with _heard():
        for line in [lines] if isinstance(lines, str) else lines:
            click.echo(line, color=_coloured())


def _coloured() -> bool | None:
    """Never where the user or the terminal wants none; else as the stream is."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def say_bytes(content: bytes) -> None:
    """Data as it is, to stdout. Raises as `say` does."""
    with _heard():
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def note(lines: str | Iterable[str]) -> None:
    """All that is not data, to stderr."""
    for line in [lines] if isinstance(lines, str) else lines:
        with suppress(OSError):
            click.echo(line, err=True, color=_coloured())


def unheard() -> AbstractContextManager[None]:
    """Around what is said by a verb that does its work whether somebody listens or not."""
    return suppress(click.exceptions.Exit)


def silence(stream: TextIO) -> None:
    """What is still buffered, and all to come, goes nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def _heard() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        silence(sys.stdout)
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        silence(sys.stdout)
        raise InfrastructureError(f"standard output cannot be written: {error.strerror}") from error
