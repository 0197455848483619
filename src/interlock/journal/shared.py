"""Blobs that several machines share: a folder that all of them can write, or a bucket, read through a local folder."""

from __future__ import annotations

from pathlib import Path

from interlock.journal.blobs import FileBlobs
from interlock.journal.bucket import Bucket
from interlock.ports import InfrastructureError


class SharedBlobs:
    """Implements `ports.NamedBlobs`; entries with names are in the shared folder alone. What is put is in both folders
    when that returns, or only in the local one if it only `reads`; what is read is kept in the local one, and its
    digest is checked both times."""

    def __init__(self, local: FileBlobs, shared: FileBlobs | Bucket, *, reads: bool = False) -> None:
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
        if not path.exists() and self._shared.size(digest) is not None:
            with self._shared.file(digest) as file:
                found, _ = self._local.put_file(file)
            if found != digest:
                raise InfrastructureError(f"blob {digest} does not match its digest: restore it", permanent=True)
        return path

    def keep(self, name: str, content: bytes) -> None:
        self._shared.keep(name, content)

    def keep_first(self, name: str, content: bytes) -> bytes:
        return self._shared.keep_first(name, content)

    def kept(self, name: str) -> bytes | None:
        return self._shared.kept(name)
