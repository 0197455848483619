"""Conflicts of a merge that no marker in a file shows: what each side did to the path. Kept in the journal."""

from __future__ import annotations

from enum import StrEnum

from interlock.core.values import dataclass


class SideChange(StrEnum):
    """What a side of a merge did to a path."""

    ADDED = "added"
    CHANGED = "changed"
    DELETED = "deleted"
    FOLDER = "made a folder of"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the merged stages, and what it did to a path in conflict."""

    stage: str
    commit: str
    did: SideChange


@dataclass(frozen=True, slots=True)
class Undecided:
    """A path in conflict of which no marker in a file says so: somebody must name what holds."""

    path: str
    kind: str  # as git calls it: modify/delete, binary, file/directory...
    sides: tuple[Side, ...]
    left: str = ""  # what the merge has there for now
    marked: bool = False  # there are markers beside
