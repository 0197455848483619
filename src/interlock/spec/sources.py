"""Every file that a pipeline is made of. Rule: read once, kept by content, and nothing outside the repository.

A path is relative to the folder of the file that names it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from interlock.ports import machine_trouble
from interlock.spec.mistakes import InvalidPipeline, Mark, Mistakes
from interlock.spec.yaml import BYTES_MAX, decode

if TYPE_CHECKING:
    from pathlib import Path


class Sources:
    """Holds what was read, by path relative to the root, in the order of reading."""

    def __init__(self, root: Path, mistakes: Mistakes) -> None:
        self.root = root.resolve()
        self._mistakes = mistakes
        self._read: dict[str, str] = {}

    def read(self, path: str, mark: Mark, *, folder: str | None = None) -> tuple[str, str] | None:
        """Content and path relative to the root, of the file that the text at `mark` names, relative
        to its own folder (or to `folder`). None where that is a mistake, which is added."""
        relative = self._relative(path, mark, os.path.dirname(mark.file) if folder is None else folder)  # noqa: PTH120
        if relative is None:
            return None
        if relative not in self._read:
            content = self._content(relative, path, mark)
            if content is None:
                return None
            self._read[relative] = content
        return self._read[relative], relative

    def listed(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._read.items())

    def _relative(self, path: str, mark: Mark, folder: str) -> str | None:
        if path.startswith(("/", "~")):
            self._mistakes.add(
                mark, f"{path} is not a relative path", f"write it relative to the folder of {mark.file}"
            )
            return None
        relative = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118
        inside = (self.root / relative).resolve().is_relative_to(self.root)
        if relative.startswith("..") or not inside:
            self._mistakes.add(mark, f"{path} leads out of the repository", "keep what a pipeline reads inside of it")
            return None
        return relative

    def _content(self, relative: str, path: str, mark: Mark) -> str | None:
        full = self.root / relative
        try:
            if full.is_dir():
                self._mistakes.add(mark, f"{relative} is a folder", "name a file in it")
                return None
            if not full.is_file():
                self._mistakes.add(mark, f"there is no file {relative}", self._hint(relative, path))
                return None
            with full.open("rb") as stream:
                return decode(stream.read(BYTES_MAX + 1), relative)
        except OSError as error:
            if trouble := machine_trouble(error):
                raise trouble from error
            self._mistakes.add(mark, f"{relative} cannot be read ({error.strerror})", "make it readable")
        except InvalidPipeline as error:
            self._mistakes.extend(error.mistakes)
        return None

    def _hint(self, relative: str, path: str) -> str:
        if relative != path and (self.root / path).is_file():
            up = os.path.relpath(path, os.path.dirname(relative.removesuffix(path)) or ".")  # noqa: PTH120
            return f"a path is relative to the file that names it: write {up}"
        folder = os.path.dirname(relative) or "."  # noqa: PTH120
        return f"create it, or look for the right name in {folder}/"
