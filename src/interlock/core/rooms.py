"""What a pipeline allows the rooms in which its programs work: what they may read, and what they may use."""

from __future__ import annotations

from interlock.core.values import dataclass


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """What each program in a sandbox may use, with all that it starts. 0: the default of the machine."""

    memory_bytes: int = 0
    processes: int = 0  # with their threads
    file_bytes: int = 0  # of one file
    disk_bytes: int = 0  # of all that it writes
    files: int = 0  # that it makes or changes


@dataclass(frozen=True, slots=True)
class RoomSpec:
    """What every sandbox of the pipeline allows: absolute paths of the machine that may be read, sandboxes that the
    programs in it make by themselves, and what they may use."""

    read: tuple[str, ...] = ()
    nested: bool = False
    limits: RoomLimits = RoomLimits()
