"""Histories that outlive the server's retention: each lies among the shared blobs, found by the name of its run.

Rule: what is kept is the history up to a moment; while the server knows the run, the server says more.
"""

from __future__ import annotations

import re

from interlock.core.events import Recorded
from interlock.engines.temporal.messages import unpacked
from interlock.journal.mirror import require_own
from interlock.ports import Damaged, InfrastructureError, NamedBlobs, UsageError

_RUN = re.compile(r"\w[\w-]{0,99}", re.ASCII)


def keep_history(blobs: NamedBlobs, run: str, text: str) -> str:
    """`text` is the whole history so far, as `messages.packed` makes it. Returns its digest. Raises
    InfrastructureError, and UsageError for a run whose id is none."""
    digest = blobs.put(text.encode())
    blobs.keep(_entry(run), digest.encode())
    return digest


def kept_history(blobs: NamedBlobs, run: str) -> list[Recorded] | None:
    """None if nothing was kept of the run. Raises InfrastructureError, Damaged, UsageError as `keep_history`."""
    entry = blobs.kept(_entry(run))
    return None if entry is None else history_of(blobs, run, entry.decode("ascii", "replace"))


def history_of(blobs: NamedBlobs, run: str, digest: str) -> list[Recorded]:
    """The history of the run that was kept under this digest. Raises InfrastructureError, Damaged."""
    try:
        records = unpacked(blobs.get(digest).decode("ascii"))
        require_own(run, records)
        return records
    except InfrastructureError:
        raise
    except Exception as error:
        raise Damaged(f"what was kept of the history of run {run} cannot be read: {error}") from error


def _entry(run: str) -> str:
    if _RUN.fullmatch(run) is None:
        raise UsageError(f"{run!r:.60} is no id of a run: ids are like 20261126-154729-g653dj")
    return f"histories/{run}"
