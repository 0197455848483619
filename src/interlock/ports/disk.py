"""What is to stay after a power loss: contents first, then the name, then the folder that holds the name.

Rule: a name that is given here stands for whole content, and is on the disk when the call returns.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LEFT_S = 3600.0  # who puts a file takes no longer


def make_folder(folder: Path) -> None:
    """With those above it, for the user alone; each new one stays after a power loss. Raises OSError."""
    new = [at for at in (folder, *folder.parents) if not at.is_dir()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for made in new:
        sync_folder(made.parent)


def put_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """In the place of what is there, with these rights whatever the umask says. Raises OSError."""
    with _written(path, content, mode) as fresh:
        fresh.replace(path)
        sync_folder(path.parent)


def put_first(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Where nothing is there yet: of two that put at once the first wins. Raises OSError."""
    with _written(path, content, mode) as fresh:
        with suppress(FileExistsError):
            os.link(fresh, path)
        sync_folder(path.parent)


def remove_left(path: Path) -> None:
    """What a kill left beside `path` while it was put there. What cannot be removed stays."""
    with suppress(OSError):
        for left in path.parent.glob(f".{path.name}.*"):
            if time.time() - left.lstat().st_mtime > _LEFT_S:
                left.unlink()


def sync_folder(folder: Path) -> None:
    """The names in it, onto the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _written(path: Path, content: bytes, mode: int | None) -> Iterator[Path]:
    """The content in a file beside `path`, which is gone at the end."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with fresh.open("xb") as file:
            if mode is not None:
                with suppress(OSError):  # a file system without rights
                    os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    finally:
        with suppress(OSError):
            fresh.unlink()
