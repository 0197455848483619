"""A program on the user's own terminal, such as a shell. It is the user's, so nothing bounds or ends it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from interlock.process.captured import cannot_start


def attended(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
    """Run `argv` with our standard streams and wait for its end. Returns its exit code, 128 and the number of
    the signal that ended it. An interrupt from the terminal is for the program alone.

    Raises InfrastructureError (permanent) where the program or `cwd` is missing. Call it on the main thread.
    """
    try:
        program = subprocess.Popen(argv, cwd=cwd, env=env)
    except OSError as error:
        raise cannot_start(argv, cwd, error) from error
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = program.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        if program.poll() is None:  # we were told to end: so is it
            program.terminate()
            program.wait()
    return code if code >= 0 else 128 - code
