"""The verdict cache: the same judgement is never paid for twice.

Rule: the key holds all that a verdict may hang on; what could not be decided is never kept. Equal keys in
one process are judged one after the other, so that the second finds the first one's verdict.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from interlock.core.events import Evidence, Finding, Severity, VerdictStatus
from interlock.ports import Blobs, Cancel, Cancelled, Journal, Judgement

_KIND = "verdict/1"
_POLL_S = 0.05


def digest_of(*parts: object) -> str:
    """A sha256 over the parts' representations. Parts are text, bytes, numbers, tuples and frozen values of ours."""
    digest = hashlib.sha256()
    for part in parts:
        text = repr(part).encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(text) + text)
    return digest.hexdigest()


def recall(journal: Journal, blobs: Blobs, key: str) -> Judgement | None:
    """The verdict kept by `key`, where its evidence is still there."""
    text = journal.recall(_KIND, key)
    if text is None:
        return None
    judgement = _decoded(text, key)
    return judgement if all(blobs.path(item.digest).exists() for item in judgement.evidence) else None


def remember(journal: Journal, key: str, judgement: Judgement) -> None:
    """Keep a verdict, unless it could not decide."""
    if judgement.status is not VerdictStatus.ERRORED:
        journal.remember(_KIND, key, _encoded(judgement))


class Flights:
    """Which keys are being judged in this process."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._keys: set[str] = set()

    @contextmanager
    def alone(self, key: str, cancel: Cancel) -> Iterator[None]:
        """Wait until nobody else judges `key`. The other's own deadline bounds the wait. Raises Cancelled."""
        with self._lock:
            while key in self._keys:
                if cancel.is_set():
                    raise Cancelled("no longer wanted while another one was judging the same")
                self._lock.wait(_POLL_S)
            self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(key)
                self._lock.notify_all()


def _encoded(judgement: Judgement) -> str:
    return json.dumps(
        {
            "status": judgement.status,
            "findings": [asdict(finding) for finding in judgement.findings],
            "evidence": [asdict(item) for item in judgement.evidence],
        }
    )


def _decoded(text: str, key: str) -> Judgement:
    kept: dict[str, Any] = json.loads(text)
    return Judgement(
        VerdictStatus(kept["status"]),
        tuple(Finding(**{**item, "severity": Severity(item["severity"])}) for item in kept["findings"]),
        tuple(Evidence(**item) for item in kept["evidence"]),
        digest=key,
        cached=True,
    )
