"""Each event carries a digest of itself and of the one before it, so that nothing can go or change unseen between two.

Rule: a history is checked whenever it is read. What the newest event is, `heads` knows beside the journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from struct import Struct
from typing import Any

from interlock.ports import Damaged

Head = tuple[int, bytes]  # seq and digest of an event

_NUMBERS = Struct(">qdq").pack
_LAST_SEEN = "put the newest journal.db, with its -wal, back in its place"


def first(run: str) -> bytes:
    """What the first event of a run is chained to."""
    return sha256(f"interlock run {run}".encode()).digest()


def link(before: bytes, event: tuple[int, float, str, int, str]) -> bytes:
    """The digest of an event (seq, at, kind, version, body) after one with the digest `before`."""
    seq, at, kind, version, body = event
    return sha256(b"%b%b%b %b" % (before, _NUMBERS(seq, at, version), kind.encode(), body.encode())).digest()


def checked(run: str, after: int, rows: Sequence[Sequence[Any]], head: Head | None) -> Iterator[Any]:
    """The events of `rows` beyond seq `after`, without their digests. `rows` begin with the event `after` itself, if
    that is above 0; `head` is the newest that is known to have been there. Raises Damaged."""
    before = first(run)
    if after:
        if not rows or rows[0][0] != after:
            raise Damaged(f"event {after} is not in the journal any more: {_LAST_SEEN}")
        before, rows = rows[0][5], rows[1:]
    expected = after
    for row in rows:
        expected += 1
        *event, digest = row
        if event[0] != expected:
            raise Damaged(f"event {expected} is not in the journal, though later ones are: {_LAST_SEEN}")
        if digest != link(before, event):  # type: ignore[arg-type]
            raise Damaged(f"event {expected} is not as it was recorded: its digest does not fit: {_LAST_SEEN}")
        if head is not None and head[0] == expected and head[1] != digest:
            raise Damaged(f"event {expected} is not the one that was recorded there: {_LAST_SEEN}")
        before = digest
        yield event
    if head is not None and expected < head[0]:
        raise Damaged(f"its history ends at event {expected}, and {head[0]} were recorded: {_LAST_SEEN}")
