"""One owner for each run: a lock that the kernel releases when its holder ends, however it ends.

The file names the holder, for messages; the lock alone decides. The file stays when the lock is released, because
removing it would let two processes lock two files of one name. To seize a run from an owner that does not end, a new
file replaces the old one: a lock on a file that no longer has the name counts nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from interlock.ports import InfrastructureError, as_infrastructure

_WAIT_S = 0.2  # `owner_of` holds the lock for an instant, so one refusal proves nothing
_PAUSE_S = 0.01
_SEIZED_MAX = 10  # how often the file may be replaced while we lock it, each time by a person who takes the run over
_TEXT_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, as it describes itself. `started` is text for people."""

    pid: int
    host: str
    started: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.started}"


class Owned(InfrastructureError):
    """Another process holds the lock. `owner` is None if the file does not name it."""

    def __init__(self, message: str, owner: Owner | None) -> None:
        super().__init__(message)
        self.owner = owner


class RunLock:
    """Locks a run from `with` to its end. Not for several threads, nor for two uses at once. `busy` is what a holder
    does to the run; the lock is waited for up to `wait_s`. `seize` takes the lock from its holder: the caller makes
    sure that nobody else does so at the same time, and that the former owner is fenced off."""

    def __init__(
        self, path: Path, owner: Owner, *, busy: str = "run", wait_s: float = _WAIT_S, seize: bool = False
    ) -> None:
        self._path = path
        self._owner = owner
        self._busy = busy
        self._wait_s = wait_s
        self._seize = seize
        self._descriptor = -1

    def __enter__(self) -> RunLock:
        """Raises Owned, which names the holder, or InfrastructureError."""
        text = json.dumps(asdict(self._owner))
        self._descriptor = _replace(self._path, text) if self._seize else self._acquired()
        if not self._seize:
            _write(self._descriptor, text, self._path)
        return self

    def __exit__(self, *raised: object) -> None:
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1

    def check(self) -> None:
        """Raises Owned if somebody has seized the lock since."""
        if not _has_name(self._descriptor, self._path):
            raise self._owned(owner_of(self._path))

    def _acquired(self) -> int:
        for _ in range(_SEIZED_MAX):
            descriptor = self._locked()
            if _has_name(descriptor, self._path):
                return descriptor
            os.close(descriptor)
        raise self._owned(None)

    def _locked(self) -> int:
        descriptor = _open(self._path)
        try:
            with as_infrastructure():
                locked = _try_lock(descriptor, self._wait_s)
        except InfrastructureError:
            os.close(descriptor)
            raise
        if not locked:
            holder = _read_owner(descriptor)
            os.close(descriptor)
            raise self._owned(holder)
        return descriptor

    def _owned(self, holder: Owner | None) -> Owned:
        return Owned(f"{self._path.stem} is being {self._busy} by {holder or 'another process'}", holder)


def this_process() -> Owner:
    """This process, as the owner of what it locks."""
    return Owner(os.getpid(), os.uname().nodename, datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"))


@contextmanager
def one_effect(path: Path, owner: Owner, wait_s: float) -> Iterator[None]:
    """One delivery or push of a run at a time, over all processes. The error names a process that does not finish."""
    with ExitStack() as stack:
        try:
            stack.enter_context(RunLock(path, owner, busy="delivered or pushed", wait_s=wait_s))
        except Owned as error:
            mend = f"wait for it, or end it if it was stopped (kill -9 {error.owner.pid})" if error.owner else "wait"
            raise InfrastructureError(f"{error}: {mend}; then try again") from error
        yield


def owner_of(path: Path) -> Owner | None:
    """The holder of the lock; None if there is none. A holder that the file does not name has pid 0."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        with as_infrastructure():
            return _holder(descriptor)
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> Owner | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_owner(descriptor) or Owner(0, "an unknown host", "an unknown time")
    return None


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InfrastructureError(
            f"the lock {path} could not be made ({error.strerror}): make {path.parent} writable, or set another"
            " folder in INTERLOCK_STATE_HOME",
            permanent=True,
        ) from error


def _replace(path: Path, text: str) -> int:
    """Replace the file by a new one that we hold locked."""
    with as_infrastructure():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, made = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.parent)
        name = Path(made)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(descriptor, text.encode(), 0)
            name.replace(path)
        except OSError:
            os.close(descriptor)
            name.unlink()
            raise
    return descriptor


def _has_name(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(descriptor: int, wait_s: float) -> bool:
    for tries in range(max(1, round(wait_s / _PAUSE_S))):
        if tries:
            time.sleep(_PAUSE_S)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def _read_owner(descriptor: int) -> Owner | None:
    try:
        found = json.loads(os.pread(descriptor, _TEXT_BYTES_MAX, 0))
        return Owner(int(found["pid"]), str(found["host"]), str(found["started"]))
    except (ValueError, KeyError, TypeError):
        return None


def _write(descriptor: int, text: str, path: Path) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    except OSError as error:
        os.close(descriptor)
        raise InfrastructureError(f"the lock {path} could not be written: {error.strerror}", permanent=True) from error
