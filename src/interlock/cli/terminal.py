"""The three standard streams, and the person at the terminal.

Rule: stdout carries data, stderr everything else. If the reader of stdout ends, as `head` does, a verb that only shows
ends with exit code 0; a verb that judges or drives a run continues and ends with its true exit code. Notes that nobody
can read are dropped.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

import click

from interlock.ports import InfrastructureError

_WAKE_BYTES = 4096


def open_streams() -> None:
    """Open /dev/null for each standard stream that is closed, so that no other file gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = os.fdopen(os.open(os.devnull, os.O_RDWR), mode)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def say(lines: str | Iterable[str]) -> None:
    """Print data on stdout. Raises click.exceptions.Exit if its reader has ended."""
    with _reader_may_end():
        for line in [lines] if isinstance(lines, str) else lines:
            click.echo(line, color=_coloured())


def say_coloured(lines: Iterable[str], *, coloured: bool) -> None:
    """Print lines that have their ends on stdout, with colours or without. Raises as `say` does."""
    with _reader_may_end():
        for line in lines:
            click.echo(line, nl=False, color=coloured)


def say_bytes(content: bytes) -> None:
    """Print data on stdout byte for byte. Raises as `say` does."""
    with _reader_may_end():
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def note(lines: str | Iterable[str]) -> None:
    """Print what is not data on stderr."""
    for line in [lines] if isinstance(lines, str) else lines:
        with suppress(OSError):
            click.echo(line, err=True, color=_coloured())


def without_reader() -> AbstractContextManager[None]:
    """Around the output of a verb that does its work whether anybody reads it or not."""
    return suppress(click.exceptions.Exit)


def silence(stream: TextIO) -> None:
    """Drop what is buffered in `stream`, and everything written to it later."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def redraws(stream: TextIO) -> bool:
    """Whether a view on `stream` may be redrawn in place."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int:
    """The width of the terminal; 0 if `stream` is none."""
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def is_interactive() -> bool:
    """Whether a person at a terminal can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP (`kill`, a closed terminal) act like Ctrl-C without a terminal: the run can be resumed.
    SIGHUP stays ignored if the parent process ignores it (`nohup`); SIGTERM always interrupts."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signals = [signal.SIGTERM, *([] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP])]
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def until_interrupted(work: Coroutine[Any, Any, None]) -> bool:
    """Do `work`. Whether Ctrl-C or SIGTERM ended it, which cancel it."""
    import asyncio  # slow to import, and for few verbs

    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


def prompt(
    question: str, default: str = "", *, show_default: bool = True, read: Callable[[], str] | None = None
) -> str:
    """What the person types, without surrounding blanks; the default for an empty line. Raises click.Abort at Ctrl-C
    and at the end of the input. `read` reads the line once there is something to read; else it is `readline`.

    No Ctrl-C is lost: `input` misses one that comes right before it begins to read, so a pipe wakes the reader.
    """
    hint = f" [{default}]" if default and show_default else ""
    while True:
        if typed := _read_line(f"{question}{hint}: ", read).strip() or default:
            return typed


def confirm(question: str) -> bool:
    """Whether the person types yes, which is never the default. Raises as `prompt`."""
    while (typed := _read_line(f"{question} [y/N]: ").strip().lower()) not in ("", "y", "yes", "n", "no"):
        click.echo(f"{typed[:20]!r} is not yes or no", err=True)
    return typed.startswith("y")


def _read_line(question: str, read: Callable[[], str] | None = None) -> str:
    try:
        with _wakeup_pipe() as wake:
            click.echo(question, nl=False, err=True)
            while sys.stdin not in select.select([sys.stdin, wake], [], [])[0]:
                os.read(wake, _WAKE_BYTES)  # the signal handler runs before this call
            line = read() if read else sys.stdin.readline()  # a terminal gives whole lines
    except KeyboardInterrupt:
        line = ""
    if not line:
        click.echo(err=True)
        raise click.Abort
    return line


@contextmanager
def _wakeup_pipe() -> Iterator[int]:
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


def _coloured() -> bool | None:
    """False if the user or the terminal wants no colours; else None: click decides by the stream."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


@contextmanager
def _reader_may_end() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        silence(sys.stdout)
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        silence(sys.stdout)
        raise InfrastructureError(f"standard output cannot be written: {error.strerror}") from error
