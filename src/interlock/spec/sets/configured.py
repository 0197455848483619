"""Tests that only a project's own configuration knows as such: another folder, another pattern of names.

Rule: what a test runner is told to run is a judge's file too. A folder that holds more product than tests is left out:
protecting it would stop all work.
"""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from interlock.core.globs import matches_any
from interlock.core.judge_files import PYTHON
from interlock.spec.sets import folder as look

_FILES_MAX = 2_000
_RUNNERS = frozenset(
    {"mocha", "_mocha", "ava", "tape", "tap", "jasmine", "uvu", "node", "tsx", "ts-node", "bun", "deno"}
)
_BEFORE = frozenset({"c8", "nyc", "cross-env", "npx", "env"})


def configured_tests(folder: Path) -> tuple[str, ...]:
    """Globs relative to `folder`, beyond the names that `judge_files` knows. Only reads."""
    return tuple(dict.fromkeys((*_python(folder), *_node(folder))))


def _python(folder: Path) -> Iterator[str]:
    patterns = [word for word in _pytest(folder, "python_files") if word not in ("*", "*.py")]
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
    tests = sum(matches_any(names, name) for name in files)
    return 2 * tests >= len(files) > 0


def _node(folder: Path) -> Iterator[str]:
    package = look.json_object(folder, "package.json")
    for table, key in (("jest", "testMatch"), ("ava", "files"), ("mocha", "spec")):
        value = look.at(package, table).get(key)
        for glob in value if isinstance(value, list) else [value] if value else []:
            yield from _glob(str(glob).removeprefix("<rootDir>/"))
    scripts = look.at(package, "scripts")
    for name in ("pretest", "test"):
        script = scripts.get(name)
        for command in re.split(r"&&|\|\||;", script) if isinstance(script, str) else ():
            for word in _told(command):
                yield from _named(folder, word)


def _told(command: str) -> list[str]:
    """What a runner of tests is told to run."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    while words and (words[0] in _BEFORE or words[0].startswith("-") or re.fullmatch(r"\w+=.*", words[0])):
        words = words[1:]
    if not words or words[0].rpartition("/")[2] not in _RUNNERS:
        return []
    return [word for word in words[1:] if not word.startswith("-")]


def _named(folder: Path, word: str) -> Iterator[str]:
    path = word.removeprefix("./").rstrip("/")
    if path in ("", ".", "src", "lib", "run", "test") or path.startswith(("/", "..")):
        return
    if "*" in path:
        yield from _glob(path)
    elif (folder / path).is_dir():
        yield f"/{path}/**"
    elif (folder / path).is_file():
        yield f"/{path}"


def _glob(pattern: str) -> Iterator[str]:
    """A pattern of a runner as one of ours; its braces are spread out, and one that takes in everything is none."""
    if pattern.startswith("!") or (re.fullmatch(r"[*/.{},\w]*\*\*/\*(\.\w+)?", pattern) and pattern.count("/") <= 1):
        return
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found:
        for choice in found[1].split(","):
            yield from _glob(pattern[: found.start()] + choice + pattern[found.end() :])
    elif not re.search(r"[@?!+]\(", pattern):
        yield f"/{pattern.removeprefix('./').lstrip('/')}"
