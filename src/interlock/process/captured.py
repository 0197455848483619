"""Our own short calls of trusted programs (git and the like): run to the end, all output in memory."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from interlock.ports import InfrastructureError
from interlock.process.work import Captured


def capture(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout_s: float = 60,
) -> Captured:
    """Run `argv` with exactly `env` and return its exit code and output.

    Raises InfrastructureError: permanent where the program or `cwd` is missing, passing where it takes
    longer than `timeout_s` seconds. A code other than 0 is for the caller to judge.
    """
    try:
        program = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that it ends with its children, and cannot ask on the terminal
        )
    except OSError as error:
        raise cannot_start(argv, cwd, error) from error
    with program:
        try:
            out, err = program.communicate(stdin, timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill(program)
            raise InfrastructureError(
                f"{argv[0]}: no end after {timeout_s:g} s ({' '.join(argv)}): is the machine or the disk overloaded?"
            ) from error
        except BaseException:
            _kill(program)
            raise
    return Captured(program.returncode, out, err)


def _kill(program: subprocess.Popen[bytes]) -> None:
    """With all of its session's first group; it is not waited for yet, so the number is still its own."""
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)


def cannot_start(argv: Sequence[str], cwd: Path | None, error: OSError) -> InfrastructureError:
    if cwd is not None and not cwd.is_dir():
        return InfrastructureError(f"{argv[0]}: cannot run in {cwd}: there is no such folder", permanent=True)
    if isinstance(error, FileNotFoundError):
        return InfrastructureError(f"{argv[0]}: not found: install it, or put it on the PATH", permanent=True)
    permanent = isinstance(error, PermissionError)
    return InfrastructureError(f"{argv[0]}: cannot be started: {error.strerror}", permanent=permanent)
