"""Folders of the journal and the evidence: for the user alone, and on the disk before anything is put into them."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """With those above it; each new one stays after a power loss. Raises OSError."""
    new = [at for at in (folder, *folder.parents) if not at.is_dir()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for made in new:
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """The names in it, onto the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
