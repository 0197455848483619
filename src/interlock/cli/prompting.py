"""Questions to the person at the terminal, and their answers by line.

Rule: no Ctrl-C is lost. `input` misses one that comes right before it begins to read; here a pipe wakes the reader.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

_WAKE_BYTES = 4096


def asked(question: str, default: str = "", *, shown: bool = True) -> str:
    """What is typed, without blanks around it; the default where that is nothing. Raises click.Abort at Ctrl-C, and at
    the end of the input."""
    hint = f" [{default}]" if default and shown else ""
    while True:
        if said := _line(f"{question}{hint}: ").strip() or default:
            return said


def confirmed(question: str) -> bool:
    """Whether the person says yes, which is never the default. Raises as `asked`."""
    while (said := _line(f"{question} [y/N]: ").strip().lower()) not in ("", "y", "yes", "n", "no"):
        click.echo(f"{said[:20]!r} is neither yes nor no", err=True)
    return said.startswith("y")


def _line(question: str) -> str:
    try:
        with _woken() as wake:
            click.echo(question, nl=False, err=True)
            while sys.stdin not in select.select([sys.stdin, wake], [], [])[0]:
                os.read(wake, _WAKE_BYTES)  # the handler of the signal runs before this is called
            line = sys.stdin.readline()  # a terminal gives whole lines
    except KeyboardInterrupt:
        line = ""
    if not line:
        click.echo(err=True)
        raise click.Abort
    return line


@contextmanager
def _woken() -> Iterator[int]:
    """A pipe that can be read as soon as a signal has come."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
