"""What there is: languages by the files of a folder, tools and coding agents by their names on PATH."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from interlock.core.programs import PROGRAMS
from interlock.pipelinefile.sets import folder as look

Which: TypeAlias = Callable[[str], str | None]

MARKS = {
    "python": ("pyproject.toml", "setup.py", "setup.cfg", "requirements*.txt", "Pipfile", "tox.ini", "*.py"),
    "node": ("package.json",),
    "go": ("go.mod", "go.work"),
    "rust": ("Cargo.toml",),
    "java": ("pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"),
}
TOOLS = (
    "python3", "uv", "poetry", "pipenv", "pytest", "ruff", "flake8", "mypy", "pyright", "node", "npm", "pnpm", "yarn",
    "bun", "go", "gotestsum", "golangci-lint", "cargo", "cargo-nextest", "cargo-clippy", "mvn", "gradle",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """Names, each in the order of preference. `folders` has those of the parts, where the root is none."""

    languages: tuple[str, ...]
    tools: tuple[str, ...]
    agents: tuple[str, ...]
    folders: tuple[str, ...] = ()


def find(parts: Sequence[Part], which: Which) -> Found:
    """What the parts of a repository are, and by `which` the programs."""
    return Found(
        languages=tuple(dict.fromkeys(part.language for part in parts)),
        tools=tuple(name for name in TOOLS if which(name)),
        agents=tuple(program.name for program in PROGRAMS if which(program.name)),
        folders=tuple(dict.fromkeys(part.folder for part in parts if part.folder)),
    )


def languages_of(root: Path) -> tuple[str, ...]:
    """The languages by what lies at the top of `root`."""
    return tuple(language for language, marks in MARKS.items() if look.has(root, *marks))


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
