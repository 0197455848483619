"""Tests of Rust that no name tells: targets with a path of their own, and modules that only tests compile."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from interlock.core.judge_files import is_test
from interlock.spec.sets import folder as look

_FILES_MAX = 2_000
_MODULE = re.compile(
    r"((?:^[ \t]*#\[[^\n]*\]\s*)*)^[ \t]*(?:#\[[^\n]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", re.M
)
_FOR_TESTS = re.compile(r"#\[\s*cfg\s*\(\s*(?:all\s*\(\s*(?:[^()]*,\s*)?)?test\b")
_PLACED = re.compile(r"#\[\s*path\s*=\s*\"([^\"]+)\"\s*\]")
_ROOTS = ("lib.rs", "main.rs", "mod.rs")


def rust_tests(folder: Path) -> Iterator[str]:
    """Globs relative to `folder`."""
    if not look.has(folder, "Cargo.toml"):
        return
    paths = list(look.files(folder))
    for manifest in (path for path in paths if posixpath.basename(path) == "Cargo.toml"):
        targets = look.toml(folder, manifest).get("test")
        for target in targets if isinstance(targets, list) else ():
            if path := look.table(target).get("path"):
                yield f"/{posixpath.normpath(posixpath.join(posixpath.dirname(manifest), str(path)))}"
    there = frozenset(paths)
    for source in [path for path in paths if path.endswith(".rs") and not is_test(path)][:_FILES_MAX]:
        for module in _modules(source, look.text(folder, source)):
            below = module.removesuffix("/mod.rs").removesuffix(".rs")
            yield from [f"/{module}"] if module in there else []
            yield from [f"/{below}/**"] if module in there and (folder / below).is_dir() else []


def _modules(source: str, text: str) -> Iterator[str]:
    """The files that the source may have as modules for tests alone."""
    above, name = posixpath.split(source)
    inside = above if name in _ROOTS else posixpath.join(above, name.removesuffix(".rs"))
    for found in _MODULE.finditer(text):
        said = found[0]
        if not _FOR_TESTS.search(said):
            continue
        if placed := _PLACED.search(said):
            yield posixpath.normpath(posixpath.join(above, placed[1]))
            continue
        for folder in dict.fromkeys((inside, above)):  # beside it, where it is the root of a target
            yield from (posixpath.join(folder, end) for end in (f"{found[2]}.rs", f"{found[2]}/mod.rs"))
