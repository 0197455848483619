"""The parts of a repository: folders with a manifest of their own, where the root has none of that language.

Rule: bounded, and only as deep as people put them: at the top, and one below `packages`, `apps` and the like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock.spec.sets import folder as look

PARTS_MAX = 12
MANIFESTS = {
    "python": ("pyproject.toml", "setup.py", "setup.cfg", "requirements*.txt", "Pipfile", "manage.py"),
    "node": ("package.json",),
    "go": ("go.mod",),
    "rust": ("Cargo.toml",),
    "java": ("pom.xml", "build.gradle", "build.gradle.kts"),
}
SHELVES = ("packages", "apps", "services", "libs", "crates", "modules", "components", "projects")
NOT_PARTS = frozenset(
    {"docs", "doc", "examples", "example", "tests", "test", "benchmarks", "bench", "scripts", "tools"}
)


@dataclass(frozen=True, slots=True)
class Part:
    """A folder (the root is the empty name) and a language in it."""

    folder: str
    language: str


def parts_of(root: Path, at_top: Sequence[str], covered: Callable[[str], bool]) -> tuple[Part, ...]:
    """The parts of the repository at `root`, whose top shows the languages `at_top`. `covered` tells of a language
    whether the top has its tests, so that folders below need not be looked at for it."""
    covers = tuple(language for language in at_top if covered(language))
    below = tuple(
        Part(folder, language)
        for folder in _folders(root)
        for language, names in MANIFESTS.items()
        if language not in covers and look.has(root / folder, *names)
    )[:PARTS_MAX]
    languages = {part.language for part in below}
    found = (*(Part("", language) for language in at_top if language in covers or language not in languages), *below)
    if not found and any(name.endswith(".py") for name in look.files(root)):
        return (Part("", "python"),)
    return found


def _folders(root: Path) -> Iterator[str]:
    for name in _below(root):
        if name in SHELVES:
            yield from (f"{name}/{each}" for each in _below(root / name))
        if name not in NOT_PARTS:
            yield name


def _below(folder: Path) -> list[str]:
    if folder.is_symlink():
        return []
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    return [name for name in names if not name.startswith(".") and name not in look.SKIPPED]
