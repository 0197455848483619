"""Blobs that several machines share: a folder that all of them can write, or a bucket, read through a local folder.

Rule: no call waits for ever, whatever the store does: a bucket bounds its requests by itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from interlock.journal.blobs import FileBlobs
from interlock.journal.bucket import Bucket
from interlock.ports import InfrastructureError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """For how many seconds a call is waited for: about an entry or a size, a content in memory, or one in a file."""

    entry: float = 20.0
    content: float = 300.0  # as for a request to a bucket
    file: float = 3600.0


class PatientBlobs:
    """Blobs in a folder that may hang, as that of a network whose server is gone. Implements `ports.NamedBlobs`: as
    `FileBlobs` does, and each call ends in time. Raises InfrastructureError then; what was begun may still happen."""

    def __init__(self, folder: FileBlobs, max_s: Patience | None = None) -> None:
        self._folder, self._max_s = folder, max_s or Patience()

    def __str__(self) -> str:
        return str(self._folder)

    def check(self) -> None:
        self._within(self._max_s.entry, self._folder.check)

    def put(self, content: bytes) -> str:
        return self._within(self._max_s.content, lambda: self._folder.put(content))

    def put_file(self, path: Path) -> tuple[str, int]:
        return self._within(self._max_s.file, lambda: self._folder.put_file(path))

    def get(self, digest: str) -> bytes:
        return self._within(self._max_s.content, lambda: self._folder.get(digest))

    def size(self, digest: str) -> int | None:
        return self._within(self._max_s.entry, lambda: self._folder.size(digest))

    def copy_into(self, local: FileBlobs, digest: str) -> str:
        """Copy the content. Returns the digest of what was there."""

        def copy() -> str:
            with self._folder.file(digest) as file:
                return local.put_file(file)[0]

        return self._within(self._max_s.file, copy)

    def keep(self, name: str, content: bytes) -> None:
        self._within(self._max_s.entry, lambda: self._folder.keep(name, content))

    def keep_first(self, name: str, content: bytes) -> bytes:
        return self._within(self._max_s.entry, lambda: self._folder.keep_first(name, content))

    def kept(self, name: str) -> bytes | None:
        return self._within(self._max_s.entry, lambda: self._folder.kept(name))

    def _within(self, limit_s: float, call: Callable[[], Result]) -> Result:
        """On a thread of its own, which is left behind if it does not come back: nothing ends a call that hangs."""
        results: list[Result] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                results.append(call())
            except BaseException as error:  # noqa: BLE001  # raised again below
                errors.append(error)

        thread = threading.Thread(target=work, name="blobs", daemon=True)
        thread.start()
        thread.join(limit_s)
        if errors:
            raise errors[0]
        if not results:
            raise InfrastructureError(
                f"{self._folder} (temporal.blobs) has not answered for {limit_s:.0f} s: look at its mount"
            )
        return results[0]


class SharedBlobs:
    """Implements `ports.NamedBlobs`; entries with names are in the shared folder alone. What is put is in both folders
    when that returns, or only in the local one if it only `reads`; what is read is kept in the local one, and its
    digest is checked both times."""

    def __init__(self, local: FileBlobs, shared: FileBlobs | PatientBlobs | Bucket, *, reads: bool = False) -> None:
        self._local, self._shared, self._reads = local, shared, reads

    def __str__(self) -> str:
        return str(self._shared)

    def put(self, content: bytes) -> str:
        if not self._reads:
            self._shared.put(content)
        return self._local.put(content)

    def put_file(self, path: Path) -> tuple[str, int]:
        digest, size = self._local.put_file(path)
        if not self._reads:
            self._shared.put_file(self._local.path(digest))  # what came in: `path` may be an agent's
        return digest, size

    def get(self, digest: str) -> bytes:
        try:
            return self._local.get(digest)
        except InfrastructureError:
            content = self._shared.get(digest)
            self._local.put(content)
            return content

    def size(self, digest: str) -> int | None:
        found = self._local.size(digest)
        return self._shared.size(digest) if found is None else found

    def path(self, digest: str) -> Path:
        """Where the content is on this machine, for people; it is fetched if it is not here. Raises KeyError if
        `digest` is no digest."""
        path = self._local.path(digest)
        with suppress(FileNotFoundError):
            os.utime(path)  # in use again, for gc
            return path
        if self._shared.size(digest) is not None and self._fetched(digest) != digest:
            raise InfrastructureError(f"blob {digest} does not match its digest: restore it", permanent=True)
        return path

    def _fetched(self, digest: str) -> str:
        """The digest of what was there."""
        if isinstance(self._shared, PatientBlobs):
            return self._shared.copy_into(self._local, digest)
        with self._shared.file(digest) as file:
            return self._local.put_file(file)[0]

    def keep(self, name: str, content: bytes) -> None:
        self._shared.keep(name, content)

    def keep_first(self, name: str, content: bytes) -> bytes:
        return self._shared.keep_first(name, content)

    def kept(self, name: str) -> bytes | None:
        return self._shared.kept(name)


def old_copies(folder: Path, before: float) -> list[Path]:
    """Copies of shared blobs in this folder, as `SharedBlobs` keeps them, that were not used since `before`, in unix
    seconds. Each can be had again, so removing one loses nothing."""
    found = []
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                found.append(path)
    return found
