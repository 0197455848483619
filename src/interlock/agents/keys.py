"""A program's own keys, given to it in files of its state and not in its environment, which its commands would see."""

from __future__ import annotations

import os
from pathlib import Path


def private(path: Path, content: str) -> Path:
    """A file that nobody else may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    return path
