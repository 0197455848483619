"""Commits as packs, by which they travel to other machines.

Rule: a pack of a commit has all that the base of its run has not, so a receiver needs the base and that one pack.
The commits of submodules travel in the same packs.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from interlock.ports import InfrastructureError, disk
from interlock.ports.disk import disk_error
from interlock.workspaces import storage
from interlock.workspaces.repositories import Store

_RECEIVED = "refs/received"


def received_ref(commit: str) -> str:
    """What keeps a commit of another machine until its run is over."""
    return f"{_RECEIVED}/{commit}"


def pack(store: Store, commit: str, base: str = "") -> bytes:
    """A pack with the objects of `commit` and of its submodules that `base` has not; with all of their trees where
    there is no base. Raises InfrastructureError."""
    commits = store.with_submodules(commit, is_base=not base)
    without = store.with_submodules(base, is_base=len(commits) > 1) if base else ()
    wanted = "".join([*(f"{oid}\n" for oid in commits), *(f"^{oid}\n" for oid in without)])
    options = ("-q", "--revs", "--stdout", "--thin", "--shallow", "--delta-base-offset")  # the others are no ancestors
    return store.git.call("pack-objects", *options, stdin=wanted.encode()).out


def receive(store: Store, commit: str, content: bytes, *, is_base: bool) -> None:
    """Take a commit out of such a pack, and keep it. Raises InfrastructureError if it is not in it."""
    storage.create(store.folder, "sha1" if len(commit) == 40 else "sha256")
    with storage.locked(store.folder):
        store.git.call("index-pack", "--stdin", "--fix-thin", stdin=content)
        found = store.objects.lookup(commit)
        if found is None or found[0] != "commit":
            raise InfrastructureError(f"the pack that was received holds no commit {commit}", permanent=True)
        inner = store.with_submodules(commit, is_base=is_base)[1:]
        _sync(store.folder / "objects/pack")  # git syncs the pack that it has written, not the folder that names it
        _keep(store, commit, is_base=is_base)
        for oid in inner:
            _keep(store, oid, is_base=True)


def keep_made(store: Store, commit: str) -> None:
    """Keep a commit that was made here, and is on the disk, as one that was received."""
    with storage.locked(store.folder, shared=True):
        for oid in store.with_submodules(commit, is_base=False):
            storage.create_ref(store.folder, received_ref(oid), oid)


def renew(store: Store, commit: str, *, is_base: bool) -> bool:
    """Whether refs keep a commit that was received, and its submodules; they count as new again."""
    with storage.locked(store.folder, shared=True):
        return store.has(commit) and all(
            _renew(store.folder, oid) for oid in store.with_submodules(commit, is_base=is_base)
        )


def _keep(store: Store, commit: str, *, is_base: bool) -> None:
    """A base, and a commit that a person handed over, has no parents in the store, which git is told."""
    if is_base or any(store.objects.lookup(parent) is None for parent in store.commit(commit).parents):
        _cut(store.folder, commit)
        storage.create_ref(store.folder, storage.base_ref(commit), commit)
    else:
        storage.create_ref(store.folder, received_ref(commit), commit)


def _renew(store: Path, commit: str) -> bool:
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
