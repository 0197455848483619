"""Tests of JavaScript that only a project's own configuration knows as such: of jest, vitest, mocha and ava, and of
scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from interlock.spec.sets import folder as look
from interlock.spec.sets.objects import texts
from interlock.spec.sets.told import commands_of, named, spread, told

MOCHA = (
    ".mocharc.js",
    ".mocharc.cjs",
    ".mocharc.mjs",
    ".mocharc.json",
    ".mocharc.jsonc",
    ".mocharc.yml",
    ".mocharc.yaml",
)
_CONFIGURATIONS = (  # by file, with the last keys of what lists tests
    (("jest.config.*",), ("testMatch",)),
    (("vitest.config.*", "vite.config.*", "vitest.workspace.*", "vitest.projects.*"), ("test", "include")),
    (("ava.config.*",), ("files",)),
)
_ENDINGS = ("js", "cjs", "mjs", "ts", "cts", "mts", "json")


def node_tests(folder: Path) -> Iterator[str]:
    """Globs relative to `folder`."""
    package = look.json_object(folder, "package.json")
    for table, key in (("jest", "testMatch"), ("ava", "files"), ("mocha", "spec")):
        for word in words(look.at(package, table).get(key)):
            yield from spread(word.removeprefix("<rootDir>/"))
    for keys, word in of_mocha(folder):
        if keys[-1:] == ("spec",):
            yield from (spread(word) if "*" in word else named(folder, word))
    for names, wanted in _CONFIGURATIONS:
        for keys, word in configured(folder, *names):
            if keys[-len(wanted) :] == wanted:
                yield from spread(word.removeprefix("<rootDir>/"))
    scripts = look.at(package, "scripts")
    for name in ("pretest", "test"):
        for command in commands_of(str(scripts.get(name, ""))):
            yield from told(folder, command, tests=True)


def configured(folder: Path, *names: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """What the files say that are there, by the keys that lead to it."""
    for path in sorted(path for name in names for path in folder.glob(name)):
        if path.suffix.removeprefix(".") in _ENDINGS:
            yield from texts(look.text(folder, path.name))


def of_mocha(folder: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """What the first file says that mocha would find."""
    name = look.has(folder, *MOCHA)
    if not name.endswith((".yml", ".yaml")):
        yield from texts(look.text(folder, name)) if name else ()
        return
    import yaml  # late: most projects have no such file

    try:
        content = look.table(yaml.safe_load(look.text(folder, name)))
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    for key, value in content.items():
        yield from (((key,), word) for word in words(value))


def words(value: object) -> list[str]:
    """A text, or a list of them."""
    listed = value if isinstance(value, list) else [value]
    return [each for each in listed if isinstance(each, str) and each]
