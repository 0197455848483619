"""Mistakes in a pipeline file. Rule: each says what is wrong, where, and what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING

from interlock.ports import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Level(StrEnum):
    ERROR = "error"  # the pipeline cannot be run
    WARNING = "warning"  # it can be run, but this is probably not intended
    LATER = "later"  # it is right, but this version does not support it yet
    CONFINED = "confined"  # it is right, but only in the sandbox `full`


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file: `file` relative to the repository's root, line and column from 1."""

    file: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Mistake:
    file: str
    line: int
    column: int
    message: str  # what is wrong
    hint: str  # what would be right
    level: Level = Level.ERROR

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}: {self.hint}"


class InvalidPipeline(UsageError):
    """The pipeline has mistakes. `mistakes` are all of them, warnings included, in the order of the files."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes if mistake.level is Level.ERROR))
        self.mistakes = mistakes


class Mistakes:
    """Collects mistakes while a pipeline is read. The same mistake at the same place counts once."""

    def __init__(self) -> None:
        self._found: dict[Mistake, None] = {}

    def add(self, mark: Mark, message: str, hint: str, level: Level = Level.ERROR) -> None:
        self._found[Mistake(mark.file, mark.line, mark.column, message, hint, level)] = None

    def extend(self, others: Iterable[Mistake]) -> None:
        self._found.update(dict.fromkeys(others))

    def listed(self, main: str = "") -> tuple[Mistake, ...]:
        """All mistakes in the order of files and lines, those of file `main` first."""
        return tuple(sorted(self._found, key=lambda found: (found.file != main, found.file, found.line, found.column)))

    def places(self) -> frozenset[Mark]:
        return frozenset(Mark(found.file, found.line, found.column) for found in self._found)

    @property
    def fatal(self) -> bool:
        return any(mistake.level is Level.ERROR for mistake in self._found)


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint: the known word nearest to `word`, else all known words, else `otherwise` if there are none."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    if not names:
        return otherwise
    return f"known: {', '.join(names)}"
