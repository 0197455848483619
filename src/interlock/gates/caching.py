"""What caches of gates share: digests as keys, and taking turns.

Rule: equal keys in one process are judged one after the other, so that the second finds what the first one left.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from interlock.ports import Cancel, Cancelled

_POLL_S = 0.05


def digest_of(*parts: object) -> str:
    """A sha256 over the parts' representations. Parts are text, bytes, numbers, tuples and frozen values of ours."""
    digest = hashlib.sha256()
    for part in parts:
        text = repr(part).encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(text) + text)
    return digest.hexdigest()


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
