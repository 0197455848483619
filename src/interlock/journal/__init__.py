"""The append-only history of runs, and the evidence beside it: on disk, and in memory for tests.

`codec` turns events into text; what is shown is always a fold of the events and never kept.
"""

from interlock.journal.aside import SetAsideRuns
from interlock.journal.blobs import FileBlobs
from interlock.journal.memory import MemoryBlobs, MemoryJournal
from interlock.journal.sqlite import SqliteJournal

__all__ = ["FileBlobs", "MemoryBlobs", "MemoryJournal", "SetAsideRuns", "SqliteJournal"]
