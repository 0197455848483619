"""What a program in a room may use: what the pipeline says, else a default that no ordinary build meets.

A default is a share of what the machine has, so that one program cannot take all of it: the others and Interlock go on.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from interlock.ports import Checkout
from interlock.process import Limits

_MEMORY_SHARE = 0.8
_DISK_SHARE = 0.8  # of what is free
_PROCESSES_MIN, _PROCESSES_PER_CPU = 4_096, 128
_FILES = 5_000_000
_FILE = 10**12  # programs make files that are much larger than what is in them


def limits_of(checkout: Checkout, writes: tuple[Path, ...], *, taken: bool) -> Limits:
    """The limits of a program that writes in the folders of a checkout and in `writes`. `taken`: what it leaves in its
    tree is read."""
    given = checkout.sandbox.limits
    places = (checkout.changed, checkout.home, checkout.tmp, *writes)
    free, nodes = _free(checkout.tree)
    processes = given.processes or max(_PROCESSES_MIN, _PROCESSES_PER_CPU * (os.cpu_count() or 1))
    return Limits(
        memory=given.memory_bytes or int(_memory() * _MEMORY_SHARE),
        processes=processes,
        file_size=given.file_bytes or _FILE,
        disk=given.disk_bytes or int(free * _DISK_SHARE),
        files=given.files or min(_FILES, int(nodes * _DISK_SHARE) or _FILES),
        places=tuple(map(str, places)),
        taken=taken,
        of_free=not given.disk_bytes,
    )


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _free(folder: Path) -> tuple[int, int]:
    """Bytes, and files that can be made; 0 if that is not known."""
    with suppress(OSError):
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize, found.f_ffree
    return 0, 0
