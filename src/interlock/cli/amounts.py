"""Bytes: counted on the disk, and written for people."""

from __future__ import annotations

import os
from pathlib import Path


def size(count: int) -> str:
    """`0 B`, `12 kB`, `3.4 MB`: powers of a thousand."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def on_disk(path: Path) -> int:
    """Bytes that a file or folder takes on the disk; 0 where there is none. What goes away meanwhile is left out."""
    total = _of(path)
    for folder, folders, files in os.walk(path):
        total += sum(_of(Path(folder) / name) for name in (*folders, *files))
    return total


def _of(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0
