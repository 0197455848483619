"""What goes to the server, small and, with a key, encrypted.

Rule: a payload is encrypted first, and where it is large what is encrypted lies among the shared blobs, with its digest
in its place. So whoever reads the server or the blobs without the key reads nothing.

The form is AES-256-GCM (RFC 5116). The nonce is made of the content, so that a workflow that is replayed encrypts the
same payload to the same blob: what that tells is that two payloads are equal. The id of the workflow is authenticated
with it: what was encrypted for one run is refused in every other.

What is refused reaches whoever asked for the value, not the task around it: a run in which a stranger speaks goes on.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.common import RawValue
from temporalio.converter import (
    ActivitySerializationContext,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    ExternalStorage,
    PayloadCodec,
    PayloadConverter,
    SerializationContext,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from interlock.core.events import AnswerTaken
from interlock.engines.temporal.messages import LASTING, PASSING, UNREADABLE, EventRow, answer_in
from interlock.ports import Blobs, InfrastructureError, NamedBlobs, UsageError

LARGE = 16 * 1024  # bytes, from which on a payload lies among the blobs
_KEY_BYTES, _NONCE_BYTES = 32, 12
_ENCODING, _SEALED, _KEY_NAME = "encoding", b"binary/encrypted", "interlock-key"
_REFUSED = "interlock/refused"  # the encoding of a payload that is not ours: its data says why
_ENTRY = "payloads/key"  # the names of the keys that a machine must have one of
_STRANGE = "who reported that it failed has not the key of the payloads"
_HOW = "set temporal.codec_key in the settings to a copy of the key file of the other machines"


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of 32 bytes. Its `name` tells it from others, and nothing of the secret."""

    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return hmac.digest(self.secret, b"interlock payloads: name", "sha256").hex()[:16]

    def seal(self, content: bytes, place: bytes) -> bytes:
        """Encrypted, for this place alone."""
        secret = hmac.digest(self.secret, b"interlock payloads: nonce", "sha256")
        of_place = hmac.digest(secret, place, "sha256")  # one nonce never serves two places
        nonce = hmac.digest(of_place, content, "sha256")[:_NONCE_BYTES]
        return nonce + AESGCM(self.secret).encrypt(nonce, content, place)

    def opened(self, sealed: bytes, place: bytes) -> bytes:
        """Raises InvalidTag, ValueError."""
        return AESGCM(self.secret).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)


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


def check_keys(blobs: NamedBlobs, keys: Sequence[Key]) -> bool:
    """Whether this machine can read what others encrypt: False if nobody encrypts so far. Raises InfrastructureError
    that says what to do."""
    kept = _kept_names(blobs)
    if kept and not {key.name for key in keys} & set(kept):
        mine = (
            f"with another key than {keys[0].name}, the one of this machine" if keys else "and this machine has no key"
        )
        raise InfrastructureError(f"payloads are encrypted with the key {kept[0]}, {mine}: {_HOW}", permanent=True)
    return bool(kept)


def leave_key(blobs: NamedBlobs, keys: Sequence[Key]) -> None:
    """The first one with a key leaves its name for the others, who need it from then on."""
    kept = _kept_names(blobs)
    if keys and keys[0].name not in kept:
        blobs.keep(_ENTRY, "\n".join([keys[0].name, *kept]).encode())


def _kept_names(blobs: NamedBlobs) -> list[str]:
    return (blobs.kept(_ENTRY) or b"").decode().split()


def converter(blobs: Blobs, keys: Sequence[Key]) -> DataConverter:
    """How values become payloads, for everybody who connects."""
    return DataConverter(
        payload_converter_class=Values,
        payload_codec=Sealing(tuple(keys)),
        failure_converter_class=SealedFailures if keys else DefaultFailureConverter,
        external_storage=ExternalStorage(drivers=[BlobDriver(blobs)], payload_size_threshold=LARGE),
    )


def value_of(raw: RawValue | None, payload_converter: PayloadConverter) -> Any:  # noqa: ANN401
    """What an activity returned. A workflow reads it here, and not before: then what cannot be read fails its effect
    alone. Raises InfrastructureError for what was refused, ValueError and KeyError for what is no value."""
    try:
        return payload_converter.from_payload(raw.payload) if raw else None
    except RuntimeError as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Sealing(PayloadCodec, WithSerializationContext):
    """Encrypts with the first key, where there is one. With a key, what is not encrypted is refused, and what was
    encrypted for another workflow: whoever writes to the server alone cannot make up an effect."""

    keys: tuple[Key, ...]
    workflow: str = ""  # its id

    def with_context(self, context: SerializationContext) -> Sealing:
        """The same for what is said to the workflow of the context, by it, or by one of its activities."""
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return replace(self, workflow=context.workflow_id or "")
        return self

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        if not self.keys:
            return list(payloads)
        key, place = self.keys[0], self.workflow.encode()
        about = {_ENCODING: _SEALED, _KEY_NAME: key.name.encode()}
        return [Payload(metadata=about, data=key.seal(payload.SerializeToString(), place)) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """What is refused says so when its value is asked for. Raises InfrastructureError if a key is missing here."""
        return [self._opened(payload) for payload in payloads]

    def _opened(self, payload: Payload) -> Payload:
        if payload.metadata.get(_ENCODING) != _SEALED:
            if self.keys:
                return _refused(
                    "a payload is not encrypted, and this machine has a key: who sent it lacks the key, or the run"
                    " began without one and ends only on machines without temporal.codec_key"
                )
            return payload
        name = payload.metadata[_KEY_NAME].decode("ascii", "replace")
        try:
            key = next(key for key in self.keys if key.name == name)
            return Payload.FromString(key.opened(payload.data, self.workflow.encode()))
        except StopIteration:
            raise InfrastructureError(
                f"a payload is encrypted with the key {name}, which is not here: {_HOW}"
            ) from None
        except (InvalidTag, ValueError):
            return _refused(f"a payload that names the key {name} was changed by somebody, or is of another run")


def _refused(why: str) -> Payload:
    return Payload(metadata={_ENCODING: _REFUSED.encode()}, data=why.encode())


class _Refusing(EncodingPayloadConverter):
    @property
    def encoding(self) -> str:
        return _REFUSED

    def to_payload(self, value: object) -> None:
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> NoReturn:
        raise InfrastructureError(payload.data.decode("utf-8", "replace"), permanent=True)


class Values(CompositePayloadConverter):
    """Values as JSON, as usual. Raises InfrastructureError for one that was refused."""

    def __init__(self) -> None:
        super().__init__(*DefaultPayloadConverter.default_encoding_payload_converters, _Refusing())


class SealedFailures(DefaultFailureConverterWithEncodedAttributes):
    """Failures whose words are encrypted. One that was reported without the key is told in words of ours."""

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """Those of the server, such as a timeout, are not encrypted."""
        if failure.HasField("application_failure_info") and not _is_ours(failure.encoded_attributes):
            return ApplicationError(_STRANGE, type=PASSING)
        try:
            return super().from_failure(failure, payload_converter)
        except InfrastructureError:  # what was said with it
            return ApplicationError(_STRANGE, type=PASSING)


def _is_ours(payload: Payload) -> bool:
    return payload.metadata.get(_ENCODING) not in (None, _REFUSED.encode())


def told_by_worker(cause: BaseException) -> tuple[str, bool]:
    """Why an effect failed, and whether trying again cannot help."""
    if not isinstance(cause, ApplicationError):
        return str(cause), False
    why = cause.message if cause.type in (PASSING, LASTING) else f"a defect of Interlock on its worker: {cause}"
    return why, cause.type != PASSING


def unreadable_report(error: Exception) -> ApplicationError:
    """In place of a report that cannot be read: the failure that `told_by_worker` reads."""
    kind = PASSING if isinstance(error, InfrastructureError) else LASTING
    return ApplicationError(f"what its worker reports cannot be read: {error!s:.500}", type=kind)


def read_answer(row: EventRow) -> AnswerTaken:
    """Raises ApplicationError, which refuses the answer and nothing else, if it is none."""
    try:
        return answer_in(row)
    except UNREADABLE as error:
        raise ApplicationError(f"the answer cannot be read: {error!s:.500}") from error


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
