"""The append-only history of runs, and the evidence: on disk, and in memory for tests.

`codec` turns events into text. Views of a run are folded from its events and never stored. Importing the package loads
nothing: what only decodes needs neither SQLite nor files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.journal.blobs import FileBlobs
    from interlock.journal.bucket import Bucket
    from interlock.journal.chain import SetAsideRuns
    from interlock.journal.memory import MemoryBlobs, MemoryJournal
    from interlock.journal.mirror import MirroredRuns
    from interlock.journal.runs import LocalRuns
    from interlock.journal.shared import PatientBlobs, SharedBlobs
    from interlock.journal.sqlite import SqliteJournal

__all__ = [
    "Bucket",
    "FileBlobs",
    "LocalRuns",
    "MemoryBlobs",
    "MemoryJournal",
    "MirroredRuns",
    "PatientBlobs",
    "SetAsideRuns",
    "SharedBlobs",
    "SqliteJournal",
]

_LAZY = {
    "Bucket": "bucket",
    "FileBlobs": "blobs",
    "LocalRuns": "runs",
    "MemoryBlobs": "memory",
    "MemoryJournal": "memory",
    "MirroredRuns": "mirror",
    "PatientBlobs": "shared",
    "SetAsideRuns": "chain",
    "SharedBlobs": "shared",
    "SqliteJournal": "sqlite",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
