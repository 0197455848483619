"""How a command ends: every exit code, and errors as messages on stderr.

Rule: an expected error is one message; a bug is a traceback, kept in a file.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

import click

from interlock import __version__
from interlock.cli.terminal import note, silence
from interlock.ports import Cancelled, Damaged, InterlockError, UsageError, machine_trouble
from interlock.readmodel.run import RunPhase
from interlock.text.cleaning import plain

_MESSAGE_MAX = 20_000  # characters; an invalid pipeline may have many mistakes


class Exit(IntEnum):
    ACCEPTED = 0  # or passed, or done
    NO = 1  # `check` failed, the run was cancelled, or `verify` found something wrong
    USAGE = 2  # or an invalid pipeline
    WAITS = 3  # for a person, also because the run is paused
    INFRASTRUCTURE = 5  # the machine, a program, another owner; what could not begin, or could not be checked
    INTERRUPTED = 130


_OF_PHASE = {
    RunPhase.ACCEPTED: Exit.ACCEPTED,
    RunPhase.CANCELLED: Exit.NO,
    RunPhase.WAITING: Exit.WAITS,
    RunPhase.STOPPED: Exit.INFRASTRUCTURE,
    RunPhase.INTERRUPTED: Exit.INFRASTRUCTURE,
    RunPhase.RUNNING: Exit.ACCEPTED,
    RunPhase.SLEEPING: Exit.ACCEPTED,
    RunPhase.UNREADABLE: Exit.INFRASTRUCTURE,
    RunPhase.DAMAGED: Exit.INFRASTRUCTURE,
}


def of_phase(phase: RunPhase) -> Exit:
    """The exit code of a command that followed a run to `phase`."""
    return _OF_PHASE[phase]


def report(error: BaseException, environ: Mapping[str, str]) -> int:
    """Print `error` on stderr and return the exit code."""
    match error:
        case Damaged() if "interlock doctor" not in str(error):
            return _print(f"{error}\nnext: interlock doctor", _of_error(error))
        case InterlockError():
            return _print(str(error), _of_error(error))
        case click.Abort() | KeyboardInterrupt():
            return Exit.INTERRUPTED
        case click.ClickException():
            return _print(_click_message(error), Exit.USAGE)
        case BrokenPipeError():
            return _broken_pipe()
        case SystemExit(code=1) if sys.stdout is not sys.__stdout__:  # click replaced it: the reader is gone
            return _broken_pipe()
        case OSError() | MemoryError() | RuntimeError() if (trouble := machine_trouble(error)) is not None:
            silence(sys.stdout)
            return _print(str(trouble), Exit.INFRASTRUCTURE)
        case SystemExit():
            return error.code if isinstance(error.code, int) else Exit.USAGE
        case _:
            return _bug(error, environ)


def _of_error(error: InterlockError) -> Exit:
    match error:
        case UsageError():
            return Exit.USAGE
        case Cancelled():
            return Exit.NO
        case _:
            return Exit.INFRASTRUCTURE


def _print(message: str, code: Exit) -> int:
    note(f"error: {plain(message, _MESSAGE_MAX)}")
    return code


def _click_message(error: click.ClickException) -> str:
    message = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    return f"{message.rstrip('.')}: see `{context.command_path} --help`"


def _broken_pipe() -> int:
    """The reader of stdout, such as `head`, has ended: this is no error. Buffered output is dropped."""
    silence(sys.stdout)
    return Exit.ACCEPTED


def _bug(error: BaseException, environ: Mapping[str, str]) -> int:
    trace = "".join(traceback.format_exception(error))
    path = _save(f"interlock {__version__}, Python {sys.version}, {sys.platform}\n{sys.argv}\n\n{trace}", environ)
    note(f"error: a bug in Interlock: {type(error).__name__}: {plain(str(error), 400)}")
    if path is None:
        note(trace)
    else:
        note(f"The trace is in {path}; please report it. The run, if there was one, can be resumed.")
    return Exit.INFRASTRUCTURE


def _save(text: str, environ: Mapping[str, str]) -> Path | None:
    """Write it beside the state, else into the temporary folder. None if neither can be written."""
    from interlock.settings import paths_of  # lazy: only a bug needs it

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
