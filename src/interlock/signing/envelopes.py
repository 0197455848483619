"""Envelopes: DSSE v1 as JSON, one line of ASCII.

Rule: an envelope is read strictly, since it may come from anybody: one form, nothing twice, nothing unknown. What is
signed is the type and the content of the payload, never the JSON around it.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass

IN_TOTO = "application/vnd.in-toto+json"
BYTES_MAX = 16_000_000
_SIGNATURES_MAX = 16


class Unreadable(ValueError):
    """It is no envelope, or no public key. Says why."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """`signatures`: the id of the key that each claims to be of, and its bytes."""

    content_type: str
    content: bytes
    signatures: tuple[tuple[str, bytes], ...]

    @property
    def signed(self) -> bytes:
        """What the signatures are of."""
        kind = self.content_type.encode()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.content), self.content)


def write_envelope(content_type: str, content: bytes, key_id: str, sign: Callable[[bytes], bytes]) -> bytes:
    """The envelope of a content, signed: the same bytes for the same content and key."""
    signature = sign(Envelope(content_type, content, ()).signed)
    document = {
        "payload": b64encode(content).decode(),
        "payloadType": content_type,
        "signatures": [{"keyid": key_id, "sig": b64encode(signature).decode()}],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def read_envelope(content: bytes) -> Envelope:
    """Raises Unreadable."""
    if len(content) > BYTES_MAX:
        raise Unreadable(f"it is longer than {BYTES_MAX} bytes")
    found = _object(parsed(content), ("payload", "payloadType", "signatures"))
    signatures = found["signatures"]
    if not isinstance(signatures, list) or not 0 < len(signatures) <= _SIGNATURES_MAX:
        raise Unreadable(f"expected 1 to {_SIGNATURES_MAX} signatures")
    each = [_object(signature, ("keyid", "sig")) for signature in signatures]
    return Envelope(
        content_type=_text(found["payloadType"]),
        content=_bytes(found["payload"]),
        signatures=tuple((_text(one["keyid"]), _bytes(one["sig"])) for one in each),
    )


def parsed(content: bytes) -> object:
    """JSON without a key twice in an object. Raises Unreadable."""
    try:
        return json.loads(content.decode("ascii"), object_pairs_hook=_once, parse_constant=_refused)
    except UnicodeDecodeError as error:
        raise Unreadable("it is not ASCII") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deep") from error
    except ValueError as error:
        raise error if isinstance(error, Unreadable) else Unreadable(f"it is not JSON: {error}") from error


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("an object has a key twice")
    return found


def _refused(name: str) -> object:
    raise Unreadable(f"{name} is no JSON")


def _object(value: object, names: tuple[str, ...]) -> dict[str, object]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise Unreadable(f"expected an object with {', '.join(names)}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isascii():
        raise Unreadable("expected ASCII text")
    return value


def _bytes(value: object) -> bytes:
    try:
        content = b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise Unreadable(f"it is not base64: {error}") from error
    if b64encode(content).decode() != value:
        raise Unreadable("it is not the one base64 of its bytes")
    return content
