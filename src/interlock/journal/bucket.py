"""Blobs in a bucket of an S3-compatible server, by the sha256 of their content.

Rule: a name stands for complete content: the server shows an object when all of it has arrived. Every request has a
limit and a bounded number of tries; digests are checked by whoever reads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from interlock.journal.rules import CONTENT_MAX, ENTRY_MAX, FILE_MAX, missing, require_small
from interlock.ports import InfrastructureError, UsageError

if TYPE_CHECKING:
    from obstore.store import S3Store

_TRIES = 4
_TRIES_TOGETHER = timedelta(seconds=40)
_REQUEST = timedelta(minutes=5)
_CONNECT = timedelta(seconds=5)
_CHUNK_BYTES = 8 << 20
_ASKED_FIRST_BYTES = 64 << 10  # whether larger content is there is asked before it is sent
_TRIAL = b"interlock was here"


@dataclass(frozen=True)
class Bucket:
    """The objects below `url`, which is `s3://BUCKET/PREFIX`. Keys come from the usual variables (AWS_ACCESS_KEY_ID and
    others), else from the machine, as a cloud gives them. Threads may share it. Raises InfrastructureError."""

    url: str
    endpoint: str = ""
    region: str = ""

    def __str__(self) -> str:
        return f"{self.url} at {self.endpoint or 'the servers of AWS'}"

    def check(self) -> None:
        """Write something and read it back. Raises InfrastructureError or UsageError that says what to do."""
        if self.get(self.put(_TRIAL)) != _TRIAL:
            raise InfrastructureError(f"{self.url} does not hold what is written to it")

    def put(self, content: bytes) -> str:
        digest = sha256(content).hexdigest()
        if len(content) < _ASKED_FIRST_BYTES or self.size(digest) != len(content):
            with self._explained("write to"):
                _obstore().put(self._store, _name(digest), content, chunk_size=_CHUNK_BYTES)
        return digest

    def put_file(self, path: Path) -> tuple[str, int]:
        """The file must not change meanwhile."""
        digest = _digest_of(path)
        size = path.stat().st_size
        if self.size(digest) != size:
            with self._explained("write to"):
                _obstore().put(self._store, _name(digest), path, chunk_size=_CHUNK_BYTES)
        return digest, size

    def get(self, digest: str) -> bytes:
        try:
            content = self._read(_name(digest), CONTENT_MAX)
        except KeyError as error:
            raise missing(digest, self.url, shared=True) from error
        if sha256(content).hexdigest() != digest:
            raise InfrastructureError(
                f"{_name(digest)} of {self.url} does not match its digest: somebody changed it: restore it from a"
                " backup",
                permanent=True,
            )
        return content

    @contextmanager
    def file(self, digest: str) -> Iterator[Path]:
        """The content as a temporary file. Its digest is not checked."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "content"
            try:
                with self._explained("read from"), path.open("wb") as file:
                    found = _obstore().get(self._store, _name(digest))
                    require_small(f"{_name(digest)} of {self.url}", found.meta["size"], FILE_MAX)
                    for chunk in found:
                        file.write(chunk)
            except KeyError as error:
                raise missing(digest, self.url, shared=True) from error
            yield path

    def size(self, digest: str) -> int | None:
        try:
            with self._explained("read from"):
                found: int = _obstore().head(self._store, _name(digest))["size"]
                return found
        except KeyError:
            return None

    def keep(self, name: str, content: bytes) -> None:
        """A small entry with a name of its own, in place of what it had."""
        with self._explained("write to"):
            _obstore().put(self._store, f"named/{name}", content)

    def keep_first(self, name: str, content: bytes) -> bytes:
        """A server that does not know the condition keeps the last of several who write at the same moment."""
        if (found := self.kept(name)) is not None:
            return found
        with self._explained("write to"), suppress(_obstore().exceptions.AlreadyExistsError):
            _obstore().put(self._store, f"named/{name}", content, mode="create")
        return self.kept(name) or content

    def kept(self, name: str) -> bytes | None:
        """None if there is no such entry."""
        try:
            return self._read(f"named/{name}", ENTRY_MAX)
        except KeyError:
            return None

    def _read(self, name: str, most: int) -> bytes:
        """Raises KeyError if there is no such object."""
        with self._explained("read from"):
            found = _obstore().get(self._store, name)
            require_small(f"{name} of {self.url}", found.meta["size"], most)
            return bytes(found.bytes())

    @cached_property
    def _store(self) -> S3Store:
        from obstore.store import S3Store

        parts = urlsplit(self.url)
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config={
                **({"endpoint": self.endpoint} if self.endpoint else {}),
                **({"region": self.region} if self.region else {}),
            },
            client_options={
                "allow_http": self.endpoint.startswith("http:"), "timeout": _REQUEST, "connect_timeout": _CONNECT,
            },
            retry_config={"max_retries": _TRIES, "retry_timeout": _TRIES_TOGETHER},
        )  # fmt: skip

    @contextmanager
    def _explained(self, act: str) -> Iterator[None]:
        """Raises KeyError if there is no such object."""
        library = _obstore()
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" not in str(error):
                raise KeyError from error
            raise self._trouble(act, error) from error
        except library.exceptions.BaseError as error:
            raise self._trouble(act, error) from error

    def _trouble(self, act: str, error: Exception) -> InfrastructureError:
        said = str(error).partition("Debug source")[0]
        where = f"{act} {self}"
        for mark, advice in _ADVICE.items():
            if mark in said:
                return InfrastructureError(f"cannot {where}: {advice}", permanent=mark != _UNREACHED)
        return InfrastructureError(f"cannot {where}: {' '.join(said.split())[-400:]}")


_UNREACHED = "error sending request"  # it may answer in a moment
_ADVICE = {
    "NoSuchBucket": "there is no such bucket: make it, or correct temporal.blobs",
    "InvalidAccessKeyId": "it does not know this key: correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret is not that of the key: correct AWS_SECRET_ACCESS_KEY",
    "RequestTimeTooSkewed": "the clock of this machine differs too much: set it by NTP",
    "AuthorizationHeaderMalformed": "the bucket is in another region: correct temporal.blobs_region",
    "PermanentRedirect": "the bucket is in another region: correct temporal.blobs_region",
    "missing region": "the bucket is in another region: correct temporal.blobs_region",
    "169.254.": "no key is known: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "403 Forbidden": "this key may not: allow it s3:GetObject and s3:PutObject below that prefix",
    "401 Unauthorized": "it asks for a key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    _UNREACHED: "nothing answers there: correct temporal.blobs_endpoint, or start that server",
}


def _obstore() -> ModuleType:
    """Raises UsageError if it is not installed."""
    try:
        import obstore
    except ModuleNotFoundError as error:
        raise UsageError("a bucket of blobs needs a library: pip install 'interlock[s3]'") from error
    return obstore


def _name(digest: str) -> str:
    """Raises KeyError if it is no digest."""
    if len(digest) != 64 or not set(digest) <= _HEX:
        raise KeyError(digest)
    return f"{digest[:2]}/{digest[2:]}"


_HEX = frozenset("0123456789abcdef")


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
