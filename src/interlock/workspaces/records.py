"""Records of handoffs in the private store: a blob each, kept by a ref that is named by the record's sha256.

They are evidence too. Here they survive the loss of the evidence, and `gc` never removes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError
from interlock.workspaces import storage, trees
from interlock.workspaces.delivery import planned_trees, without_artifacts
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects

_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class StoredRecords:
    """Implements ports.RecordStore."""

    def __init__(self, store: Path, git: Git, objects: Callable[[], Objects]) -> None:
        self._store = store
        self._git = git
        self._find = objects
        self._whole: set[str] = set()  # objects that were read and are what their names say

    @property
    def _objects(self) -> Objects:
        return self._find()

    def keep(self, run: str, digest: str, content: bytes) -> None:
        with storage.locked(self._store, shared=True):
            storage.create_ref(self._store, storage.record_ref(run, digest), self._objects.write("blob", content))

    def get(self, run: str, digest: str) -> bytes | None:
        oid = storage.read_ref(self._store, storage.record_ref(run, digest)) or ""
        try:
            content = self._objects.read(oid) if _OID.fullmatch(oid) else None
        except InfrastructureError:
            return None
        return content if content is not None and sha256(content).hexdigest() == digest else None

    def delivered_tree(self, commit: str, base: str) -> str:
        with storage.locked(self._store, shared=True):
            return without_artifacts(self._objects, self._objects.commit(commit).tree, base)

    def delivered_trees(self, commit: str, base: str, series: Sequence[str]) -> tuple[str, ...]:
        with storage.locked(self._store, shared=True):
            return planned_trees(self._git, self._objects, commit, base, series)

    def flaw(self, commit: str, tree: str) -> str:
        try:
            found = self._objects.commit(commit)
            if found.tree != tree:
                return f"the commit {commit} has the tree {found.tree}, not {tree}"
            wanted = {commit, *trees.oids(self._objects.listing(tree), tree)} - self._whole
            self._objects.verify(sorted(wanted))
        except (InfrastructureError, UsageError) as error:
            return f"the commit {commit} is not as it was: {error}"
        self._whole |= wanted
        return ""
