"""Sizes in bytes as text: powers of a thousand."""

from __future__ import annotations

import re

_UNITS = ("B", "kB", "MB", "GB", "TB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)")


def size_words(count: int) -> str:
    """`0 B`, `12 kB`, `3.4 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def read_size(text: str) -> int | None:
    """Bytes, from `500 MB` or `8GB`; None if it is no size."""
    found = _SIZE.fullmatch(text.strip())
    units = {unit.lower(): 10 ** (3 * power) for power, unit in enumerate(_UNITS)}
    if found is None or found[2].lower() not in units:
        return None
    scaled: float = float(found[1]) * units[found[2].lower()]
    return round(scaled)
