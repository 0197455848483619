"""The append-only history of runs, and the evidence: on disk, and in memory for tests.

`codec` turns events into text. Views of a run are folded from its events and never stored.
"""

from interlock.journal.blobs import FileBlobs
from interlock.journal.chain import SetAsideRuns
from interlock.journal.memory import MemoryBlobs, MemoryJournal
from interlock.journal.runs import LocalRuns
from interlock.journal.sqlite import SqliteJournal

__all__ = ["FileBlobs", "LocalRuns", "MemoryBlobs", "MemoryJournal", "SetAsideRuns", "SqliteJournal"]
