"""Each event carries a digest of itself and of the one before it, so that nothing can go or change unseen between two.

Rule: a history is checked whenever it is read. What the newest event is, `heads` knows beside the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct

from interlock.journal.codec import Row
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
    return sha256(before + _NUMBERS(seq, at, version) + f"{kind} {body}".encode()).digest()


def checked(run: str, after: int, rows: Sequence[Row], head: Head | None, *, last: bool = True) -> Sequence[Row]:
    """The `rows` beyond seq `after`. They begin with the event `after` itself, if that is above 0; `head` is the newest
    that is known to have been there: in these, if they are the `last` ones. Raises Damaged."""
    before, seq = first(run), after
    if after:
        if not rows or rows[0][0] != after:
            raise Damaged(f"event {after} is not in the journal any more: {_LAST_SEEN}")
        before, rows = rows[0][5], rows[1:]
    for expected, (seq, at, kind, version, body, digest) in enumerate(rows, after + 1):
        # As `link`, and not a call of it: long histories are read by this.
        before = sha256(before + _NUMBERS(seq, at, version) + f"{kind} {body}".encode()).digest()
        if digest != before or seq != expected:
            raise _unlike(expected, seq)
    if head is not None and (last or head[0] <= seq):
        _check_head(head, after, rows, seq)
    return rows


def _unlike(expected: int, seq: int) -> Damaged:
    if seq != expected:
        return Damaged(f"event {expected} is not in the journal, though later ones are: {_LAST_SEEN}")
    return Damaged(f"event {expected} is not as it was recorded: its digest does not fit: {_LAST_SEEN}")


def _check_head(head: Head, after: int, rows: Sequence[Row], seq: int) -> None:
    if head[0] <= after:
        return
    if head[0] > seq:
        raise Damaged(f"its history ends at event {seq}, and {head[0]} were recorded: {_LAST_SEEN}")
    if rows[head[0] - after - 1][5] != head[1]:
        raise Damaged(f"event {head[0]} is not the one that was recorded there: {_LAST_SEEN}")
