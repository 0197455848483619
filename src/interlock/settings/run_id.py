"""Ids of runs: sorted by time, globally unique, short enough to type, valid in a ref and a file name."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# Crockford's base 32 in lower case: without i, l, o and u, so that it can be read out.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SUFFIX_LENGTH = 6
ENTROPY_BYTES = 4
_ID = re.compile(rf"\d{{8}}-\d{{6}}-[{_ALPHABET}]{{{_SUFFIX_LENGTH}}}")


def new_run_id(now: float, random_bytes: bytes) -> str:
    """Such as `20261123-224507-k3f9xq`: the second in UTC, then 30 random bits.

    `now` is unix seconds. Raises ValueError for fewer than ENTROPY_BYTES random bytes.
    """
    if len(random_bytes) < ENTROPY_BYTES:
        raise ValueError(f"{len(random_bytes)} random bytes are too few: {ENTROPY_BYTES} are needed")
    number = int.from_bytes(random_bytes, "big")
    suffix = "".join(_ALPHABET[number >> (5 * index) & 31] for index in range(_SUFFIX_LENGTH))
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{suffix}"


def is_run_id(text: str) -> bool:
    """Whether the text has the form of `new_run_id`."""
    return _ID.fullmatch(text) is not None
