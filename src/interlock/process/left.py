"""What a dead controller may have left at work: a supervisor that somebody stopped, with the program below it.

Rule: a supervisor ends its program when its controller is gone, unless it is stopped itself. So who it is stands in a
file beside the program's log, and whoever clears that place away ends it first.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from interlock.ports import InfrastructureError
from interlock.process.identity import alive, identity, kill_tree

_NAME = "supervisor"


def note_supervisor(folder: Path, pid: int) -> None:
    """Write down who supervises the program whose log lies in `folder`. A full disk is no reason not to start it."""
    with suppress(OSError):
        (folder / _NAME).write_text(f"{pid} {identity(pid)}", encoding="ascii")


def end_left(place: Path) -> None:
    """End every program below `place` that still has its supervisor. Raises InfrastructureError where one stays."""
    for note in place.glob(f"*/{_NAME}"):
        try:
            pid, _, started = note.read_text(encoding="ascii").partition(" ")
        except (OSError, UnicodeError):
            continue
        if pid.isdigit() and alive(int(pid), started) and not kill_tree(int(pid)):
            raise InfrastructureError(f"process {pid} is still at work in {place} and cannot be ended: end it by hand")
