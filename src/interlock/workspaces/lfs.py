"""Git LFS without git-lfs: the pointer of a file's content, and where the content lies.

Rule: what a pointer of the working tree stands for is kept in the store, since the file may change; with the delivery
it comes to where git-lfs looks, or nobody could check the branch out or push it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from interlock.ports import disk
from interlock.ports.disk import disk_error
from interlock.workspaces import storage
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects

_VERSION = b"version https://git-lfs.github.com/spec/v1"
POINTER = re.compile(  # the specification of Git LFS, version 1
    re.escape(_VERSION) + rb"\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)


def write_pointers(store: Path, objects: Objects, oids: Mapping[bytes, str]) -> dict[bytes, str]:
    """The pointer of each file's content, which is kept, by path; a pointer is its own. Raises InfrastructureError."""
    found = {path: _pointer_digest(objects, oid) for path, oid in oids.items()}
    kept = {sha256: oids[path] for path, (sha256, _) in found.items() if sha256}
    if kept:
        try:
            disk.sync_tree(store / "objects")
        except OSError as error:
            raise disk_error(store, error) from error
    for sha256, oid in kept.items():
        storage.create_ref(store, storage.contents_ref(sha256), oid)
    return {path: _pointer_blob(objects, *found[path]) if found[path][0] else oid for path, oid in oids.items()}


def content_blob(store: Path, sha256: str) -> str:
    """The blob of the store that is this content; empty where there is none."""
    return storage.read_ref(store, storage.contents_ref(sha256)) or ""


def blob_chunks(objects: Objects, oid: str) -> Iterator[bytes]:
    """A blob's, in chunks."""
    for _, chunks in objects.stream([oid]):
        yield from chunks


def lfs_folder(git: Git, common_dir: Path) -> Path:
    """Where the user's git-lfs has contents. `git` is the user's, whose configuration may name another place."""
    said = git.call("config", "-z", "--get", "lfs.storage", codes=range(256)).out.partition(b"\0")[0]
    return common_dir / (os.fsdecode(said) or "lfs") / "objects"


def lfs_path(folder: Path, sha256: str) -> Path:
    """Where git-lfs has the content."""
    return folder / sha256[:2] / sha256[2:4] / sha256


def put_content(objects: Objects, oid: str, place: Path) -> None:
    """Put a blob of the store to where git-lfs has it. Raises InfrastructureError."""
    try:
        disk.make_folder(place.parent)
        disk.put_file(place, blob_chunks(objects, oid), mode=0o644)
    except OSError as error:
        raise disk_error(place, error) from error


def _pointer_digest(objects: Objects, oid: str) -> tuple[str, int]:
    """Of a blob, with its size; without a digest where it is a pointer or empty."""
    digest, size, begin = hashlib.sha256(), 0, b""
    for _, chunks in objects.stream([oid]):
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            begin = begin or chunk[: len(_VERSION)]
    return ("" if begin == _VERSION or not size else digest.hexdigest()), size


def _pointer_blob(objects: Objects, sha256: str, size: int) -> str:
    return objects.write("blob", _VERSION + f"\noid sha256:{sha256}\nsize {size}\n".encode())
