"""What there is: languages by the files of a folder, tools and coding agents by their names on PATH."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from interlock.core.programs import PROGRAMS
from interlock.spec.scaffold.parts import Part
from interlock.spec.sets import folder as look

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
