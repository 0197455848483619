"""What the environments of tox, nox and hatch install for tests. Rule: a best effort, and nothing is run."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.spec.sets import folder as look

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[\w, -]*\])?\s*([<>=!~][^;#]*)?")
_OF_TESTS = re.compile(r"(^|[^a-z])(unit)?tests?([^a-z]|$)|^py\d|^default$|^dev$")
_HATCH_TEST = ("pytest", "pytest-mock", "pytest-randomly", "pytest-rerunfailures", "pytest-xdist")


@dataclass(frozen=True, slots=True)
class Runners:
    files: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def of_runners(root: Path) -> Runners:
    """Of the first runner that says something."""
    for find in (_tox, _nox, _hatch):
        found = find(root)
        if found != Runners():
            return found
    return Runners()


def ini(root: Path, name: str) -> Mapping[str, Mapping[str, str]]:
    """The sections of an INI file; empty where it is absent or broken."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(look.text(root, name))
    except configparser.Error:
        return {}
    return {section: {key: value or "" for key, value in parser.items(section)} for section in parser.sections()}


def _tox(root: Path) -> Runners:
    content = look.toml(root, "pyproject.toml")
    table = look.toml(root, "tox.toml") or look.at(content, "tool", "tox")
    if base := look.at(table, "env_run_base") or look.at(table, "env", "test"):
        return _parted(
            root, map(str, _items(base, "deps")), _strings(base, "extras"), _strings(base, "dependency_groups")
        )
    sections = ini(root, "tox.ini") or _legacy(table)
    for name in ("testenv", "testenv:test", "testenv:tests", "testenv:py3", "testenv:unit"):
        section = sections.get(name, {})
        lines = _lines(section.get("deps", ""), sections)
        found = _parted(root, lines, _lines(section.get("extras", "")), _lines(section.get("dependency_groups", "")))
        if found != Runners():
            return found
    return Runners()


def _legacy(table: Mapping[str, object]) -> Mapping[str, Mapping[str, str]]:
    said = table.get("legacy_tox_ini")
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(said if isinstance(said, str) else "")
    except configparser.Error:
        return {}
    return {section: {key: value or "" for key, value in parser.items(section)} for section in parser.sections()}


def _lines(value: str, sections: Mapping[str, Mapping[str, str]] | None = None) -> list[str]:
    """The lines of a setting, without conditions of other environments; `{[section]key}` is looked up once."""
    found = []
    for line in re.split(r"[\n,]" if sections is None else r"\n", value):
        words = re.sub(r"\s#.*|^#.*", "", line).strip()
        if other := re.fullmatch(r"\{\[([^\]]+)\](\w+)\}", words):
            found += _lines((sections or {}).get(other[1], {}).get(other[2], ""))
        elif not re.match(r"!?[\w.{},!-]+:\s", words):
            found.append(words.replace("{toxinidir}/", "").replace("{tox_root}/", ""))
    return [words for words in found if words]


def _parted(root: Path, lines: Iterable[str], extras: Iterable[str], groups: Iterable[str]) -> Runners:
    files, packages, own = [], [], list(extras)
    for line in lines:
        if included := re.match(r"(?:-r|--requirement)[ =]?\s*(\S+)", line):
            files += [included[1].removeprefix("./")] if (root / included[1]).is_file() else []
        elif itself := re.fullmatch(r"(?:-e\s*)?\.\[([^\]]*)\]", line):
            own += [name.strip() for name in itself[1].split(",")]
        elif _REQUIREMENT.fullmatch(line):
            packages.append(line.replace(" ", ""))
    return Runners(tuple(files), tuple(own), tuple(groups), tuple(packages))


def _nox(root: Path) -> Runners:
    """The words of `session.install` in sessions that are named after tests."""
    try:
        tree = ast.parse(look.text(root, "noxfile.py"))
    except (SyntaxError, ValueError):
        return Runners()
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        if not _OF_TESTS.search(function.name):
            continue
        words = [
            word.value
            for call in ast.walk(function)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "install"
            for word in call.args
            if isinstance(word, ast.Constant) and isinstance(word.value, str)
        ]
        paired = " ".join(words).replace("-r ", "-r").replace("--group ", "--group=").split()
        groups = [word.removeprefix("--group=") for word in paired if word.startswith("--group=")]
        found = _parted(root, (word for word in paired if not word.startswith("--")), (), groups)
        if found != Runners():
            return found
    return Runners()


def _hatch(root: Path) -> Runners:
    content = look.toml(root, "hatch.toml") or look.at(look.toml(root, "pyproject.toml"), "tool", "hatch")
    envs = look.at(content, "envs")
    for name in ("hatch-test", "test", "tests", "default", "dev"):
        env = look.at(envs, name)
        base = [] if name != "hatch-test" or "dependencies" in env or not env else list(_HATCH_TEST)
        lines = [*base, *map(str, (*_items(env, "dependencies"), *_items(env, "extra-dependencies")))]
        found = _parted(root, lines, _strings(env, "features"), _strings(env, "dependency-groups"))
        if any("pytest" in package for package in found.packages) or found.extras or found.groups:
            return found
    return Runners()


def _items(table: Mapping[str, object], key: str) -> list[object]:
    value = table.get(key)
    return value if isinstance(value, list) else []


def _strings(table: Mapping[str, object], key: str) -> list[str]:
    return [item for item in _items(table, key) if isinstance(item, str)]
