"""Reading a project's folder: bounded, and forgiving of what is absent or broken."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

READ_BYTES_MAX = 1_000_000
FILES_MAX = 20_000
SKIPPED = frozenset(
    {"node_modules", "target", "build", "dist", "vendor", "venv", "site-packages", "__pycache__", "htmlcov"}
)


def text(folder: Path, *names: str) -> str:
    """The content of the files that are there, one after the other, each up to a megabyte."""
    return "\n".join(_head(folder / name) for name in names)


def has(folder: Path, *names: str) -> str:
    """The first of `names` that is there, or an empty string. A name may be a glob."""
    for name in names:
        found = sorted(folder.glob(name)) if "*" in name else [folder / name]
        if found and found[0].exists():
            return found[0].name if "*" in name else name
    return ""


def toml(folder: Path, name: str) -> Mapping[str, object]:
    """A TOML file's content; empty where it is absent or broken: its own tool will say so."""
    try:
        return tomllib.loads(text(folder, name))
    except tomllib.TOMLDecodeError:
        return {}


def json_object(folder: Path, name: str) -> Mapping[str, object]:
    """A JSON file's object; empty where it is absent or broken."""
    try:
        return table(json.loads(text(folder, name) or "{}"))
    except ValueError:
        return {}


def table(value: object) -> Mapping[str, object]:
    """`value` if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def at(value: Mapping[str, object], *keys: str) -> Mapping[str, object]:
    """The table below `keys`, empty where there is none."""
    for key in keys:
        value = table(value.get(key))
    return value


def files(folder: Path) -> Iterator[str]:
    """Paths of the project's files relative to `folder`, sorted within each folder; hidden, vendored and built
    ones left out, at most 20,000."""
    return islice(_walk(folder), FILES_MAX)


def _walk(folder: Path) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        for name in sorted(names):
            yield (Path(root) / name).relative_to(folder).as_posix()


def _head(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as opened:
            return opened.read(READ_BYTES_MAX).decode("utf-8", errors="replace")
    except OSError:
        return ""
