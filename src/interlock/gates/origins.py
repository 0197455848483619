"""Where dependencies come from, and which of them judge.

Rule: a candidate may add a dependency by name. A path in the checkout, an address, another index, or another version of
a test runner or linter would let it bring its own judge. Code that says what to install (setup.py) is read by nobody.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from interlock.core.globs import matches_any
from interlock.gates import pins

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
    """What is wrong with the dependencies that `new` names and `old` does not: a clause for each."""
    if matches_any(_LOCKS, path):
        for place in sorted(_places(path, new) - _places(path, old) - _REGISTRIES):
            yield f"{place[:200]} is a place that dependencies did not come from before"
        yield from pins.complaints(path, old, new, lambda name: bool(_JUDGE.fullmatch(name)))
        return
    before, after = _dependencies(path, old), _dependencies(path, new)
    for name, spec in after.items():
        if before.get(name) != spec and not _BY_NAME.fullmatch(spec):
            yield f"{name} ({spec[:200]}) would come from a place of its own"
    for name, spec in before.items():
        if _JUDGE.fullmatch(name) and after.get(name) != spec:
            yield f"{name} judges, and {'its version was changed' if name in after else 'was taken out'}"


def _places(path: str, content: bytes | None) -> set[str]:
    """Hosts and local paths that a lock file names."""
    text = (content or b"").decode("utf-8", "replace")
    if path.endswith((".json", ".lockb")):  # there other addresses stand beside: of funding, of repositories
        text = "\n".join(re.findall(r'"(?:resolved|version)":\s*"[^"]*"|"link":\s*true', text))
    local = _REPLACED if path.endswith("go.mod") else _LOCAL
    return {*_HOST.findall(text), *local.findall(text), *re.findall(r'"link":\s*true', text)}


def _dependencies(path: str, content: bytes | None) -> dict[str, str]:
    """What stands for each name's version. What cannot be read names none: `gates.tables` tells of it."""
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
    """Name and the rest; an option or a path is its own name."""
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
    """A version as it stands; of a table what says where from makes it no version."""
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
