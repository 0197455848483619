"""What must be on the disk before anything says that it is there.

Rule: contents first, then the name, then the folder that holds the name. After a power loss a name that came before
its contents can be that of an empty file, and one whose folder was not synced can be gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_SYNC_EACH_MAX = 32  # files; above, one call syncs the whole file system


def put_file(path: Path, chunks: Iterable[bytes], *, prefix: str = "tmp_", mode: int = 0o444) -> None:
    """Write a file that is there in full or not at all, and on the disk when this returns. Raises OSError."""
    temporary = write_temporary(path.parent, chunks, prefix=prefix, mode=mode, sync=True)
    temporary.replace(path)
    sync_files([path.parent])


def write_temporary(
    folder: Path, chunks: Iterable[bytes], *, prefix: str, mode: int = 0o444, sync: bool = False
) -> Path:
    """A new file in `folder` with this content. Raises OSError, and leaves nothing then."""
    fd, name = tempfile.mkstemp(prefix=prefix, dir=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if sync:
                os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    return Path(name)


def make_folder(folder: Path) -> None:
    """With those above it. The names of new ones are on the disk when this returns. Raises OSError."""
    new = [at for at in (folder, *folder.parents) if not at.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    sync_files(at.parent for at in new)


def rename(source: Path, target: Path) -> None:
    """Give what is on the disk its name, to stay. Raises OSError."""
    source.rename(target)
    sync_files({source.parent, target.parent})


def sync_files(paths: Iterable[Path]) -> None:
    """Onto the disk, one by one: contents of files, names in folders. Raises OSError."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def sync_many(folder: Path, paths: Iterable[Path]) -> None:
    """`paths`, which lie below `folder`: one by one where they are few, else all at once. Raises OSError."""
    wanted = list(paths)
    if len(wanted) <= _SYNC_EACH_MAX or not _sync_system(folder):
        sync_files(wanted)


def sync_tree(folder: Path) -> None:
    """All below `folder`, whoever wrote it. Raises OSError."""
    if not _sync_system(folder):
        sync_files(_below(folder))


def _sync_system(folder: Path) -> bool:
    """The file system around `folder`, in one call; false where this system has none."""
    try:
        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError):
        return False
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if syncfs(fd):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(fd)
    return True


def _below(folder: Path) -> Iterator[Path]:
    """Regular files and folders, nothing followed; contents before the folders that name them."""
    for at, _, names in os.walk(folder, topdown=False):
        files = (Path(at, name) for name in names)
        yield from (path for path in files if path.is_file() and not path.is_symlink())
        yield Path(at)
