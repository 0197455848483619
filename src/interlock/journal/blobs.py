"""Evidence in files named by the sha256 of their content.

A file is written beside its place, synced, then renamed into it, and then the folder is synced: a name always stands
for whole content, and is there to stay once it was given. Putting the same again mends one that was cut short. Reading
checks the digest.
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

from interlock.journal.rules import missing
from interlock.ports import InfrastructureError, UsageError
from interlock.ports.disk import PRIVATE, make_folder, sync_files

_CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


class FileBlobs:
    """Implements `ports.Blobs` under `root`, which is made at the first put. Raises InfrastructureError."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, content: bytes) -> str:
        digest = sha256(content).hexdigest()
        place = self.path(digest)
        with _explained(place):
            if not _is_kept(place, len(content)):
                self._put_new(content, place)
        return digest

    def put_file(self, path: Path) -> tuple[str, int]:
        """Raises UsageError where `path` is a link, a device or anything else but a regular file."""
        with _explained(self._root), _opened(path) as source, self._fresh() as (file, name):
            digest, size = _copy(source, file)
            place = self.path(digest)
            if not _is_kept(place, size):
                _settle(file, name, place)
        return digest, size

    def get(self, digest: str) -> bytes:
        try:
            place = self.path(digest)
            content = place.read_bytes()
        except (KeyError, OSError) as error:
            raise missing(digest, self._root) from error
        if sha256(content).hexdigest() != digest:
            raise InfrastructureError(
                f"{place} does not hold what its name says: the disk is failing or somebody changed it", permanent=True
            )
        return content

    def path(self, digest: str) -> Path:
        """Where the content lies, if it does. Raises KeyError for what is no digest."""
        if _DIGEST.fullmatch(digest) is None:
            raise KeyError(digest)
        return self._root / digest[:2] / digest[2:]

    def _put_new(self, content: bytes, place: Path) -> None:
        with self._fresh() as (file, name):
            file.write(content)
            _settle(file, name, place)

    @contextmanager
    def _fresh(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A new file under a name of its own, gone at the end if it has not been renamed."""
        make_folder(self._root, PRIVATE)
        descriptor, text = tempfile.mkstemp(prefix="put-", dir=self._root)
        name = Path(text)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, name
        finally:
            with suppress(FileNotFoundError):
                name.unlink()


def _is_kept(place: Path, size: int) -> bool:
    """Whether it is there already, and to stay: who wrote it may not have come as far as the folder."""
    try:
        if place.stat().st_size != size:
            return False  # cut short by a power loss or a failing disk: it is written anew
        sync_files([place.parent])
    except FileNotFoundError:
        return False
    return True


def _settle(file: BinaryIO, name: Path, place: Path) -> None:
    file.flush()
    os.fchmod(file.fileno(), 0o444)
    os.fsync(file.fileno())
    make_folder(place.parent, PRIVATE)
    name.rename(place)
    sync_files([place.parent])


def _copy(source: BinaryIO, target: BinaryIO) -> tuple[str, int]:
    seen, size = sha256(), 0
    while chunk := source.read(_CHUNK_BYTES):
        seen.update(chunk)
        size += len(chunk)
        target.write(chunk)
    return seen.hexdigest(), size


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """What an agent left may be a link or a pipe, so it is opened without following or waiting."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{path} cannot be kept as evidence: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{path} cannot be kept as evidence: it is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = "the disk is full: free some space, then resume the run"
        else:
            what = f"{error.strerror or error}: make it writable, or name another place in INTERLOCK_STATE_HOME"
        permanent = error.errno in (errno.EROFS, errno.EACCES)
        raise InfrastructureError(f"evidence could not be written to {place}: {what}", permanent=permanent) from error
