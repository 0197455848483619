"""Evidence in files that are named by the sha256 of their content.

A file is written under a temporary name, synced and renamed, and then its folder is synced. So a name always stands for
complete content and survives a power loss. Putting the same content again repairs a truncated file. Reading checks the
digest. Others may write to a folder that machines share: only regular files are read there, up to a bound.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from interlock.journal.rules import CONTENT_MAX, ENTRY_MAX, FILE_MAX, missing, require_small
from interlock.ports import InfrastructureError, UsageError
from interlock.ports.disk import PRIVATE, disk_error, make_folder, put_file, put_first, sync_files

_CHUNK_BYTES = 1 << 20
_TRIAL = b"interlock was here"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")


class FileBlobs:
    """Implements `ports.NamedBlobs` under `root`, which is made at first use. Raises InfrastructureError."""

    def __init__(self, root: Path, *, shared: bool = False) -> None:
        """With `shared`, `root` is a folder of other machines too, and is not made: it may not be mounted."""
        self._root = root
        self._shared = shared

    def __str__(self) -> str:
        return str(self._root)

    def check(self) -> None:
        """Write something and read it back. Raises InfrastructureError that says what to do."""
        with self._explained(self._root), self._fresh() as (file, name):
            file.write(_TRIAL)
            file.flush()
            os.fsync(file.fileno())
            if name.read_bytes() != _TRIAL:
                raise InfrastructureError(f"{self._root} does not hold what is written to it: check its disk")

    def put(self, content: bytes) -> str:
        digest = sha256(content).hexdigest()
        target = self.path(digest)
        with self._explained(target):
            if not _is_kept(target, len(content)):
                self._put_new(content, target)
        return digest

    def put_file(self, path: Path) -> tuple[str, int]:
        """Raises UsageError if `path` is not a regular file, such as a link or a device."""
        with self._explained(self._root), _opened(path) as source, self._fresh() as (file, name):
            digest, size = _copy(source, file)
            target = self.path(digest)
            if not _is_kept(target, size):
                _settle(file, name, target)
        return digest, size

    def get(self, digest: str) -> bytes:
        try:
            target = self.path(digest)
            content = _read(target, CONTENT_MAX)
        except (KeyError, OSError) as error:
            raise missing(digest, self._root, shared=self._shared) from error
        if sha256(content).hexdigest() != digest:
            raise InfrastructureError(
                f"{target} does not match its digest: the disk is failing, or somebody changed the"
                " file: restore it from a backup, or start a new run",
                permanent=True,
            )
        return content

    def size(self, digest: str) -> int | None:
        try:
            found = self.path(digest).lstat()
        except (KeyError, OSError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def path(self, digest: str) -> Path:
        """Where the content is on this machine, for people, whether it exists or not. Raises KeyError if `digest` is no
        digest."""
        if _DIGEST.fullmatch(digest) is None:
            raise KeyError(digest)
        return self._root / digest[:2] / digest[2:]

    def keep(self, name: str, content: bytes) -> None:
        """A small entry with a name of its own, in place of the former one: see `ports.NamedBlobs`."""
        target = self._named(name)
        with self._explained(target):
            make_folder(target.parent, PRIVATE)
            put_file(target, content, mode=0o644)

    def keep_first(self, name: str, content: bytes) -> bytes:
        target = self._named(name)
        with self._explained(target):
            if self._shared and not self._root.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._root))
            make_folder(target.parent, PRIVATE)
            put_first(target, content, mode=0o644)
        found = self.kept(name)
        if found is None:
            raise InfrastructureError(f"{target} does not hold what is written to it: check its disk")
        return found

    def kept(self, name: str) -> bytes | None:
        target = self._named(name)
        try:
            return _read(target, ENTRY_MAX)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(target, error) from error

    def _named(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of an entry")
        return self._root / "named" / name

    @contextmanager
    def _explained(self, target: Path) -> Iterator[None]:
        other = "correct temporal.blobs" if self._shared else "name another folder in INTERLOCK_STATE_HOME"
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                what = "the disk is full: free some space, then resume the run"
            elif self._shared and not self._root.is_dir():
                what = f"there is no folder {self._root}: mount or make it, or {other} in the settings"
            else:
                what = f"{error.strerror or error}: make it writable, or {other}"
            permanent = error.errno in (errno.EROFS, errno.EACCES)
            raise InfrastructureError(
                f"evidence could not be written to {target}: {what}", permanent=permanent
            ) from error

    def _put_new(self, content: bytes, target: Path) -> None:
        with self._fresh() as (file, name):
            file.write(content)
            _settle(file, name, target)

    @contextmanager
    def file(self, digest: str) -> Iterator[Path]:
        """The content as a file, while in use. Its digest is not checked. Raises InfrastructureError if there is
        none."""
        size = self.size(digest)
        if size is None:
            raise missing(digest, self._root, shared=self._shared)
        require_small(self.path(digest), size, FILE_MAX)
        yield self.path(digest)

    @contextmanager
    def _fresh(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A new temporary file, removed at the end unless it was renamed."""
        if not self._shared:
            make_folder(self._root, PRIVATE)
        descriptor, text = tempfile.mkstemp(prefix="put-", dir=self._root)
        name = Path(text)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, name
        finally:
            with suppress(FileNotFoundError):
                name.unlink()


def _is_kept(target: Path, size: int) -> bool:
    """Whether the complete file exists. Its folder is synced, since its writer may not have done so yet."""
    try:
        found = target.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False  # truncated by a power loss or a failing disk: write it again
        sync_files([target.parent])
    except FileNotFoundError:
        return False
    return True


def _settle(file: BinaryIO, name: Path, target: Path) -> None:
    file.flush()
    os.fchmod(file.fileno(), 0o444)
    os.fsync(file.fileno())
    make_folder(target.parent, PRIVATE)
    name.rename(target)
    sync_files([target.parent])


def _copy(source: BinaryIO, target: BinaryIO) -> tuple[str, int]:
    seen, size = sha256(), 0
    while chunk := source.read(_CHUNK_BYTES):
        seen.update(chunk)
        size += len(chunk)
        target.write(chunk)
    return seen.hexdigest(), size


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file of an agent. Raises UsageError if it is not a regular file."""
    try:
        descriptor = _open(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be kept as evidence: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{path} cannot be kept as evidence: it is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _open(path: Path) -> int:
    """What others put there may be a link or a pipe, so links are not followed and opening does not wait."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _read(path: Path, most: int) -> bytes:
    """All of a regular file. Raises OSError, InfrastructureError if it is none, or larger than `most` bytes."""
    try:
        descriptor = _open(path)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise _no_file(path) from error
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise _no_file(path)
    with os.fdopen(descriptor, "rb") as file:
        require_small(path, found.st_size, most)
        content = file.read(most + 1)
        require_small(path, len(content), most)
        return content


def _no_file(path: Path) -> InfrastructureError:
    return InfrastructureError(
        f"{path} is not a regular file: somebody put it there: remove it, and restore the file from a backup",
        permanent=True,
    )
