"""A project's folder: its files, languages and parts. Rule: reading is bounded, and a file that is absent or broken
counts as empty."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

Which: TypeAlias = Callable[[str], str | None]

READ_BYTES_MAX = 1_000_000
FILES_MAX = 20_000
SKIPPED = frozenset(
    {"node_modules", "target", "build", "dist", "vendor", "venv", "site-packages", "__pycache__", "htmlcov"}
)


def text(folder: Path, *names: str) -> str:
    """The content of the files that exist, one after the other, each up to a megabyte."""
    return "\n".join(_head(folder / name) for name in names)


def has(folder: Path, *names: str) -> str:
    """The first of `names` that exists, or an empty string. A name may be a glob."""
    for name in names:
        found = sorted(folder.glob(name)) if "*" in name else [folder / name]
        if found and found[0].exists():
            return found[0].name if "*" in name else name
    return ""


def toml(folder: Path, name: str) -> Mapping[str, object]:
    """A TOML file's content; empty if it is absent or broken: its own tool reports that."""
    try:
        return tomllib.loads(text(folder, name))
    except tomllib.TOMLDecodeError:
        return {}


def json_object(folder: Path, name: str) -> Mapping[str, object]:
    """A JSON file's object; empty if it is absent or broken."""
    try:
        return table(json.loads(text(folder, name) or "{}"))
    except ValueError:
        return {}


def table(value: object) -> Mapping[str, object]:
    """`value` if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def at(value: Mapping[str, object], *keys: str) -> Mapping[str, object]:
    """The table below `keys`; empty if there is none."""
    for key in keys:
        value = table(value.get(key))
    return value


def files(folder: Path) -> Iterator[str]:
    """Paths of the project's files relative to `folder`, sorted within each folder, at most 20,000. Hidden, vendored
    and built files are left out."""
    return islice(_walk(folder), FILES_MAX)


def _walk(folder: Path) -> Iterator[str]:
    above = len(os.path.join(folder, ""))  # noqa: PTH118 - with its slash
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        within = f"{root[above:]}/" if root[above:] else ""
        yield from (f"{within}{name}" for name in sorted(names))


def _head(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as opened:
            return opened.read(READ_BYTES_MAX).decode("utf-8", errors="replace")
    except OSError:
        return ""


MARKS = {
    "python": ("pyproject.toml", "setup.py", "setup.cfg", "requirements*.txt", "Pipfile", "tox.ini", "*.py"),
    "node": ("package.json",),
    "go": ("go.mod", "go.work"),
    "rust": ("Cargo.toml",),
    "java": ("pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"),
}
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
    """A folder (empty for the root) and a language in it."""

    folder: str
    language: str


def languages_of(root: Path) -> tuple[str, ...]:
    """The languages that files at the top of `root` show."""
    return tuple(language for language, marks in MARKS.items() if has(root, *marks))


def parts_of(root: Path, at_top: Sequence[str], covered: Callable[[str], bool]) -> tuple[Part, ...]:
    """The parts of the repository at `root`, whose top shows the languages `at_top`. `covered` says whether the top has
    the tests of a language: then no folder below is searched for it."""
    covers = tuple(language for language in at_top if covered(language))
    below = tuple(
        Part(folder, language)
        for folder in _folders(root)
        for language, names in MANIFESTS.items()
        if language not in covers and has(root / folder, *names)
    )[:PARTS_MAX]
    languages = {part.language for part in below}
    found = (*(Part("", language) for language in at_top if language in covers or language not in languages), *below)
    if not found and any(name.endswith(".py") for name in files(root)):
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
    return [name for name in names if not name.startswith(".") and name not in SKIPPED]
