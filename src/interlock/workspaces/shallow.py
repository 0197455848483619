"""The store's file `shallow`: which commits are there without those before them.

Rule: it follows from what is in the store, so a power loss that left it empty or without its name is mended by writing
it anew. git writes it without a sync, and no ref of ours comes before it is on the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from interlock.ports import UsageError, disk
from interlock.ports.disk import disk_error
from interlock.workspaces import storage
from interlock.workspaces.objects import Objects

_LINES = re.compile(r"(?:(?:[0-9a-f]{40}|[0-9a-f]{64})\n)+")


def mend_shallow(store: Path, objects: Objects) -> None:
    """Write it anew where it cannot be read, or is missing and should not be. Raises InfrastructureError."""
    path = store / "shallow"
    try:
        if path.exists() and _LINES.fullmatch(path.read_text("ascii", "replace")):
            return
        path.unlink(missing_ok=True)  # git reads nothing where it cannot read this
        if found := sorted(set(_cut(store, objects))):
            disk.put_file(path, [f"{oid}\n".encode() for oid in found], mode=0o644)
    except OSError as error:
        raise disk_error(path, error) from error


def _cut(store: Path, objects: Objects) -> Iterator[str]:
    """Imported commits whose parents are not in the store."""
    for ref in (store / storage.BASES).glob("*"):
        try:
            commit = objects.commit(ref.name)
        except UsageError:  # a damaged ref or object, which says so where it is needed
            continue
        if any(objects.look(parent) is None for parent in commit.parents):
            yield commit.oid
