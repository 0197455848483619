"""Reading a run that may be of another version, or damaged: one such run is told as such, and stops no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock.ports import Damaged, InfrastructureError


@contextmanager
def understood(run: str) -> Iterator[None]:
    """Around what reads the history of `run`. Raises InfrastructureError that names it, Damaged where it makes no
    sense."""
    try:
        yield
    except InfrastructureError as error:
        kind = Damaged if isinstance(error, Damaged) else InfrastructureError
        raise kind(f"run {run} cannot be read: {error}", permanent=error.permanent) from error
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise Damaged(f"run {run} cannot be read: its history does not fit together ({what})") from error


def lost() -> Damaged:
    """The journal knows nothing of a run that was recorded."""
    return Damaged(
        "it was recorded, and the journal knows nothing of it: journal.db or its -wal was removed, or an older copy is"
        " in its place; put the newest one back"
    )


def vanished(folder: Path) -> str:
    """The journal knows no run at all, and the folder was recorded, which is done once there is one."""
    return (
        f"the journal {folder / 'journal.db'} holds no run, and some were recorded: it was removed, or an empty one is"
        f" in its place; put the newest one back, with its -wal, or move the folder {folder} away to start anew"
    )
