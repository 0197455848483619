"""Detection of damaged histories, and runs that a person set aside because they are damaged.

Each event has a digest of itself and of the event before it, so no event can disappear or change unnoticed between two
others. The newest event of each run is also in a file beside the journal (`Heads`), so a lost -wal, or an older copy of
the journal, is detected.

Rule: a history is checked whenever it is read.

Rule: a head is written after its event is on the disk and is never synced, so it may lag behind the journal and is
never ahead of it. A head that cannot be written or read is ignored: the journal alone decides.

Rule: each run that is set aside has a file beside the journal, since the journal itself may be damaged. Such a run
appears in no list and keeps its data. Removing the file brings the run back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from struct import Struct
from urllib.parse import quote, unquote

from interlock.journal.codec import Row
from interlock.ports import Damaged, as_infrastructure
from interlock.ports.disk import PRIVATE, make_folder, put_file, sync_files

Head = tuple[int, bytes]  # seq and digest of an event

_NUMBERS = Struct(">qdq").pack
_LAST_SEEN = "put the newest journal.db, with its -wal, back in its place"


def first_digest(run: str) -> bytes:
    """The digest that the first event of a run is chained to."""
    return sha256(f"interlock run {run}".encode()).digest()


def next_digest(before: bytes, event: tuple[int, float, str, int, str]) -> bytes:
    """The digest of an event (seq, at, kind, version, body) that follows an event with the digest `before`."""
    seq, at, kind, version, body = event
    return sha256(before + _NUMBERS(seq, at, version) + f"{kind} {body}".encode()).digest()


def check_rows(run: str, after: int, rows: Sequence[Row], head: Head | None, *, last: bool = True) -> Sequence[Row]:
    """Check `rows` and return those after seq `after`. If `after` is above 0, the rows begin with that event. `head` is
    the newest event that is known to have existed; the `last` rows must include it. Raises Damaged."""
    before, seq = first_digest(run), after
    if after:
        if not rows or rows[0][0] != after:
            raise Damaged(f"event {after} is no longer in the journal: {_LAST_SEEN}")
        before, rows = rows[0][5], rows[1:]
    for expected, (seq, at, kind, version, body, digest) in enumerate(rows, after + 1):
        # As `next_digest`, inlined because long histories are read here.
        before = sha256(before + _NUMBERS(seq, at, version) + f"{kind} {body}".encode()).digest()
        if digest != before or seq != expected:
            raise _mismatch(expected, seq)
    if head is not None and (last or head[0] <= seq):
        _check_head(head, after, rows, seq)
    return rows


def _mismatch(expected: int, seq: int) -> Damaged:
    if seq != expected:
        return Damaged(f"event {expected} is missing in the journal, but later ones exist: {_LAST_SEEN}")
    return Damaged(f"event {expected} was changed: its digest does not match: {_LAST_SEEN}")


def _check_head(head: Head, after: int, rows: Sequence[Row], seq: int) -> None:
    if head[0] <= after:
        return
    if head[0] > seq:
        raise Damaged(f"its history ends at event {seq}, but {head[0]} were recorded: {_LAST_SEEN}")
    if rows[head[0] - after - 1][5] != head[1]:
        raise Damaged(f"event {head[0]} is not the one that was recorded: {_LAST_SEEN}")


# --- the newest event of each run ------------------------------------------------------------


_LINE = re.compile(rb"(\d{20}) ([0-9a-f]{64})\n")


class Heads:
    """A file for each run in `folder`. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def exists(self) -> bool:
        return self._folder.is_dir()

    def begin(self) -> None:
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)

    def write(self, run: str, head: Head) -> None:
        with suppress(OSError):
            file = os.open(self._path(run), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(file, b"%020d %b\n" % (head[0], head[1].hex().encode()), 0)
            finally:
                os.close(file)

    def read(self, run: str) -> Head | None:
        try:
            found = _LINE.fullmatch(self._path(run).read_bytes())
        except OSError:
            return None
        return (int(found[1]), bytes.fromhex(found[2].decode())) if found else None

    def runs(self) -> list[str]:
        """The runs that have a head."""
        try:
            return sorted(unquote(path.name) for path in self._folder.iterdir())
        except OSError:
            return []

    def _path(self, run: str) -> Path:
        return self._folder / quote(run, safe="")


# --- damaged runs ----------------------------------------------------------------------------


class SetAsideRuns:
    """A file for each run in `folder`, which is made at first use. Raises InfrastructureError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def runs(self) -> frozenset[str]:
        try:
            return frozenset(unquote(path.name) for path in self._folder.iterdir() if not path.name.startswith("."))
        except OSError:
            return frozenset()

    def put(self, run: str, why: str) -> None:
        with as_infrastructure():
            make_folder(self._folder, PRIVATE)
            put_file(self._path(run), f"{why}\n".encode("utf-8", "surrogateescape"))

    def bring_back(self, run: str) -> None:
        with as_infrastructure():
            self._path(run).unlink(missing_ok=True)
            sync_files([self._folder])

    def _path(self, run: str) -> Path:
        return self._folder / quote(run, safe="")
