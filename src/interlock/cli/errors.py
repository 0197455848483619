"""What went wrong, said once on stderr. Rule: an expected error is a message; a bug is a trace, kept in a file."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click

from interlock import __version__
from interlock.cli.exits import Exit, of_error
from interlock.cli.streams import note, silence
from interlock.core.text import plain
from interlock.ports import Damaged, InterlockError, machine_trouble

_MESSAGE_MAX = 20_000  # characters; an invalid pipeline may have much to say


def report(error: BaseException, environ: Mapping[str, str]) -> int:
    """Say `error` on stderr and return the exit code."""
    match error:
        case Damaged() if "interlock doctor" not in str(error):
            return _said(f"{error}\nnext: interlock doctor", of_error(error))
        case InterlockError():
            return _said(str(error), of_error(error))
        case click.Abort() | KeyboardInterrupt():
            return Exit.INTERRUPTED
        case click.ClickException():
            return _said(_of_click(error), Exit.USAGE)
        case BrokenPipeError():
            return _broken_pipe()
        case SystemExit(code=1) if (
            sys.stdout is not sys.__stdout__
        ):  # click put another there, for the reader went away
            return _broken_pipe()
        case OSError() | MemoryError() | RuntimeError() if (trouble := machine_trouble(error)) is not None:
            silence(sys.stdout)
            return _said(str(trouble), Exit.INFRASTRUCTURE)
        case SystemExit():
            return error.code if isinstance(error.code, int) else Exit.USAGE
        case _:
            return _bug(error, environ)


def _said(message: str, code: Exit) -> int:
    note(f"error: {plain(message, _MESSAGE_MAX)}")
    return code


def _of_click(error: click.ClickException) -> str:
    message = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    return f"{message.rstrip('.')}: see `{context.command_path} --help`"


def _broken_pipe() -> int:
    """The reader went away, such as `head`: no error. What is still buffered goes nowhere."""
    silence(sys.stdout)
    return Exit.ACCEPTED


def _bug(error: BaseException, environ: Mapping[str, str]) -> int:
    trace = "".join(traceback.format_exception(error))
    place = _keep(f"interlock {__version__}, Python {sys.version}, {sys.platform}\n{sys.argv}\n\n{trace}", environ)
    note(f"error: a defect of Interlock: {type(error).__name__}: {plain(str(error), 400)}")
    if place is None:
        note(trace)
    else:
        note(f"The trace is in {place}; please report it. The run, if there was one, can be resumed.")
    return Exit.INFRASTRUCTURE


def _keep(text: str, environ: Mapping[str, str]) -> Path | None:
    """Beside the state, or in the temporary folder, or nowhere."""
    from interlock.settings import paths_of  # late: only for a defect

    folders = [Path(tempfile.gettempdir())]
    with suppress(InterlockError):
        folders.insert(0, paths_of(environ).state / "traces")
    for folder in folders:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(prefix="trace-", suffix=".txt", dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return Path(name)
    return None
