"""Commits as packs, by which they travel to other machines.

Rule: a pack of a commit has all that the base of its run has not, so a receiver needs the base and that one pack.
"""

from __future__ import annotations

from pathlib import Path

from interlock.ports import InfrastructureError, disk
from interlock.ports.disk import disk_error
from interlock.workspaces import storage
from interlock.workspaces.base import keep_commit
from interlock.workspaces.git import Git

_RECEIVED = "refs/received"


def received_ref(commit: str) -> str:
    """What keeps a commit of another machine until its run is over."""
    return f"{_RECEIVED}/{commit}"


def pack(git: Git, commit: str, base: str = "") -> bytes:
    """A pack with the objects of `commit` that `base` has not; all of its tree where there is no base. Raises
    InfrastructureError."""
    wanted = f"{commit}\n" + (f"^{base}\n" if base else "")
    return git.call(
        "pack-objects", "-q", "--revs", "--stdout", "--thin", "--delta-base-offset", stdin=wanted.encode()
    ).out


def receive(git: Git, store: Path, commit: str, content: bytes, *, is_base: bool = False) -> None:
    """Take the objects of a pack into the store, and keep its commit by a ref. A base has no parents in the store.
    Raises InfrastructureError if it is no pack of that commit."""
    with storage.locked(store):
        git.call("index-pack", "--stdin", "--fix-thin", stdin=content)
        if git.call("cat-file", "-t", commit, codes=range(256)).out.strip() != b"commit":
            raise InfrastructureError(f"the pack that was received holds no commit {commit}", permanent=True)
        if is_base:
            _cut(store, commit)
        keep_commit(store, storage.base_ref(commit) if is_base else received_ref(commit), commit)


def _cut(store: Path, commit: str) -> None:
    path = store / "shallow"
    try:
        lines = set(path.read_text("ascii").split()) if path.exists() else set()
        disk.put_file(path, [f"{oid}\n".encode() for oid in sorted({*lines, commit})], mode=0o644)
    except OSError as error:
        raise disk_error(path, error) from error
