"""Secrets in what a program prints: replaced before anything is written, also where a secret comes in two parts.

Rule: only values as they are can be found; what a program encodes, it gives away. Values so short that they stand
everywhere are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

CHARACTERS_MIN = 4
_STARS = b"***"


class Mask:
    """Takes chunks, gives them back masked. The last bytes are held back until `rest`: they may begin a secret."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._pattern, longest = _pattern(secrets)
        self._held_max = max(0, longest - 1)
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What can be said by now."""
        if self._pattern is None:
            return chunk
        content = self._held + chunk
        cut = max(0, len(content) - self._held_max)
        for found in self._pattern.finditer(content):
            if found.start() < cut < found.end():
                cut = found.end()
        self._held = content[cut:]
        return self._pattern.sub(_STARS, content[:cut])

    def rest(self) -> bytes:
        """What was held back, once nothing more comes."""
        held, self._held = self._held, b""
        return self._pattern.sub(_STARS, held) if self._pattern else held


def masked(content: bytes, secrets: Iterable[str]) -> bytes:
    """`content` with each of the secrets replaced by three stars."""
    pattern, _ = _pattern(secrets)
    return pattern.sub(_STARS, content) if pattern else content


def _pattern(secrets: Iterable[str]) -> tuple[re.Pattern[bytes] | None, int]:
    """Longer ones first, so that one that begins like another is found whole."""
    values = {secret.encode("utf-8", "surrogateescape") for secret in secrets if len(secret) >= CHARACTERS_MIN}
    ordered = sorted(values, key=len, reverse=True)
    return (re.compile(b"|".join(map(re.escape, ordered))), len(ordered[0])) if ordered else (None, 0)
