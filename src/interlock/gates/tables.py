"""Mixed files: where the project's dependencies and the tables that steer its judges lie side by side.

Rule: what is not known to be harmless judges. A file that cannot be read judges as a whole.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

_Tables = Mapping[str, str]  # a table's name, and all that is in it as text

_TOOLS = (
    "bumpver", "bumpversion", "briefcase", "cibuildwheel", "commitizen", "flit.metadata", "flit.module",
    "hatch.version", "maturin", "pdm.dev-dependencies", "pdm.version", "poetry", "semantic_release",
    "setuptools.dynamic", "setuptools.include-package-data", "setuptools.package-data", "setuptools.package-dir",
    "setuptools.packages", "setuptools.py-modules", "setuptools-scm", "setuptools_scm", "towncrier",
    "uv.dev-dependencies", "uv.package", "versioneer", "versioningit",
)  # fmt: skip
# Programs that judge, or that judges are run by: an entry point of that name would take their place.
_PROGRAMS = (
    r"(python|pip|py\.?test|ruff|mypy|dmypy|flake8|pylint|pyright|tox|nox|coverage|black|isort|node|np[mx]|pnpm|yarn|uv|"
    r"make|just|bash|sh|env|git|cargo|go|mvn|gradle)[\w.-]*"
)
_SCRIPTS = r"(start|dev|serve|preview|watch|docs|release|deploy|clean|storybook)(:[\w:-]+)?"
# A script that is new is run by nobody yet, unless a program looks for its name.
_JUDGING_SCRIPTS = (
    r"scripts\.((pre|post)\w*|(test|lint|check|type|tsc|ci|verify|validate|cov|unit|e2e|spec|build|compile|format|fmt)"
    r".*|prepare|install|uninstall|dependencies)"
)
_PACKAGE = (
    "name|version|description|keywords|author|authors|maintainers|contributors|license|licenses|homepage|bugs|repository|"
    "funding|files|main|module|browser|types|typings|typesVersions|exports|bin|man|directories|engines|os|cpu|private|"
    "sideEffects|publishConfig|dependencies|devDependencies|peerDependencies|peerDependenciesMeta|"
    "optionalDependencies|bundleDependencies|bundledDependencies|type|icon|categories|contributes|activationEvents"
)
_POM = (
    "modelVersion|groupId|artifactId|version|name|description|url|licenses|developers|contributors|organization|"
    "inceptionYear|scm|issueManagement|ciManagement|mailingLists|distributionManagement|dependencies|"
    r"dependencyManagement|properties\.(?!.*(test|skip|surefire|failsafe|checkstyle|spotless|spotbugs|jacoco|pmd|"
    r"argLine|enforcer|compiler)).*"
)
# By file name: tables that may change, as regular expressions of their names.
_HARMLESS = MappingProxyType(
    {
        "pyproject.toml": rf"project\.(?!entry-points\.pytest11|(gui-)?scripts\.{_PROGRAMS}$).*"
        r"|dependency-groups\..*"
        rf"|tool\.({'|'.join(map(re.escape, _TOOLS))})(?!\.build|\.plugins\.pytest11|\.scripts\.{_PROGRAMS}$)(\..*)?",
        "setup.cfg": r"metadata|options(\.(?!entry_points)[\w.]+)?"
        rf"|options\.entry_points\.(?!pytest11|(console|gui)_scripts\.{_PROGRAMS}$).*"
        r"|bdist_wheel|sdist|build_ext|egg_info|bumpversion.*|versioneer|upload|wheel",
        "package.json": rf"{_PACKAGE}|scripts\.{_SCRIPTS}",
        "Cargo.toml": r"package\.(?!autotests|autobenches|autobins|autoexamples|build|links).*"
        r"|dependencies|dev-dependencies|build-dependencies|target|features|workspace\.(dependencies|package|metadata|resolver)|badges|example",
        "pom.xml": _POM,
    }
)  # fmt: skip


class Unparsable(Exception):
    """The file is not of the format that its name says."""


def is_mixed(path: str) -> bool:
    return _name(path) in _READERS


@dataclass(frozen=True, slots=True)
class Table:
    """One that differs between two versions. `judges`: it steers what judges."""

    name: str
    judges: bool


def changed(path: str, old: bytes | None, new: bytes | None) -> tuple[Table, ...]:
    """The tables that differ between two versions of a mixed file, None where there is none. Raises Unparsable for the
    newer version; an older one that cannot be read has no tables."""
    before, after = _tables(path, old, forgiving=True), _tables(path, new)
    differing = (name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name))
    return tuple(Table(name, _judges(path, name, added=name not in before)) for name in differing)


def _judges(path: str, table: str, *, added: bool) -> bool:
    if added and table.startswith("scripts.") and _name(path) == "package.json":
        return re.fullmatch(_JUDGING_SCRIPTS, table) is not None
    return re.fullmatch(_HARMLESS[_canonical(path)], table) is None


def _tables(path: str, content: bytes | None, *, forgiving: bool = False) -> _Tables:
    if content is None:
        return {}
    try:
        return dict(_READERS[_name(path)](content))
    except (ValueError, TypeError, RecursionError, configparser.Error, ElementTree.ParseError) as error:
        if forgiving:
            return {}
        raise Unparsable(str(error).partition("\n")[0]) from error


def _name(path: str) -> str:
    return path.rpartition("/")[2].casefold()


def _canonical(path: str) -> str:
    return next(name for name in _HARMLESS if name.casefold() == _name(path))


# Each yields tables as fine as the rules above tell them apart: `tool.ruff`, `scripts.test`, `project.entry-points.x`.


def _pyproject(content: bytes) -> Iterator[tuple[str, str]]:
    opened = {"tool": 2, "project": 1, "dependency-groups": 1}
    deeper: set[tuple[str, ...]] = {("project", "entry-points"), ("project", "scripts"), ("project", "gui-scripts")}
    deeper |= {("tool", "poetry", "plugins"), ("tool", "poetry", "scripts")}
    whole = tomllib.loads(content.decode())
    yield from _flat(whole, lambda path: len(path) <= opened.get(path[0], 0) or tuple(path) in deeper)


def _cargo(content: bytes) -> Iterator[tuple[str, str]]:
    yield from _flat(tomllib.loads(content.decode()), lambda path: path in (["package"], ["workspace"]))


def _package(content: bytes) -> Iterator[tuple[str, str]]:
    whole = json.loads(content, object_pairs_hook=_once)
    if not isinstance(whole, dict):
        raise TypeError("an object was expected")
    yield from _flat(whole, lambda path: path == ["scripts"])


def _setup_cfg(content: bytes) -> Iterator[tuple[str, str]]:
    parser = configparser.RawConfigParser(strict=True, default_section="")  # DEFAULT is read as any other
    parser.read_string(content.decode())
    for section in parser.sections():
        items = dict(parser.items(section))
        if section == "options.entry_points":
            yield from _entry_points(items)
        else:
            yield section, _text(items)


def _entry_points(groups: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for group, listed in groups.items():
        for line in filter(None, map(str.strip, listed.splitlines())):
            name, _, target = line.partition("=")
            yield f"options.entry_points.{group}.{name.strip()}", target.strip()


def _pom(content: bytes) -> Iterator[tuple[str, str]]:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise TypeError("a document type was declared")
    for child in ElementTree.fromstring(content):
        name = _bare(child.tag)
        if name == "properties":
            yield from ((f"properties.{_bare(each.tag)}", (each.text or "").strip()) for each in child)
        else:
            yield name, ElementTree.canonicalize(ElementTree.tostring(child, "unicode"), strip_text=True)


def _flat(value: Mapping[str, Any], opens: Callable[[list[str]], bool]) -> Iterator[tuple[str, str]]:
    """The tables of `value`: a mapping that `opens` says is more than one is named by its keys."""
    waiting: list[tuple[list[str], Any]] = [([key], value[key]) for key in value]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, dict) and item and opens(path):
            waiting += [([*path, key], item[key]) for key in item]
        else:
            yield ".".join(path), _text(item)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON takes the last of two keys alike; readers may take the first."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


_READERS: Mapping[str, Callable[[bytes], Iterator[tuple[str, str]]]] = MappingProxyType(
    {
        "pyproject.toml": _pyproject,
        "setup.cfg": _setup_cfg,
        "package.json": _package,
        "cargo.toml": _cargo,
        "pom.xml": _pom,
    }
)
