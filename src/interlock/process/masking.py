"""Mask secrets before anything is stored, including secrets that are split between chunks or encoded.

Rule: `conventions.secret_forms` lists the forms that are found. A secret in any other encoding is not masked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from interlock.conventions.secret_forms import Forms, Stream, parts, starred, to_mask
from interlock.core.events import Finding
from interlock.ports import Blobs


class Mask:
    """Masks a stream of chunks. Bytes that may begin a secret are held back until the next chunk or `rest`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._stream = Stream(_forms(tuple(secrets)))

    def feed(self, chunk: bytes) -> bytes:
        """The masked bytes that are certain so far."""
        return starred(self._stream.feed(chunk))

    def rest(self) -> bytes:
        """The bytes that were held back, at the end of the stream."""
        return starred(self._stream.rest())


class MaskedBlobs:
    """Blobs that mask the secrets in every content that is put."""

    def __init__(self, blobs: Blobs, secrets: Iterable[str]) -> None:
        self._blobs = blobs
        self._secrets = tuple(secrets)

    def put(self, content: bytes) -> str:
        return self._blobs.put(masked(content, self._secrets))

    def put_file(self, path: Path) -> tuple[str, int]:
        """Stored unchanged: logs are masked when they are written, and other files by the caller."""
        return self._blobs.put_file(path)

    def get(self, digest: str) -> bytes:
        return self._blobs.get(digest)

    def size(self, digest: str) -> int | None:
        return self._blobs.size(digest)


def masked(content: bytes, secrets: Iterable[str]) -> bytes:
    """`content` with each secret replaced by three stars."""
    forms = _forms(tuple(secrets))
    return b"".join(map(starred, parts(content, forms))) if forms else content


def masked_text(text: str, secrets: Iterable[str]) -> str:
    return masked(text.encode("utf-8", "surrogateescape"), secrets).decode("utf-8", "surrogateescape")


def masked_finding(finding: Finding, secrets: Iterable[str]) -> Finding:
    values = tuple(secrets)
    return replace(
        finding,
        rule=masked_text(finding.rule, values),
        message=masked_text(finding.message, values),
        file=masked_text(finding.file, values),
    )


@lru_cache(maxsize=8)  # the same for all texts of a run
def _forms(secrets: tuple[str, ...]) -> Forms:
    return to_mask(secrets)
