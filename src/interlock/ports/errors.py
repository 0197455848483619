"""What is expected to go wrong, and what ends an effect. Anything else is a bug, and crashes.

What the machine says when it has no room, in the words of an expected error.

Rule: what is short for a moment is never a defect of ours and never a mistake of the caller.
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
    """An infrastructure error: of the machine, a program or the disk. `permanent` where retrying cannot help; `undone`
    where it is known that nothing of the effect is there. `rule` names the kind in findings."""

    rule = "infrastructure"

    def __init__(self, message: str, *, permanent: bool = False, undone: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.undone = undone


class Damaged(InfrastructureError):
    """What was recorded is not all there any more, or not as it was. Nothing that is done again can help."""

    def __init__(self, message: str, *, permanent: bool = True) -> None:
        super().__init__(message, permanent=permanent)


class Fenced(InterlockError):
    """This process no longer owns the run: another one took it."""


class Cancelled(InterlockError):
    """The effect is no longer wanted; it left nothing behind."""


class UnfitTree(InterlockError):
    """What the agent left cannot be made into a commit. `findings` say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


class UnfitSetup(InterlockError):
    """Setup fails on these files, and works on those that they are compared with. `output` is what it printed last."""

    def __init__(self, message: str, output: bytes) -> None:
        super().__init__(message)
        self.output = output


class DeliveryRefused(InterlockError):
    """A person must decide: the branch is somewhere else, or checked out. It is said after a look: `undone` holds, but
    where somebody had begun earlier."""

    undone = True


# --- what the machine refuses ----------------------------------------------------------------


_MEND = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or have the quota raised",
    errno.EROFS: "mount it writable",
    errno.EIO: "look at the disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close programs that hold many files",
    errno.ENOMEM: "free memory",
    errno.EAGAIN: "is there room for more processes and threads (ulimit -u, or the container's limit)?",
    errno.ENOLCK: "this file system has no locks: name folders on a local one in INTERLOCK_STATE_HOME and"
    " INTERLOCK_CACHE_HOME",
    errno.ENOBUFS: "free memory",
    errno.ESTALE: "mount it again",
    errno.ENXIO: "look at the disk",
    errno.ENODEV: "look at the disk",
    errno.ETIMEDOUT: "is it on a network that is down?",
}
_SAID = frozenset(os.strerror(number) for number in _MEND if number != errno.ETIMEDOUT)
_THREAD = "can't start new thread"
_OWN_WORDS = ("unable to create thread", "Out of memory", "out of memory")


def machine_trouble(error: BaseException) -> InfrastructureError | None:
    """The expected error for what the machine refused; None where it is something else."""
    match error:
        case MemoryError():
            return InfrastructureError("there is no memory left: free some, then try again")
        case RuntimeError() if _THREAD in str(error):
            return InfrastructureError(f"no thread can be started: {_MEND[errno.EAGAIN]}")
        case OSError(errno=int(number)) if number in _MEND:
            return InfrastructureError(f"{_about(error)}{os.strerror(number)}: {_MEND[number]}, then try again")
        case _:
            return None


@contextmanager
def as_infrastructure() -> Iterator[None]:
    """Around an effect: whatever the system refuses in it is infrastructure, since its paths are ours."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        trouble = machine_trouble(error)
        if trouble is None and isinstance(error, OSError):
            trouble = InfrastructureError(f"{_about(error)}{error.strerror or error}")
        if trouble is None:
            raise
        raise trouble from error


def started(thread: threading.Thread) -> bool:
    """Start it; False where the machine has no room for one more."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def names_trouble(said: str) -> bool:
    """Whether a program of ours, asked in the C locale, complains of the machine."""
    return any(words in said for words in (*_SAID, *_OWN_WORDS))


def _about(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    return f"{os.fsdecode(name)}: " if isinstance(name, str | bytes) else ""
