"""Our own short calls of trusted programs (git and the like): run to the end, all output in memory."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
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
        done = subprocess.run(argv, cwd=cwd, env=env, input=stdin, timeout=timeout_s, capture_output=True, check=False)
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            f"{argv[0]}: no end after {timeout_s:g} s ({' '.join(argv)}): is the machine or the disk overloaded?"
        ) from error
    except OSError as error:
        raise cannot_start(argv, cwd, error) from error
    return Captured(done.returncode, done.stdout, done.stderr)


def cannot_start(argv: Sequence[str], cwd: Path | None, error: OSError) -> InfrastructureError:
    if cwd is not None and not cwd.is_dir():
        return InfrastructureError(f"{argv[0]}: cannot run in {cwd}: there is no such folder", permanent=True)
    if isinstance(error, FileNotFoundError):
        return InfrastructureError(f"{argv[0]}: not found: install it, or put it on the PATH", permanent=True)
    permanent = isinstance(error, PermissionError)
    return InfrastructureError(f"{argv[0]}: cannot be started: {error.strerror}", permanent=permanent)
