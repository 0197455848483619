"""Reading in a checkout for a model: lists, files, searches. Rule: nothing outside of it, not through a link either,
nothing of `.git`, and everything bounded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FILES_MAX = 500
_FILE_BYTES_MAX = 1_000_000
_LINES_MAX = 1_000
_HITS_MAX = 200
_LINE_MAX = 500  # characters
_WALKED_MAX = 50_000


class NotReadable(Exception):
    """What is asked for cannot be read. The text says why, to the model."""


@dataclass(frozen=True, slots=True)
class Reader:
    """`tree` is the checkout's root, resolved."""

    tree: Path

    def listed(self, folder: str = "") -> list[str]:
        """The files below a folder, by their paths from the root; of more than 500 the first."""
        start = self._inside(folder)
        if not start.is_dir():
            raise NotReadable(f"{folder}: no such folder")
        return [path for path, _ in zip(self._walk(start), range(_FILES_MAX), strict=False)]

    def lines(self, file: str, first: int = 1, count: int = _LINES_MAX) -> str:
        """Lines of a file with their numbers, from `first`, at most 1,000."""
        lines = self._text(self._inside(file), file).splitlines()
        start = max(1, first)
        shown = lines[start - 1 : start - 1 + max(1, min(count, _LINES_MAX))]
        return "\n".join(f"{number}: {line[:_LINE_MAX]}" for number, line in enumerate(shown, start))

    def found(self, words: str, folder: str = "") -> list[str]:
        """`file:line: text` for each line that holds `words`, at most 200."""
        if not words:
            raise NotReadable("say what to look for")
        return [hit for hit, _ in zip(self._hits(words, folder), range(_HITS_MAX), strict=False)]

    def _hits(self, words: str, folder: str) -> Iterator[str]:
        for file in self._walk(self._inside(folder)):
            try:
                lines = self._text(self.tree / file, file).splitlines()
            except NotReadable:
                continue
            yield from (f"{file}:{n}: {line[:_LINE_MAX]}" for n, line in enumerate(lines, 1) if words in line)

    def _walk(self, start: Path) -> Iterator[str]:
        walked = 0
        for folder, folders, files in os.walk(start):
            folders[:] = sorted(name for name in folders if name != ".git")
            for name in sorted(files):
                walked += 1
                if walked > _WALKED_MAX:
                    return
                yield str((Path(folder) / name).relative_to(self.tree))

    def _inside(self, path: str) -> Path:
        found = (self.tree / path).resolve()
        if not found.is_relative_to(self.tree) or ".git" in found.relative_to(self.tree).parts:
            raise NotReadable(f"{path}: outside of the checkout")
        return found

    def _text(self, path: Path, name: str) -> str:
        real = path.resolve()
        if not real.is_relative_to(self.tree) or not real.is_file() or real.stat().st_size > _FILE_BYTES_MAX:
            raise NotReadable(f"{name}: no such file, or larger than {_FILE_BYTES_MAX:,} bytes")
        content = real.read_bytes()
        if b"\0" in content:
            raise NotReadable(f"{name}: not a text")
        return content.decode("utf-8", "replace")
