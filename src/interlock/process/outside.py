"""Programs that act for the user: outside of the namespace of this process, if it has one in which files of other
owners look foreign (`mounts`). ssh, for one, refuses its own configuration there.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from interlock.ports import Cancel, InfrastructureError
from interlock.process import mounts
from interlock.process.controller import supervise
from interlock.process.programs import Captured, capture
from interlock.process.spawner import Finished, How, Supervised

_BYTES_MAX = 256 << 20
_SEPARATE = ("/bin/sh", "-c", 'said=$1; shift; exec "$@" 2> "$said"', "sh")  # a supervised program has one output


def capture_outside(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str], stdin: bytes = b"", timeout_s: float = 60
) -> Captured:
    """As `capture`."""
    if mounts.outside() is None:
        return capture(argv, cwd=cwd, env=env, stdin=stdin, timeout_s=timeout_s)
    with tempfile.TemporaryDirectory(prefix="interlock-outside-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        words = (*_SEPARATE, str(err), *argv)
        work = Supervised(words, cwd or Path.cwd(), env, out, timeout_s, stdin, log_bytes_max=_BYTES_MAX)
        done = supervise_outside(work, threading.Event())
        if done.how is How.TIMED_OUT:
            raise InfrastructureError(f"{argv[0]}: not finished after {timeout_s:g} s ({' '.join(argv)})")
        code = done.code if done.code is not None else 127
        return Captured(code, out.read_bytes(), err.read_bytes() if err.exists() else done.tail)


def supervise_outside(work: Supervised, cancel: Cancel) -> Finished:
    """As `supervise`."""
    return supervise(work, cancel, by=mounts.outside())
