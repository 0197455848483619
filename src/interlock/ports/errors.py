"""Expected errors, and exceptions that end an effect. Any other exception is a bug and crashes.

Rule: a shortage of the machine (disk, memory, files, threads) is an expected error: neither our bug nor the caller's
mistake.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from interlock.core.events import Finding


class InterlockError(Exception):
    """An expected error: says what happened, where, and what would be right."""


class UsageError(InterlockError):
    """The call or the pipeline is wrong. Exit code 2."""


class InfrastructureError(InterlockError):
    """An error of the machine, a program or the disk. `permanent`: a retry cannot help. `undone`: the effect is known
    to have left nothing. `rule` names the kind in findings."""

    rule = "infrastructure"

    def __init__(self, message: str, *, permanent: bool = False, undone: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.undone = undone


class Damaged(InfrastructureError):
    """A record is missing or changed. A retry cannot help."""

    def __init__(self, message: str, *, permanent: bool = True) -> None:
        super().__init__(message, permanent=permanent)


class Fenced(InterlockError):
    """This process no longer owns the run, because another one took it over."""


class Cancelled(InterlockError):
    """The effect is no longer wanted. It left nothing behind."""


class UnfitTree(InterlockError):
    """The files that the agent left cannot become a commit. `findings` say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


class UnfitSetup(InterlockError):
    """Setup fails on these files and works on the files of the control commit. `output` is the end of its output."""

    def __init__(self, message: str, output: bytes) -> None:
        super().__init__(message)
        self.output = output


class DeliveryRefused(InterlockError):
    """A person must decide: the branch is at another commit, or it is checked out. It is raised before anything is
    written, so `undone` holds unless an earlier delivery had begun."""

    undone = True


# --- errors of the machine ---------------------------------------------------------------------


_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise the quota",
    errno.EROFS: "mount it writable",
    errno.EIO: "check the disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close programs that hold many files",
    errno.ENOMEM: "free memory",
    errno.EAGAIN: "raise the limit of processes and threads (ulimit -u, or the container's limit)",
    errno.ENOLCK: "this file system does not support locks: set folders on a local one in INTERLOCK_STATE_HOME and"
    " INTERLOCK_CACHE_HOME",
    errno.ENOBUFS: "free memory",
    errno.ESTALE: "mount it again",
    errno.ENXIO: "check the disk",
    errno.ENODEV: "check the disk",
    errno.ETIMEDOUT: "check the network if it is a network disk",
}
_MESSAGES = frozenset(os.strerror(number) for number in _ADVICE if number != errno.ETIMEDOUT)
_THREAD = "can't start new thread"
_OTHER_MESSAGES = ("unable to create thread", "Out of memory", "out of memory")


def machine_trouble(error: BaseException) -> InfrastructureError | None:
    """The expected error, if the machine refused something; None for any other error."""
    match error:
        case MemoryError():
            return InfrastructureError("the memory is full: free some, then try again")
        case RuntimeError() if _THREAD in str(error):
            return InfrastructureError(f"no thread can be started: {_ADVICE[errno.EAGAIN]}")
        case OSError(errno=int(number)) if number in _ADVICE:
            return InfrastructureError(f"{_about(error)}{os.strerror(number)}: {_ADVICE[number]}, then try again")
        case _:
            return None


@contextmanager
def as_infrastructure() -> Iterator[None]:
    """Raise every error of the system within as InfrastructureError. Use it where all paths are Interlock's own."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        expected = machine_trouble(error)
        if expected is None and isinstance(error, OSError):
            expected = InfrastructureError(f"{_about(error)}{error.strerror or error}")
        if expected is None:
            raise
        raise expected from error


@contextmanager
def as_failure() -> Iterator[None]:
    """Raise every expected error within as InfrastructureError, permanent where a retry cannot help, so that one fact
    tells of it. What ends the effect without a fact, Fenced and Cancelled, is raised as it is."""
    try:
        with as_infrastructure():
            yield
    except (InfrastructureError, Fenced, Cancelled):
        raise
    except InterlockError as error:
        undone = isinstance(error, DeliveryRefused) and error.undone
        raise InfrastructureError(str(error), permanent=True, undone=undone) from error


def started(thread: threading.Thread) -> bool:
    """Start the thread. False if the machine cannot run one more."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def reports_machine_error(output: str) -> bool:
    """Whether the output of a program (in the C locale) reports a shortage of the machine."""
    return any(message in output for message in (*_MESSAGES, *_OTHER_MESSAGES))


def _about(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    return f"{os.fsdecode(name)}: " if isinstance(name, str | bytes) else ""
