"""The append-only history of runs, and the evidence beside it: on disk, and in memory for tests.

`codec` turns events into text; what is shown is always a fold of the events and never kept.
"""

from interlock.journal.aside import Aside
from interlock.journal.blobs import FileBlobs
from interlock.journal.memory import MemoryBlobs, MemoryJournal
from interlock.journal.sqlite import SqliteJournal

__all__ = ["Aside", "FileBlobs", "MemoryBlobs", "MemoryJournal", "SqliteJournal"]
