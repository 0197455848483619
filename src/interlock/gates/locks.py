"""Named locks of gates (`exclusive`), and slots: small numbers with ports of their own.

Rule: both are files that the kernel unlocks when their owner dies. A slot is taken before names, and names are taken in
one order, so that two gates never wait for each other. Whatever waits says so in a file beside the slots, for people
only. Such a file is locked; if its owner died it is not, and is ignored.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from interlock.ports import Cancel, Cancelled, InfrastructureError, has_worked, may_begin

PORTS_EACH = 49  # so that 256 slots have room
_PORTS_FROM = 20_000  # below the ports that systems assign by themselves
_NAME = "INTERLOCK_SLOT"
_WAIT_MAX_S = 4 * 3600
_POLL_S = 0.1
_FLIGHT_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Slot:
    """One of the programs that run at once on this machine."""

    number: int

    @property
    def environment(self) -> dict[str, str]:
        """For the program in the slot: its number and its own ports."""
        first = _PORTS_FROM + self.number * PORTS_EACH
        last = first + PORTS_EACH - 1
        return {_NAME: str(self.number), "INTERLOCK_PORT": str(first), "INTERLOCK_PORT_LAST": str(last)}


@dataclass(frozen=True, slots=True)
class Slots:
    """`count` slots as files of `folder`, shared by all runs of the user. A program that already runs in a slot stays
    in it, such as the gates that an agent runs: `environ` has its number."""

    folder: Path
    count: int = 16
    environ: Mapping[str, str] | None = None

    @contextmanager
    def acquire(self, cancel: Cancel, who: WaitingWork | None = None) -> Iterator[Slot]:
        """A slot that no other program has. Waits if all are taken, and shows that `who` waits. Raises as
        `hold_locks`."""
        held_by_us = (self.environ or {}).get(_NAME, "")
        if held_by_us.isdecimal():
            yield Slot(int(held_by_us))
            return
        number, descriptor = self._try_slots() or self._wait_for_slot(cancel, who)
        try:
            if not may_begin(cancel):
                raise Cancelled("nothing new may start")
            yield Slot(number)
            has_worked(cancel)
        finally:
            os.close(descriptor)

    def _wait_for_slot(self, cancel: Cancel, who: WaitingWork | None) -> tuple[int, int]:
        deadline = time.monotonic() + _WAIT_MAX_S
        taken = "the only one is taken" if self.count == 1 else f"all {self.count} are taken"
        why = f"waits for a slot: {taken}, over all your runs (`slots` in your settings)"
        with show_waiting(self.folder, replace(who, why=why)) if who else nullcontext():
            while (found := self._try_slots()) is None:
                _pause(self.folder / "slot-*.lock", deadline, cancel)
        return found

    def _try_slots(self) -> tuple[int, int] | None:
        """The first free slot, and its open lock file."""
        for number in range(self.count):
            descriptor = _try_lock(self.folder / f"slot-{number}.lock")
            if descriptor is not None:
                return number, descriptor
        return None


Waits = Callable[[str], AbstractContextManager[None]]  # a context around waiting for a name


@contextmanager
def hold_locks(
    folder: Path, names: Sequence[str], cancel: Cancel, waits: Waits = lambda _: nullcontext()
) -> Iterator[None]:
    """Hold the locks `names` of `folder`. Raises Cancelled, and InfrastructureError after four hours of waiting."""
    with ExitStack() as stack:
        for name in sorted(set(names)):
            path = folder / f"exclusive-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.lock"
            descriptor = _try_lock(path)
            if descriptor is None:
                with waits(name):
                    descriptor = _wait_for_lock(path, cancel)
            stack.callback(os.close, descriptor)
        yield


def _wait_for_lock(path: Path, cancel: Cancel) -> int:
    deadline = time.monotonic() + _WAIT_MAX_S
    while (descriptor := _try_lock(path)) is None:
        _pause(path, deadline, cancel)
    return descriptor


def _try_lock(path: Path) -> int | None:
    """The lock file, locked and open; None if another process or gate has it."""
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
    if cancel.wait(_POLL_S) or not may_begin(cancel):
        raise Cancelled(f"no longer wanted while waiting for {path.name}")
    if time.monotonic() > deadline:
        raise InfrastructureError(
            f"{path}: held by other processes for more than {_WAIT_MAX_S // 3600} hours: find them (lsof)"
        )


_FOLDER = "waiting"
_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class WaitingWork:
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
        """Its name in the output for people."""
        return "base" if self.subject.endswith("/0.0") else self.subject

    @property
    def words(self) -> str:
        return f"gate {self.gate} {self.why}" if self.gate else self.why


@contextmanager
def show_waiting(slots: Path, waits: WaitingWork) -> Iterator[None]:
    """Show that work waits, as long as the context lasts."""
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


def waiting_work(slots: Path, run: str) -> tuple[WaitingWork, ...]:
    """The work of the run that waits now."""
    found = (_read(path) for path in sorted((slots / _FOLDER).glob(f"{run}_*")))
    return tuple(waits for waits in found if waits is not None)


def _read(path: Path) -> WaitingWork | None:
    """None if the waiting is over, or its process died."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(OSError, ValueError, TypeError):
            return WaitingWork(**json.loads(os.pread(descriptor, _BYTES_MAX, 0)))
    finally:
        os.close(descriptor)
    return None


class SingleFlight:
    """Equal keys in one process are judged one after the other, so that the second finds what the first one left."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._keys: set[str] = set()

    @contextmanager
    def alone(self, key: str, cancel: Cancel) -> Iterator[None]:
        """Wait until no other thread judges `key`; its own timeout bounds the wait. Raises Cancelled."""
        with self._lock:
            while key in self._keys:
                if cancel.is_set():
                    raise Cancelled("no longer wanted while another gate was judging the same")
                self._lock.wait(_FLIGHT_POLL_S)
            self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(key)
                self._lock.notify_all()
