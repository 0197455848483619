"""Files that the configuration of a runner names and loads beside the tests: set-up, plugins, environments, reporters.

Rule: whatever such a file does, it does to each test. What the product publishes as a plugin is the product.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from interlock.pipelinefile.sets import folder as look
from interlock.pipelinefile.sets.configured import configured, of_mocha, texts, words

_JEST = frozenset(
    {
        "setupFiles", "setupFilesAfterEnv", "setupTestFrameworkScriptFile", "globalSetup", "globalTeardown", "filter",
        "testEnvironment", "environment", "preset", "reporters", "resolver", "runner", "testRunner", "transform",
        "snapshotSerializers", "snapshotResolver", "snapshotEnvironment", "testResultsProcessor", "testSequencer",
        "sequencer", "customProviderModule",
    }
)  # fmt: skip
_MOCHA = frozenset({"require", "import", "file", "loader", "reporter", "ui"})
_CONFIGURATIONS = ("jest.config.*", "jest.*.config.*", "vitest.*", "vite.config.*")
_ENDINGS = ("", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".jsx", ".tsx", "/index.js", "/index.ts")
_PLUGINS = re.compile(r"^pytest_plugins\b[^=\n]*=\s*(\[[^\]]*\]|\([^)]*\)|[^\n]*)", re.M)
_OPTIONS = re.compile(r"^\s*addopts\b.*?(?=^\s*\w+\s*=|^\[|\Z)", re.M | re.S)
_FOR_PYTEST = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")


def steering(folder: Path) -> tuple[str, ...]:
    """Paths relative to `folder` of files that are there. Only reads."""
    return tuple(dict.fromkeys((*_node(folder), *_python(folder))))


def _node(folder: Path) -> Iterator[str]:
    package = look.json_object(folder, "package.json")
    jest, mocha = (look.at(package, name) for name in ("jest", "mocha"))
    named = [
        *(word for keys, word in texts(json.dumps(jest)) if _JEST.intersection(keys)),
        *(word for key in sorted(_MOCHA) for word in words(mocha.get(key))),
        *(word for key in ("require",) for word in words(look.at(package, "ava").get(key))),
        *(word for keys, word in of_mocha(folder) if _MOCHA.intersection(keys)),
        *(word for keys, word in configured(folder, *_CONFIGURATIONS) if _JEST.intersection(keys)),
    ]
    for name in named:
        path = posixpath.normpath(name.removeprefix("<rootDir>/"))
        found = (f"{path}{ending}" for ending in _ENDINGS if not path.startswith(("/", "..", "node_modules/")))
        yield from [each for each in found if (folder / each).is_file()][:1]


def _python(folder: Path) -> Iterator[str]:
    """Plugins that a conftest.py or an option of pytest names."""
    published = _published(folder)
    files = (path for path in look.files(folder) if posixpath.basename(path) == "conftest.py")
    named = [("", name) for name in _by_option(folder)]
    for path in files:
        said = "\n".join(_PLUGINS.findall(look.text(folder, path)))
        named += [(posixpath.dirname(path), name) for name in re.findall(r"[\"']([\w.]+)[\"']", said)]
    for above, name in named:
        stem = name.replace(".", "/")
        places = (posixpath.join(place, stem) for place in ("", "src", above))
        found = [f"{place}{end}" for place in places for end in (".py", "/__init__.py")]
        if name not in published:
            yield from [each for each in found if (folder / each).is_file()][:1]


def _by_option(folder: Path) -> list[str]:
    said = look.text(folder, *_FOR_PYTEST)
    return [name for text in _OPTIONS.findall(said) for name in re.findall(r"-p[\s\"',]*([A-Za-z_][\w.]*)", text)]


def _published(folder: Path) -> frozenset[str]:
    """Modules that the project offers to others as plugins of pytest."""
    content = look.toml(folder, "pyproject.toml")
    tables = (
        look.at(content, "project", "entry-points", "pytest11"),
        look.at(content, "tool", "poetry", "plugins", "pytest11"),
    )
    found = {str(value).partition(":")[0].strip() for table in tables for value in table.values()}
    for section in re.findall(
        r"pytest11[\"']?\s*[:=]([^\]\[]*(?:\[[^\]]*\])?)", look.text(folder, "setup.py", "setup.cfg")
    ):
        found.update(re.findall(r"=\s*([\w.]+)", section))
    return frozenset(found)
