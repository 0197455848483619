"""Files that survive a power loss: first the contents, then the name, then the folder that holds the name.

Rule: a name that is written here stands for complete content, and is on the disk when the call returns. After a power
loss, a name that was written before its contents can name an empty file, and a name in a folder that was not synced
can be gone.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from interlock.ports.errors import InfrastructureError

PRIVATE = 0o700
_STALE_S = 3600.0  # no write of a file takes longer
_SYNC_EACH_MAX = 32  # files; above, one call syncs the whole file system
_ELSEWHERE = "set another folder in INTERLOCK_STATE_HOME or INTERLOCK_CACHE_HOME"


def disk_error(path: Path | str, error: OSError) -> InfrastructureError:
    """The error to raise if the disk fails at `path`."""
    advice = {
        errno.ENOSPC: "the disk is full: free some space",
        errno.EDQUOT: "the disk quota is used up: free some space",
        errno.EROFS: f"the file system is read-only: mount it writable, or {_ELSEWHERE}",
        errno.EACCES: f"no permission: correct the permissions, or {_ELSEWHERE}",
    }
    reason = advice.get(error.errno or 0, error.strerror or str(error))
    return InfrastructureError(f"{path}: {reason}", permanent=error.errno in (errno.EROFS, errno.EACCES))


# --- writing -----------------------------------------------------------------------------------


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make the folder and its parents. Each new name is on the disk when this returns. Raises OSError."""
    new = [at for at in (folder, *folder.parents) if not at.is_dir()]
    folder.mkdir(parents=True, exist_ok=True, mode=mode)
    sync_files(at.parent for at in new)


def make_private(folder: Path) -> None:
    """Make the folder, which nobody but its owner may enter from then on. Raises InfrastructureError."""
    try:
        make_folder(folder, PRIVATE)
        folder.chmod(PRIVATE)
    except OSError as error:
        raise disk_error(folder, error) from error


def put_file(path: Path, content: bytes | Iterable[bytes], *, mode: int | None = None, prefix: str = "") -> None:
    """Write a file, or replace it. The file gets exactly this mode, whatever the umask is. Raises OSError."""
    with _temporary(path, content, mode, prefix) as temporary:
        temporary.replace(path)
        sync_files([path.parent])


def put_first(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Write a file unless it exists. If two processes write at once, the first one wins. Raises OSError."""
    with _temporary(path, content, mode) as temporary:
        with suppress(FileExistsError):
            os.link(temporary, path)
        sync_files([path.parent])


def remove_stale(path: Path) -> None:
    """Remove temporary files of `path` that a killed process left. Files that cannot be removed stay."""
    with suppress(OSError):
        for stale in path.parent.glob(f".{path.name}.*"):
            if time.time() - stale.lstat().st_mtime > _STALE_S:
                stale.unlink()


def write_temporary(
    folder: Path, content: bytes | Iterable[bytes], *, prefix: str, mode: int | None = 0o444, sync: bool = False
) -> Path:
    """Write a new file in `folder`. If this raises OSError, no file is left."""
    path = folder / f"{prefix}{os.getpid()}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in [content] if isinstance(content, bytes) else content:
                file.write(chunk)
            file.flush()
            if mode is not None:
                with suppress(OSError):  # a file system without permissions
                    os.fchmod(file.fileno(), mode)
            if sync:
                os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    return path


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder that is on the disk; the new name is on the disk when this returns. Raises OSError."""
    source.rename(target)
    sync_files({source.parent, target.parent})


@contextmanager
def _temporary(path: Path, content: bytes | Iterable[bytes], mode: int | None, prefix: str = "") -> Iterator[Path]:
    """A synced temporary file beside `path` with this content. It is removed at the end."""
    temporary = write_temporary(path.parent, content, prefix=prefix or f".{path.name}.", mode=mode, sync=True)
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink()


# --- syncing -----------------------------------------------------------------------------------


def sync_files(paths: Iterable[Path]) -> None:
    """Sync each path: the contents of a file, the names in a folder. Raises OSError."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def sync_many(folder: Path, paths: Iterable[Path]) -> None:
    """Sync `paths`, which are below `folder`: one by one if they are few, else all at once. Raises OSError."""
    wanted = list(paths)
    if len(wanted) <= _SYNC_EACH_MAX or not _sync_system(folder):
        sync_files(wanted)


def sync_tree(folder: Path) -> None:
    """Sync everything below `folder`, whoever wrote it. Raises OSError."""
    if not _sync_system(folder):
        sync_files(_below(folder))


def _sync_system(folder: Path) -> bool:
    """Sync the file system that holds `folder`, in one call. False if this system has no such call."""
    import ctypes  # slow to import, and not needed to read

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
    """Regular files and folders, without following links; contents before the folders that name them."""
    for at, _, names in os.walk(folder, topdown=False):
        files = (Path(at, name) for name in names)
        yield from (path for path in files if path.is_file() and not path.is_symlink())
        yield Path(at)
