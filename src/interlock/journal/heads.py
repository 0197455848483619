"""The newest event of each run, in a file beside the journal: a lost -wal, or an older copy in its place, shows.

Rule: it is written after the event is on disk and never synced, so it may lag behind the journal, and is never ahead.
What cannot be written or read is as if it was not there: the journal alone decides.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from interlock.journal.chain import Head

_LINE = re.compile(rb"(\d{20}) ([0-9a-f]{64})\n")


class Heads:
    """In `folder`, a file for each run. Several processes may share it."""

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
        """Of which something was recorded."""
        try:
            return sorted(unquote(path.name) for path in self._folder.iterdir())
        except OSError:
            return []

    def _path(self, run: str) -> Path:
        return self._folder / quote(run, safe="")
