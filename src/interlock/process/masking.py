"""Secrets in what is kept: replaced before anything is written, also where one comes in two parts or encoded.

Rule: `core.secret_forms` says which forms are found; what is encoded in another way is given away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from interlock.core.events import Finding
from interlock.core.secret_forms import Forms, Stream, parts, starred, to_mask
from interlock.ports import Blobs


class Mask:
    """Takes chunks, gives them back masked. What may begin a secret is held back until more comes, or `rest`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._stream = Stream(_forms(tuple(secrets)))

    def feed(self, chunk: bytes) -> bytes:
        """What can be said by now."""
        return starred(self._stream.feed(chunk))

    def rest(self) -> bytes:
        """What was held back, once nothing more comes."""
        return starred(self._stream.rest())


class MaskedBlobs:
    """Blobs: no content that is put holds one of the secrets."""

    def __init__(self, blobs: Blobs, secrets: Iterable[str]) -> None:
        self._blobs = blobs
        self._secrets = tuple(secrets)

    def put(self, content: bytes) -> str:
        return self._blobs.put(masked(content, self._secrets))

    def put_file(self, path: Path) -> tuple[str, int]:
        """As it is: logs are masked as they are written, and what else a program left, by the one who ran it."""
        return self._blobs.put_file(path)

    def get(self, digest: str) -> bytes:
        return self._blobs.get(digest)

    def path(self, digest: str) -> Path:
        return self._blobs.path(digest)


def masked(content: bytes, secrets: Iterable[str]) -> bytes:
    """`content` with each of the secrets replaced by three stars."""
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
