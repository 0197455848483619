"""What waits for a slot or a named lock, as others can read it: one file for each, beside the slots.

Rule: it is for people alone. A file whose waiter died has no lock any more and is passed over; where none can be
written, the waiting goes on untold.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_FOLDER = "waiting"
_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class HeldUp:
    """Work of a run that waits: an attempt (STAGE/EPOCH.NUMBER), or a gate on one. `why` is for people."""

    run: str
    subject: str
    gate: str = ""
    why: str = ""

    @property
    def stage(self) -> str:
        return self.subject.partition("/")[0].partition("[")[0]

    @property
    def about(self) -> str:
        """As the lines of a run name it."""
        return "base" if self.subject.endswith("/0.0") else self.subject

    @property
    def words(self) -> str:
        return f"gate {self.gate} {self.why}" if self.gate else self.why


@contextmanager
def told(slots: Path, waits: HeldUp) -> Iterator[None]:
    """Around the waiting."""
    descriptor = -1
    name = "_".join([waits.run, waits.subject.replace("/", "-"), waits.gate, str(os.getpid())])
    path = slots / _FOLDER / name
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, json.dumps(asdict(waits)).encode())
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        if descriptor >= 0:
            os.close(descriptor)


def held_up(slots: Path, run: str) -> tuple[HeldUp, ...]:
    """What of the run waits now."""
    found = (_read(path) for path in sorted((slots / _FOLDER).glob(f"{run}_*")))
    return tuple(waits for waits in found if waits is not None)


def _read(path: Path) -> HeldUp | None:
    """None where it is over, or was left by a process that is dead."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(OSError, ValueError, TypeError):
            return HeldUp(**json.loads(os.pread(descriptor, _BYTES_MAX, 0)))
    finally:
        os.close(descriptor)
    return None
