"""What there is: languages by the files of a folder, tools and coding agents by their names on PATH."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from interlock.spec.scaffold.agents import PROGRAMS
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
    """Names, each in the order of preference."""

    languages: tuple[str, ...]
    tools: tuple[str, ...]
    agents: tuple[str, ...]


def find(root: Path, which: Which) -> Found:
    """Look at the top of `root` for languages, and by `which` for programs."""
    return Found(
        languages=_languages(root),
        tools=tuple(name for name in TOOLS if which(name)),
        agents=tuple(program.name for program in PROGRAMS if which(program.name)),
    )


def _languages(root: Path) -> tuple[str, ...]:
    found = tuple(language for language, marks in MARKS.items() if look.has(root, *marks))
    if not found and any(name.endswith(".py") for name in look.files(root)):
        return ("python",)
    return found
