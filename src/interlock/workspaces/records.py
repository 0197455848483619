"""Records of handoffs in the private store: a blob each, kept by a ref that is named by the record's sha256.

They are evidence too. Here they survive the loss of the evidence, and `gc` never removes them.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from interlock.ports import InfrastructureError
from interlock.workspaces import storage
from interlock.workspaces.delivery import without_artifacts
from interlock.workspaces.objects import Objects


class StoredRecords:
    """Implements ports.RecordStore."""

    def __init__(self, store: Path, objects: Callable[[], Objects]) -> None:
        self._store = store
        self._find = objects

    @property
    def _objects(self) -> Objects:
        return self._find()

    def keep(self, run: str, digest: str, content: bytes) -> None:
        with storage.locked(self._store, shared=True):
            storage.create_ref(self._store, storage.record_ref(run, digest), self._objects.write("blob", content))

    def get(self, run: str, digest: str) -> bytes | None:
        oid = storage.read_ref(self._store, storage.record_ref(run, digest))
        try:
            content = self._objects.read(oid) if oid else None
        except InfrastructureError:
            return None
        return content if content is not None and sha256(content).hexdigest() == digest else None

    def delivered_tree(self, commit: str, base: str) -> str:
        with storage.locked(self._store, shared=True):
            return without_artifacts(self._objects, self._objects.commit(commit).tree, base)
