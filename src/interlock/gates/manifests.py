"""Manifests such as pyproject.toml: where dependencies come from, and the tables that steer what judges.

Rule: a candidate may add a dependency by name. A path in the checkout, an address, another index, or another version of
a test runner or linter would let it bring its own judge. Code that says what to install (setup.py) is not read. A table
steers what judges unless it is known to be harmless; a file that cannot be read does so as a whole.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast
from xml.etree import ElementTree

from interlock.gates import lockfiles
from interlock.text.globs import matches_any

_REQUIREMENTS = ("*requirements*.txt", "*requirements*.in", "**/requirements/*.txt", "*constraints*.txt")
_LOCKS = (
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "uv.lock", "poetry.lock",
    "pdm.lock", "pylock*.toml", "Pipfile", "Pipfile.lock", "Cargo.lock", "go.mod", "go.sum",
)  # fmt: skip
DEPENDENCIES = (*_REQUIREMENTS, *_LOCKS)  # beside manifests
_REGISTRIES = frozenset(
    {"pypi.org", "files.pythonhosted.org", "registry.npmjs.org", "registry.yarnpkg.com", "index.crates.io"}
)
_JUDGE = re.compile(
    r"(pytest|pluggy|iniconfig|nose2?|tox|nox|coverage|ruff|flake8|pyflakes|pycodestyle|pylint|astroid|mypy|pyright|"
    r"basedpyright|ty|pyrefly|black|isort|bandit|jest|ts-jest|vitest|vite|mocha|chai|jasmine|ava|tap|tape|uvu|karma|"
    r"playwright|cypress|eslint|typescript|tslint|tsd|biome|oxlint|prettier|stylelint|xo|standard|c8|nyc|expect)"
    r"([-_].*)?|@(vitest|jest|eslint|typescript-eslint|biomejs|playwright|sinonjs)/.*"
)
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(\[[^\]]*\])?\s*(.*)")
_BY_NAME = re.compile(r"(workspace:|catalog:)?[\w\s.,;^~<>=!|&*+()'\"-]*")  # versions, ranges and markers
_HOST = re.compile(r"(?:[a-z+]+://|git@)([^/:\s\"']+)", re.IGNORECASE)
_LOCAL = re.compile(r"\b(?:file|link|portal|exec):[^\s\"',]+|\b(?:path|git)\s*=\s*\"[^\"]*\"")
_REPLACED = re.compile(r"\breplace\s+[^(\s].*|=>\s*\S.*")  # a module of Go by another one


def names_dependencies(path: str) -> bool:
    return path.rpartition("/")[2] in _READERS or matches_any(DEPENDENCIES, path)


def complaints(path: str, old: bytes | None, new: bytes | None) -> Iterator[str]:
    """What is wrong with the dependencies that `new` has and `old` has not: a clause for each."""
    if matches_any(_LOCKS, path):
        for place in sorted(_places(path, new) - _places(path, old) - _REGISTRIES):
            yield f"{place[:200]} is a source that no dependency used before"
        yield from lockfiles.complaints(path, old, new, lambda name: bool(_JUDGE.fullmatch(name)))
        return
    before, after = _dependencies(path, old), _dependencies(path, new)
    for name, spec in after.items():
        if before.get(name) != spec and not _BY_NAME.fullmatch(spec):
            yield f"{name} ({spec[:200]}) would come from a different source"
    for name, spec in before.items():
        if _JUDGE.fullmatch(name) and after.get(name) != spec:
            yield f"{name} judges, and {'its version was changed' if name in after else 'was removed'}"


def _places(path: str, content: bytes | None) -> set[str]:
    """The hosts and local paths in a lock file."""
    text = (content or b"").decode("utf-8", "replace")
    if path.endswith((".json", ".lockb")):  # these have other addresses too: of funding, of repositories
        text = "\n".join(re.findall(r'"(?:resolved|version)":\s*"[^"]*"|"link":\s*true', text))
    local = _REPLACED if path.endswith("go.mod") else _LOCAL
    return {*_HOST.findall(text), *local.findall(text), *re.findall(r'"link":\s*true', text)}


def _dependencies(path: str, content: bytes | None) -> dict[str, str]:
    """The version of each name, as written. A file that cannot be read has none: `changed_tables` reports it."""
    if content is None:
        return {}
    read = _READERS.get(path.rpartition("/")[2], _requirements)
    try:
        return {name.lower().replace("_", "-"): spec for name, spec in read(content.decode("utf-8", "replace"))}
    except (ValueError, TypeError, AttributeError, RecursionError, configparser.Error):
        return {}


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words = re.sub(r"(^|\s)#.*|--hash=\S+", "", line).strip()
        if words:
            yield _requirement(words)


def _requirement(words: str) -> tuple[str, str]:
    """The name and the rest; an option or a path is a name of its own."""
    found = _REQUIREMENT.fullmatch(words)
    return (
        (found[1], f"{found[2] or ''}{found[3]}".replace("[", "").replace("]", "")) if found else (words, f"/{words}")
    )


def _listed(lists: Iterable[object]) -> Iterator[tuple[str, str]]:
    for listed in lists:
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, str):
                yield _requirement(item)


def _pyproject(text: str) -> Iterator[tuple[str, str]]:
    content = tomllib.loads(text)
    project, tool = _table(content, "project"), _table(content, "tool")
    groups = [_table(content, "dependency-groups"), _table(project, "optional-dependencies")]
    groups += [_table(tool, "pdm", "dev-dependencies")]
    yield from _listed([project.get("dependencies"), _table(tool, "uv").get("dev-dependencies")])
    yield from _listed(listed for group in groups for listed in group.values())
    poetry = _table(tool, "poetry")
    tables = [_table(poetry, "dependencies"), _table(poetry, "dev-dependencies")]
    tables += [_table(group, "dependencies") for group in _table(poetry, "group").values()]
    yield from (pair for table in tables for pair in _mapped(table))
    yield from ((f"source {index}", f"/{json.dumps(each)}") for index, each in enumerate(poetry.get("source", [])))


def _cargo(text: str) -> Iterator[tuple[str, str]]:
    content = tomllib.loads(text)
    for holder in (content, _table(content, "workspace"), *_table(content, "target").values()):
        for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
            yield from _mapped(_table(holder, kind))


def _package(text: str) -> Iterator[tuple[str, str]]:
    content = json.loads(text)
    for kind in ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"):
        yield from _mapped(_table(content, kind))


def _setup_cfg(text: str) -> Iterator[tuple[str, str]]:
    parser = configparser.RawConfigParser(default_section="")
    parser.read_string(text)
    listed = [
        parser.get("options", name, fallback="") for name in ("install_requires", "tests_require", "setup_requires")
    ]
    if parser.has_section("options.extras_require"):
        listed += [value for _, value in parser.items("options.extras_require")]
    yield from (pair for lines in listed for pair in _requirements(lines))


def _mapped(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The version as written; a table with a source of its own is marked by a slash."""
    for name, spec in table.items():
        if isinstance(spec, dict):
            strange = spec.keys() & {"path", "git", "url", "registry", "source", "file"}
            yield name, f"{'/' if strange else ''}{json.dumps(spec, sort_keys=True)}".translate(_PUNCTUATION)
        else:
            yield name, str(spec)


_PUNCTUATION = str.maketrans("{}[]:", "()()=")


def _table(holder: object, *names: str) -> Mapping[str, Any]:
    for name in names:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return cast(Mapping[str, Any], holder) if isinstance(holder, dict) else {}


_READERS = {"pyproject.toml": _pyproject, "setup.cfg": _setup_cfg, "package.json": _package, "Cargo.toml": _cargo}


_Tables = Mapping[str, str]  # a table's name, and all that is in it as text

_TOOLS = (
    "bumpver", "bumpversion", "briefcase", "cibuildwheel", "commitizen", "flit.metadata", "flit.module",
    "hatch.version", "maturin", "pdm.dev-dependencies", "pdm.version", "poetry", "semantic_release",
    "setuptools.dynamic", "setuptools.include-package-data", "setuptools.package-data", "setuptools.package-dir",
    "setuptools.packages", "setuptools.py-modules", "setuptools-scm", "setuptools_scm", "towncrier",
    "uv.dev-dependencies", "uv.package", "versioneer", "versioningit",
)  # fmt: skip
# Programs that judge, or that run judges: an entry point with such a name would replace them.
_PROGRAMS = (
    r"(python|pip|py\.?test|ruff|mypy|dmypy|flake8|pylint|pyright|tox|nox|coverage|black|isort|node|np[mx]|pnpm|yarn|uv|"
    r"make|just|bash|sh|env|git|cargo|go|mvn|gradle)[\w.-]*"
)
_SCRIPTS = r"(start|dev|serve|preview|watch|docs|release|deploy|clean|storybook)(:[\w:-]+)?"
# Nothing runs a new script yet, unless a program looks for its name.
_JUDGING_SCRIPTS = (
    r"scripts\.((pre|post)\w*|(test|lint|check|type|tsc|ci|verify|validate|cov|unit|e2e|spec|build|compile|format|fmt)"
    r".*|prepare|install|uninstall|dependencies)"
)
_PACKAGE_KEYS = (
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
        "package.json": rf"{_PACKAGE_KEYS}|scripts\.{_SCRIPTS}",
        "Cargo.toml": r"package\.(?!autotests|autobenches|autobins|autoexamples|build|links).*"
        r"|dependencies|dev-dependencies|build-dependencies|target|features|workspace\.(dependencies|package|metadata|resolver)|badges|example",
        "pom.xml": _POM,
    }
)  # fmt: skip


class Unparsable(Exception):
    """The file does not have the format that its name says."""


def is_mixed(path: str) -> bool:
    return _file_name(path) in _TABLE_READERS


@dataclass(frozen=True, slots=True)
class Table:
    """A table that differs between two versions. `judges`: it steers what judges."""

    name: str
    judges: bool


def changed_tables(path: str, old: bytes | None, new: bytes | None) -> tuple[Table, ...]:
    """The tables that differ between two versions of a mixed file; None: there is no such version. Raises Unparsable
    for the newer version; an older one that cannot be read has no tables."""
    before, after = _tables_in(path, old, forgiving=True), _tables_in(path, new)
    differing = (name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name))
    return tuple(Table(name, _judges(path, name, added=name not in before)) for name in differing)


def _judges(path: str, table: str, *, added: bool) -> bool:
    if added and table.startswith("scripts.") and _file_name(path) == "package.json":
        return re.fullmatch(_JUDGING_SCRIPTS, table) is not None
    return re.fullmatch(_HARMLESS[_canonical(path)], table) is None


def _tables_in(path: str, content: bytes | None, *, forgiving: bool = False) -> _Tables:
    if content is None:
        return {}
    try:
        return dict(_TABLE_READERS[_file_name(path)](content))
    except (ValueError, TypeError, RecursionError, configparser.Error, ElementTree.ParseError) as error:
        if forgiving:
            return {}
        raise Unparsable(str(error).partition("\n")[0]) from error


def _file_name(path: str) -> str:
    return path.rpartition("/")[2].casefold()


def _canonical(path: str) -> str:
    return next(name for name in _HARMLESS if name.casefold() == _file_name(path))


# Each reader yields tables as fine as the rules above need: `tool.ruff`, `scripts.test`, `project.entry-points.x`.


def _pyproject_tables(content: bytes) -> Iterator[tuple[str, str]]:
    opened = {"tool": 2, "project": 1, "dependency-groups": 1}
    deeper: set[tuple[str, ...]] = {("project", "entry-points"), ("project", "scripts"), ("project", "gui-scripts")}
    deeper |= {("tool", "poetry", "plugins"), ("tool", "poetry", "scripts")}
    whole = tomllib.loads(content.decode())
    yield from _flat(whole, lambda path: len(path) <= opened.get(path[0], 0) or tuple(path) in deeper)


def _cargo_tables(content: bytes) -> Iterator[tuple[str, str]]:
    yield from _flat(tomllib.loads(content.decode()), lambda path: path in (["package"], ["workspace"]))


def _package_tables(content: bytes) -> Iterator[tuple[str, str]]:
    whole = json.loads(content, object_pairs_hook=_unique_keys)
    if not isinstance(whole, dict):
        raise TypeError("expected an object")
    yield from _flat(whole, lambda path: path == ["scripts"])


def _setup_cfg_tables(content: bytes) -> Iterator[tuple[str, str]]:
    parser = configparser.RawConfigParser(strict=True, default_section="")  # DEFAULT is read like any other section
    parser.read_string(content.decode())
    for section in parser.sections():
        items = dict(parser.items(section))
        if section == "options.entry_points":
            yield from _entry_points(items)
        else:
            yield section, _as_text(items)


def _entry_points(groups: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for group, listed in groups.items():
        for line in filter(None, map(str.strip, listed.splitlines())):
            name, _, target = line.partition("=")
            yield f"options.entry_points.{group}.{name.strip()}", target.strip()


def _pom_tables(content: bytes) -> Iterator[tuple[str, str]]:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise TypeError("a document type was declared")
    for child in ElementTree.fromstring(content):
        name = _bare(child.tag)
        if name == "properties":
            yield from ((f"properties.{_bare(each.tag)}", (each.text or "").strip()) for each in child)
        else:
            yield name, ElementTree.canonicalize(ElementTree.tostring(child, "unicode"), strip_text=True)


def _flat(value: Mapping[str, Any], opens: Callable[[list[str]], bool]) -> Iterator[tuple[str, str]]:
    """The tables of `value`: a mapping for which `opens` is true is split into its keys."""
    waiting: list[tuple[list[str], Any]] = [([key], value[key]) for key in value]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, dict) and item and opens(path):
            waiting += [([*path, key], item[key]) for key in item]
        else:
            yield ".".join(path), _as_text(item)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a duplicate key JSON readers may use the first or the last value."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _as_text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


_TABLE_READERS: Mapping[str, Callable[[bytes], Iterator[tuple[str, str]]]] = MappingProxyType(
    {
        "pyproject.toml": _pyproject_tables,
        "setup.cfg": _setup_cfg_tables,
        "package.json": _package_tables,
        "cargo.toml": _cargo_tables,
        "pom.xml": _pom_tables,
    }
)
