"""Damaged runs that a person has set aside: they stand in no list, and all that is left of them stays.

Rule: a file for each, beside the journal, which may be what is damaged. To remove it is to bring the run back.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote

from interlock.ports import as_infrastructure
from interlock.ports.disk import PRIVATE, make_folder, put_file, sync_files


class SetAsideRuns:
    """In `folder`, which is made when the first is put there. Raises InfrastructureError."""

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
