"""What goes to the server, small and, with a key, encrypted.

Rule: a payload is encrypted first, and where it is large what is encrypted lies among the shared blobs, with its digest
in its place. So whoever reads the server or the blobs without the key reads nothing.

The form is AES-256-GCM (RFC 5116). The nonce is made of the content, so that a workflow that is replayed encrypts the
same payload to the same blob: what that tells is that two payloads are equal.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    ExternalStorage,
    PayloadCodec,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from interlock.ports import Blobs, InfrastructureError, NamedBlobs, UsageError

LARGE = 16 * 1024  # bytes, from which on a payload lies among the blobs
_KEY_BYTES, _NONCE_BYTES = 32, 12
_ENCODING, _SEALED, _KEY_NAME = "encoding", b"binary/encrypted", "interlock-key"
_ENTRY = "payloads/key"  # the names of the keys that a machine must have one of
_HOW = "set temporal.codec_key in the settings to a copy of the key file of the other machines"


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of 32 bytes. Its `name` tells it from others, and nothing of the secret."""

    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return hmac.digest(self.secret, b"interlock payloads: name", "sha256").hex()[:16]

    def seal(self, content: bytes) -> bytes:
        secret = hmac.digest(self.secret, b"interlock payloads: nonce", "sha256")
        nonce = hmac.digest(secret, content, "sha256")[:_NONCE_BYTES]
        return nonce + AESGCM(self.secret).encrypt(nonce, content, None)

    def opened(self, sealed: bytes) -> bytes:
        """Raises InvalidTag, ValueError."""
        return AESGCM(self.secret).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys in a file, one a line as 64 hex digits or base64: the first encrypts, all decrypt. Raises UsageError."""
    try:
        lines = path.read_text("ascii").split()
        keys = tuple(Key(_bytes(line)) for line in lines)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the key file {path} cannot be read: {error}; make one with `openssl rand -hex 32`"
        ) from error
    if not keys:
        raise UsageError(f"the key file {path} is empty: make one with `openssl rand -hex 32`")
    return keys


def _bytes(line: str) -> bytes:
    try:
        found = bytes.fromhex(line) if len(line) == 2 * _KEY_BYTES else base64.b64decode(line, validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if len(found) != _KEY_BYTES:
        raise ValueError(f"expected {_KEY_BYTES} bytes a line, as hex or base64")
    return found


def check_keys(blobs: NamedBlobs, keys: Sequence[Key]) -> None:
    """Whether this machine can read what others encrypt. The first one with a key leaves its name for the others.
    Raises InfrastructureError that says what to do."""
    kept = (blobs.kept(_ENTRY) or b"").decode().split()
    if not kept and not keys:
        return
    if kept and not {key.name for key in keys} & set(kept):
        mine = (
            f"with another key than {keys[0].name}, the one of this machine" if keys else "and this machine has no key"
        )
        raise InfrastructureError(f"payloads are encrypted with the key {kept[0]}, {mine}: {_HOW}", permanent=True)
    if keys[0].name not in kept:
        blobs.keep(_ENTRY, "\n".join([keys[0].name, *kept]).encode())


def converter(blobs: Blobs, keys: Sequence[Key]) -> DataConverter:
    """How values become payloads, for everybody who connects."""
    return DataConverter(
        payload_codec=Sealing(tuple(keys)),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes if keys else DefaultFailureConverter,
        external_storage=ExternalStorage(drivers=[BlobDriver(blobs)], payload_size_threshold=LARGE),
    )


class Sealing(PayloadCodec):
    """Encrypts with the first key, where there is one. With a key, what is not encrypted is refused: whoever writes to
    the server alone cannot make up an effect."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        if not self._keys:
            return list(payloads)
        key = self._keys[0]
        about = {_ENCODING: _SEALED, _KEY_NAME: key.name.encode()}
        return [Payload(metadata=about, data=key.seal(payload.SerializeToString())) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises InfrastructureError."""
        return [self._opened(payload) for payload in payloads]

    def _opened(self, payload: Payload) -> Payload:
        if payload.metadata.get(_ENCODING) != _SEALED:
            if self._keys:
                raise InfrastructureError(
                    "a payload is not encrypted, and this machine has a key: who sent it lacks the key, or the run"
                    " began without one and ends only on machines without temporal.codec_key"
                )
            return payload
        name = payload.metadata[_KEY_NAME].decode("ascii", "replace")
        try:
            key = next(key for key in self._keys if key.name == name)
            return Payload.FromString(key.opened(payload.data))
        except StopIteration:
            raise InfrastructureError(
                f"a payload is encrypted with the key {name}, which is not here: {_HOW}"
            ) from None
        except (InvalidTag, ValueError) as error:
            raise InfrastructureError(f"a payload that names the key {name} was changed by somebody") from error


class BlobDriver(StorageDriver):
    """Keeps large payloads among the blobs, by their digest."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def name(self) -> str:
        return "interlock.blobs"

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:
        digests = [await asyncio.to_thread(self._blobs.put, payload.SerializeToString()) for payload in payloads]
        return [StorageDriverClaim({"digest": digest}) for digest in digests]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Raises InfrastructureError if a blob is missing, or is not what its digest says."""
        digests = [claim.claim_data.get("digest", "") for claim in claims]
        return [Payload.FromString(await asyncio.to_thread(self._blobs.get, digest)) for digest in digests]
