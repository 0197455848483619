"""Tests that only a project's own configuration knows as such: another folder, another pattern of names.

Rule: what a test runner is told to run is a judge's file too, and nothing is run to learn it. A folder that holds more
product than tests is left out: protecting it would stop all work.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

from interlock.core.globs import matches_any
from interlock.core.judge_files import PYTHON
from interlock.spec.sets import folder as look
from interlock.spec.sets.configured_node import node_tests
from interlock.spec.sets.configured_rust import rust_tests
from interlock.spec.sets.told import commands_of, told

_FILES_MAX = 2_000
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile", "justfile", ".justfile", "Justfile")
_CASES = re.compile(r"\bunittest\b|\bTestCase\b|^(async )?def test_", re.M)


def configured_tests(folder: Path) -> tuple[str, ...]:
    """Globs relative to `folder`, beyond the names that `judge_files` knows. Only reads."""
    of_makefiles = (glob for command in commands_of(look.text(folder, *_MAKEFILES)) for glob in told(folder, command))
    return tuple(dict.fromkeys((*_python(folder), *node_tests(folder), *rust_tests(folder), *of_makefiles)))


def python_files(folder: Path) -> list[str]:
    """Names of test files that pytest is told, but for one that takes in all."""
    return [word for word in _pytest(folder, "python_files") if word not in ("*", "*.py")]


def _python(folder: Path) -> Iterator[str]:
    patterns = python_files(folder)
    yield from patterns
    for name in _pytest(folder, "testpaths"):
        path = name.strip("/").removeprefix("./")
        if path not in ("", ".") and _holds_tests(folder, path, (*PYTHON.named, *patterns)):
            yield f"/{path}/**" if (folder / path).is_dir() else f"/{path}"


def _pytest(folder: Path, key: str) -> list[str]:
    """The words of a setting, in whichever file pytest would find it."""
    content = look.toml(folder, "pyproject.toml")
    for table in (look.at(content, "tool", "pytest", "ini_options"), look.at(content, "tool", "pytest")):
        if value := table.get(key):
            return [str(item) for item in value] if isinstance(value, list) else str(value).split()
    for name, section in (
        ("pytest.ini", "pytest"), (".pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"),
    ):  # fmt: skip
        parser = configparser.RawConfigParser(strict=False, default_section="")
        try:
            parser.read_string(look.text(folder, name))
        except configparser.Error:
            continue
        if parser.has_option(section, key):
            return parser.get(section, key).split()
    return []


def _holds_tests(folder: Path, path: str, names: tuple[str, ...]) -> bool:
    """Whether the folder is one of tests: no more other code in it than tests."""
    root = folder / path
    if root.is_file():
        return True
    files = [name for name in look.files(root) if name.endswith(".py")][:_FILES_MAX] if root.is_dir() else []
    tests = sum(matches_any(names, name) or bool(_CASES.search(look.text(root, name))) for name in files)
    return 2 * tests >= len(files) > 0
