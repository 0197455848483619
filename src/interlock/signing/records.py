"""Records of handoffs: signed, kept as evidence and in the store."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.ports import Blobs, RecordStore, Signer
from interlock.signing.envelopes import IN_TOTO


@dataclass(frozen=True, slots=True)
class SignedRecords:
    """Implements ports.Records. `blobs` are not masked: a record has names and digests, and it is what was signed."""

    signer: Signer
    blobs: Blobs
    store: RecordStore

    def delivered_tree(self, commit: str, base: str) -> str:
        return self.store.delivered_tree(commit, base)

    def keep(self, run: str, statement: bytes) -> str:
        envelope = self.signer.sign(IN_TOTO, statement)
        digest = self.blobs.put(envelope)
        self.store.keep(run, digest, envelope)
        return digest

    def take(self, run: str, digest: str) -> None:
        self.store.keep(run, digest, self.blobs.get(digest))
