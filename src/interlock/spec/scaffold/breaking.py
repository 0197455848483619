"""Test files that a command by its exit code alone is likely to run: one of them is broken to see it say no."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from interlock.core.globs import matches_any
from interlock.core.judge_files import is_test
from interlock.spec.sets import folder as look
from interlock.spec.sets.configured import configured_tests

FILES_MAX = 10  # no more than a gate breaks
MANIFESTS_MAX = 100
_KINDS = re.compile(r".+\.([cm]?[jt]sx?|py|sh|bash)")
_ASIDE = (
    "**/fixture*/**", "**/data/**", "**/helper*/**", "**/util*/**", "**/example*/**", "helper*", "util*", "common.*",
    "index.*", "__init__.py", "conftest.py", "*.d.ts", "*.config.*",
)  # fmt: skip
_TEST = re.compile(r"(^|/)([^/]*[-_.])?(test|spec)s?([-_.][^/]*)?\.\w+$")


def likely(root: Path, folder: str, command: str) -> tuple[str, ...]:
    """Globs of one file each, as a gate in `folder` writes them; those first that the command names."""
    place = root / folder
    text = "\n".join((command, *_read_by(place, command)))
    known = configured_tests(place)
    found = [
        path
        for path in look.files(place)
        if _KINDS.fullmatch(path)
        and (is_test(path) or matches_any(known, path) or _names(text, path))
        and not matches_any(_ASIDE, path)
    ]
    found.sort(key=lambda path: (not _names(text, path), not _TEST.search(path), path.count("/"), path))
    below = f"/{folder}/" if folder else "/"
    return tuple(path if "/" in path else below + path for path in found[:FILES_MAX])


def of_their_own(root: Path, folder: str) -> tuple[tuple[str, str], ...]:
    """Tests of Rust with a harness of their own, as cargo names them and by their files."""
    found = []
    manifests = [path for path in look.files(root / folder) if path.rpartition("/")[2] == "Cargo.toml"]
    for path in manifests[:MANIFESTS_MAX]:
        below = path.removesuffix("Cargo.toml")
        for test in _tests_of(look.text(root / folder, path)):
            if isinstance(test, dict) and test.get("harness") is False and isinstance(name := test.get("name"), str):
                found.append((name, f"{below}{test.get('path', f'tests/{name}.rs')}"))
    return tuple(found)


def _tests_of(manifest: str) -> list[Any]:
    try:
        tests = tomllib.loads(manifest).get("test")
    except tomllib.TOMLDecodeError:
        return []
    return tests if isinstance(tests, list) else []


def _read_by(place: Path, command: str) -> list[str]:
    """What the command reads to know what to run."""
    if re.match(r"(make|just)\b", command):
        return [look.text(place, "GNUmakefile", "makefile", "Makefile", "justfile", ".justfile", "Justfile")]
    return []


def _names(text: str, path: str) -> bool:
    return re.search(rf"(?<![\w/.-])(\./)?{re.escape(path)}(?![\w/-])", text) is not None
