"""Named locks of gates (`exclusive`), and slots: small numbers with ports of their own.

Rule: both are files that the kernel frees when their holder dies. Names are taken in one order, so that
two gates never wait for each other.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from interlock.ports import Cancel, Cancelled, InfrastructureError

SLOTS_MAX = 64
PORTS_EACH = 100
_PORTS_FROM = 20_000  # below what systems give out by themselves
_WAIT_MAX_S = 4 * 3600
_POLL_S = 0.1


@contextmanager
def held(folder: Path, names: Sequence[str], cancel: Cancel) -> Iterator[None]:
    """Hold the locks `names` of `folder`. Raises Cancelled, and InfrastructureError after four hours of waiting."""
    with ExitStack() as stack:
        for name in sorted(set(names)):
            stack.enter_context(_waited(folder / f"exclusive-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.lock", cancel))
        yield


@contextmanager
def slot(folder: Path, cancel: Cancel) -> Iterator[int]:
    """A number from 0 that no other gate on this machine has. Waits where all are taken."""
    deadline = time.monotonic() + _WAIT_MAX_S
    while True:
        for number in range(SLOTS_MAX):
            descriptor = _taken(folder / f"slot-{number}.lock")
            if descriptor is not None:
                try:
                    yield number
                finally:
                    os.close(descriptor)
                return
        _pause(folder / "slot-*.lock", deadline, cancel)


def ports(number: int) -> tuple[int, int]:
    """The first and last port of a slot."""
    first = _PORTS_FROM + number * PORTS_EACH
    return first, first + PORTS_EACH - 1


@contextmanager
def _waited(path: Path, cancel: Cancel) -> Iterator[None]:
    deadline = time.monotonic() + _WAIT_MAX_S
    while (descriptor := _taken(path)) is None:
        _pause(path, deadline, cancel)
    try:
        yield
    finally:
        os.close(descriptor)


def _taken(path: Path) -> int | None:
    """The lock file, locked and open, or None where another one has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be opened for locking: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise InfrastructureError(f"{path}: cannot be locked: {error.strerror}") from error
    return descriptor


def _pause(path: Path, deadline: float, cancel: Cancel) -> None:
    if cancel.wait(_POLL_S):
        raise Cancelled(f"no longer wanted while waiting for {path.name}")
    if time.monotonic() > deadline:
        raise InfrastructureError(f"{path}: held by others for more than {_WAIT_MAX_S // 3600} hours: see who holds it")
