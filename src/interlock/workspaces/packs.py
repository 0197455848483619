"""Commits as packs, by which they travel to other machines.

Rule: a pack of a commit has all that the base of its run has not, so a receiver needs the base and that one pack.
The commits of submodules travel in the same packs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from interlock.ports import InfrastructureError, disk
from interlock.ports.disk import disk_error
from interlock.workspaces import storage
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects

_RECEIVED = "refs/received"


def received_ref(commit: str) -> str:
    """What keeps a commit of another machine until its run is over."""
    return f"{_RECEIVED}/{commit}"


def pack(git: Git, commits: Sequence[str], without: Sequence[str] = ()) -> bytes:
    """A pack with the objects of `commits` that the others have not; all of their trees where there are no others.
    Raises InfrastructureError."""
    wanted = "".join([*(f"{commit}\n" for commit in commits), *(f"^{commit}\n" for commit in without)])
    options = ("-q", "--revs", "--stdout", "--thin", "--shallow", "--delta-base-offset")  # the others are no ancestors
    return git.call("pack-objects", *options, stdin=wanted.encode()).out


def take(git: Git, objects: Objects, commit: str, content: bytes) -> None:
    """Take the objects of a pack into the store, whose lock is held. Raises InfrastructureError if it is no pack of
    that commit."""
    git.call("index-pack", "--stdin", "--fix-thin", stdin=content)
    found = objects.lookup(commit)
    if found is None or found[0] != "commit":
        raise InfrastructureError(f"the pack that was received holds no commit {commit}", permanent=True)


def keep(store: Path, objects: Objects, commit: str, *, is_base: bool = False) -> None:
    """Keep a commit that was received by a ref. A base, and a commit that a person handed over, has no parents in the
    store, which git is told. git syncs the pack that it has written, not the folder that names it."""
    _sync(store / "objects/pack")
    if is_base or any(objects.lookup(parent) is None for parent in objects.commit(commit).parents):
        _cut(store, commit)
        storage.create_ref(store, storage.base_ref(commit), commit)
    else:
        storage.create_ref(store, received_ref(commit), commit)


def keep_made(store: Path, commit: str) -> None:
    """Keep a commit that was made here, and is on the disk, as one that was received."""
    storage.create_ref(store, received_ref(commit), commit)


def renew(store: Path, commit: str) -> bool:
    """Whether a ref keeps a commit that was received; it counts as new again. The lock of the store is held."""
    for ref in (storage.base_ref(commit), received_ref(commit)):
        with suppress(FileNotFoundError):
            os.utime(store / ref)
            return True
    return False


def _sync(folder: Path) -> None:
    try:
        disk.sync_files([folder])
    except OSError as error:
        raise disk_error(folder, error) from error


def _cut(store: Path, commit: str) -> None:
    path = store / "shallow"
    try:
        lines = set(path.read_text("ascii").split()) if path.exists() else set()
        disk.put_file(path, [f"{oid}\n".encode() for oid in sorted({*lines, commit})], mode=0o644)
    except OSError as error:
        raise disk_error(path, error) from error
