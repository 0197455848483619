"""The user's key that signs, and the public keys that are trusted, in one folder.

`signing.key` is the private key, for nobody else to read (0600). `public/ID.pub` is the public part of every key that
ever signed here, and stays trusted when a new key is made. `revoked/ID.pub` is trusted no more. An id is the sha256 of
the public key as DER.

Rule: the folder lies in the user's state, which no checkout and no environment of a program leads to.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from interlock.ports import InfrastructureError, UsageError
from interlock.ports.disk import PRIVATE, disk_error, make_folder, put_file, put_first, sync_files
from interlock.signing.envelopes import Envelope, Unreadable, write_envelope

UNKNOWN = "an unknown key"  # in the words on a record
_OF_OTHERS = 0o077
_PUBLIC_MODE = 0o644
_BYTES_MAX = 10_000
_ROTATE = "`interlock key --rotate` makes a new key"


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """Keys by id: those that are trusted, and those that are trusted no more."""

    trusted: Mapping[str, Ed25519PublicKey]
    revoked: Mapping[str, Ed25519PublicKey]

    def signer_of(self, envelope: Envelope) -> tuple[str, str]:
        """The id of the trusted key that signed the envelope, and otherwise why it counts as signed by none."""
        why = "it has no signature"
        for key_id, signature in envelope.signatures:
            key = self.trusted.get(key_id)
            if key is None:
                known = "a key that was revoked" if key_id in self.revoked else UNKNOWN
                why = f"it is signed by {known} ({short(key_id)})"
            elif _signed(key, signature, envelope.signed):
                return key_id, ""
            else:
                why = f"the signature of key {short(key_id)} does not match: the record was changed"
        return "", why


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key as people see it. `state`: current, former (or of another user, and trusted here) or revoked."""

    id: str
    state: str
    public: str  # PEM


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Implements ports.Signer."""

    id: str
    key: Ed25519PrivateKey

    def sign(self, content_type: str, content: bytes) -> bytes:
        return write_envelope(content_type, content, self.id, self.key.sign)


class KeyFolder:
    """`root` is made at first use. Raises InfrastructureError if it cannot be read or written."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._key = root / "signing.key"
        self._public, self._revoked = root / "public", root / "revoked"

    @property
    def file(self) -> Path:
        """The private key."""
        return self._key

    def signer(self) -> KeySigner:
        """With the current key; the first one is made here."""
        try:
            if not self._key.exists():
                make_folder(self._root, PRIVATE)
                put_first(self._key, _private_pem(Ed25519PrivateKey.generate()), mode=0o600)
            key = self._private()
            key_id = id_of(key.public_key())
            if (self._revoked / f"{key_id}.pub").exists():
                raise InfrastructureError(f"the key {self._key} was revoked: {_ROTATE}", permanent=True)
            self._publish(key.public_key())
        except OSError as error:
            raise disk_error(error.filename or self._key, error) from error
        return KeySigner(key_id, key)

    def public(self) -> PublicKeys:
        """All public keys. Raises InfrastructureError if one cannot be read."""
        return PublicKeys(_keys_in(self._public), _keys_in(self._revoked))

    def states(self) -> list[KeyState]:
        """All keys; the current one, if there is one, first."""
        found = self.public()
        current = id_of(self._private().public_key()) if self._key.exists() else ""
        named = {**found.trusted, **found.revoked}
        listed = [
            KeyState(key_id, _state(key_id, current, found), public_pem(key).decode()) for key_id, key in named.items()
        ]
        return sorted(listed, key=lambda key: (key.state, key.id))

    def rotate(self) -> str:
        """Make a new current key and return its id. The former one stays trusted; its private part is deleted."""
        key = Ed25519PrivateKey.generate()
        try:
            make_folder(self._root, PRIVATE)
            self._publish(key.public_key())
            put_file(self._key, _private_pem(key), mode=0o600)
        except OSError as error:
            raise disk_error(error.filename or self._key, error) from error
        return id_of(key.public_key())

    def trust(self, content: bytes) -> str:
        """Trust a public key of another user or machine. Returns its id. Raises Unreadable, UsageError if it was
        revoked."""
        key_id, key = read_public_key(content)
        if key_id in self.public().revoked:
            raise UsageError(f"key {short(key_id)} was revoked here: remove {self._revoked / f'{key_id}.pub'} first")
        try:
            make_folder(self._root, PRIVATE)
            self._publish(key)
        except OSError as error:
            raise disk_error(error.filename or self._public, error) from error
        return key_id

    def revoke(self, name: str) -> str:
        """Trust a key no more, by its id or a unique beginning of it. Returns the id. Raises UsageError."""
        trusted = self.public().trusted
        found = [key_id for key_id in trusted if name and key_id.startswith(name)]
        if len(found) != 1:
            which = "no trusted key has" if not found else f"{len(found)} keys have"
            raise UsageError(f"{name!r}: {which} an id that begins so: `interlock key --json` lists all keys")
        try:
            make_folder(self._revoked, PRIVATE)
            (self._public / f"{found[0]}.pub").rename(self._revoked / f"{found[0]}.pub")
            sync_files([self._public, self._revoked])
        except OSError as error:
            raise disk_error(error.filename or self._revoked, error) from error
        return found[0]

    def _publish(self, key: Ed25519PublicKey) -> None:
        file = self._public / f"{id_of(key)}.pub"
        if not file.exists():
            make_folder(self._public, PRIVATE)
            put_first(file, public_pem(key), mode=_PUBLIC_MODE)

    def _private(self) -> Ed25519PrivateKey:
        status = self._key.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_mode & _OF_OTHERS:
            raise InfrastructureError(
                f"the key {self._key} can be read by others: `chmod 600 {self._key}` if nobody did, else {_ROTATE}",
                permanent=True,
            )
        try:
            key = load_pem_private_key(self._key.read_bytes(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            key = None
            del error
        if not isinstance(key, Ed25519PrivateKey):
            raise InfrastructureError(
                f"the key {self._key} is damaged, or is no ed25519 key: restore it from a backup, or {_ROTATE}",
                permanent=True,
            )
        return key


def read_public_key(content: bytes) -> tuple[str, Ed25519PublicKey]:
    """Id and key of a PEM file. Raises Unreadable."""
    if b"PRIVATE KEY" in content:
        raise Unreadable("it is a private key: give the public one, as `interlock key` prints it")
    try:
        key = load_pem_public_key(content[:_BYTES_MAX])
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unreadable("it is no public key: expected PEM, as `interlock key` prints it") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Unreadable("it is a key of another kind: expected ed25519, as `interlock key` prints it")
    return id_of(key), key


def id_of(key: Ed25519PublicKey) -> str:
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def short(key_id: str) -> str:
    """An id as it is shown."""
    return key_id[:12] if key_id.isalnum() else "without an id"


def _state(key_id: str, current: str, found: PublicKeys) -> str:
    if key_id in found.revoked:
        return "revoked"
    return "current" if key_id == current else "former"


def _signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _keys_in(folder: Path) -> dict[str, Ed25519PublicKey]:
    return dict(_read(folder))


def _read(folder: Path) -> Iterator[tuple[str, Ed25519PublicKey]]:
    try:
        files = sorted(os.listdir(folder))  # noqa: PTH208 - names alone
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk_error(folder, error) from error
    for name in files:
        if not name.endswith(".pub"):
            continue
        try:
            key_id, key = read_public_key((folder / name).read_bytes())
        except OSError as error:
            raise disk_error(folder / name, error) from error
        except Unreadable as error:
            raise InfrastructureError(f"{folder / name}: {error}", permanent=True) from error
        if name != f"{key_id}.pub":
            raise InfrastructureError(
                f"{folder / name} holds another key than its name says: restore it, or remove it", permanent=True
            )
        yield key_id, key
