"""Honest changes, each of which a gate could mistake for an attack. None may be rejected."""

from __future__ import annotations

import json

import pytest
from tests.attacks.arena import Outcome
from tests.attacks.rows import Find, Honest, each
from tests.attacks.shapes import APP, MUL, MUL_TESTS, NODE, PYPROJECT, SUM
from tests.nightly import rest_at_night

TYPED = '"""Sums."""\n\n' + APP
SUB = APP + "\n\ndef sub(a: int, b: int) -> int:\n    return a - b\n"


def pyproject(old: str, new: str) -> dict[str, str]:
    assert old in PYPROJECT
    return {"pyproject.toml": PYPROJECT.replace(old, new)}


def package(**more: object) -> dict[str, str]:
    return {"package.json": json.dumps({**json.loads(NODE.files["package.json"]), **more}, indent=2) + "\n"}


PYTHON = [
    Honest("a comment", {"src/app.py": TYPED}),
    Honest("a new function", {"src/app.py": SUB}),
    Honest("another way to the same", {"src/app.py": APP.replace("a + b", "sum((a, b))")}),
    Honest("a dependency", pyproject("dependencies = []", 'dependencies = ["requests>=2"]')),
    Honest("two dependencies and a version", pyproject('version = "1.0"\ndependencies = []', 'version = "1.1"\ndependencies = ["a", "b"]')),
    Honest("a version", pyproject('version = "1.0"', 'version = "2.0"')),
    Honest("a description", pyproject('version = "1.0"', 'version = "1.0"\ndescription = "Adds."\nreadme = "README.md"')),
    Honest("authors and a licence", pyproject('version = "1.0"', 'version = "1.0"\nlicense = "MIT"\nauthors = [{name = "A"}]')),
    Honest("classifiers and urls", pyproject("dependencies = []", "dependencies = []\nclassifiers = []\n\n[project.urls]\nHome = 'https://example.org'")),
    Honest("requires-python", pyproject('version = "1.0"', 'version = "1.0"\nrequires-python = ">=3.9"')),
    Honest("an extra", pyproject("dependencies = []", "dependencies = []\n\n[project.optional-dependencies]\nfast = ['numpy']")),
    Honest("a script", pyproject("dependencies = []", "dependencies = []\n\n[project.scripts]\napp = 'app:main'")),
    Honest("an entry point of its own group", pyproject("dependencies = []", "dependencies = []\n\n[project.entry-points.'app.plugins']\nx = 'app:add'")),
    Honest("pyproject.toml in another order", {"pyproject.toml": "\n".join((PYPROJECT[PYPROJECT.index("[dependency"):], PYPROJECT[:PYPROJECT.index("[dependency")]))}),
    Honest("comments in pyproject.toml", {"pyproject.toml": "# ours\n" + PYPROJECT}),
    Honest("README.md", {"README.md": "# App\n\nIt adds.\n"}),
    Honest("README.md renamed", {"README.md": ["move", "README.rst"]}),
    Honest("documents", {"docs/index.md": "# Docs\n", "docs/testing.md": "# How to test\n", "CHANGELOG.md": "# 1.1\n"}),
    Honest("a new module", {"src/more.py": SUB}),
    Honest("a new package", {"src/pkg/__init__.py": "", "src/pkg/deep/__init__.py": "", "src/pkg/deep/part.py": SUB}),
    Honest("latest.py", {"src/latest.py": SUB}),
    Honest("contest.py", {"src/contest.py": SUB, "src/attest.py": SUB, "src/protest/__init__.py": ""}),
    Honest("inspect.py", {"src/pkg/inspect.py": SUB, "src/pkg/json.py": SUB, "src/pkg/typing.py": SUB}),
    Honest("testing.py", {"src/testing.py": "def assert_sum():\n    pass\n"}),
    Honest("specification.py", {"src/specification.py": SUB, "src/special.py": SUB, "src/spec.txt": "x\n"}),
    Honest("config.py", {"src/config.py": "DEBUG = False\n", "src/settings.py": "", "src/config.ini": "[app]\n"}),
    Honest("py.typed", {"src/py.typed": "", "src/app.pyi": "def add(a: int, b: int) -> int: ...\n"}),
    Honest("data of the product", {"src/data/rates.json": "{}\n", "src/data/schema.sql": "select 1;\n", "data/table.csv": "a,b\n"}),
    Honest("a binary file", {"docs/logo.png": ["hex", "89504e470d0a1a0a0000"]}),
    Honest("a link within", {"docs/readme.md": ["link", "../README.md"]}),
    Honest("a program that may run", {"scripts/tool": "#!/bin/sh\necho hi\n"}),
    Honest("another mode of a file", {"README.md": ["mode", "755"]}),
    Honest("a comment of one line that is ignored by a linter", {"src/app.py": APP.replace("return a + b", "return a + b  # noqa: E501")}),
    Honest("a type that is ignored by name", {"src/app.py": APP.replace("return a + b", "return a + b  # type: ignore[no-any-return]")}),
    Honest("a file that is deleted with its use", {"README.md": None}),
    Honest("a translation", {"src/locale/de.po": 'msgid "a"\n', "src/templates/page.html": "<p>\n"}),
    Honest("a class", {"src/app.py": APP + "\n\nclass Test:\n    def __init__(self) -> None:\n        self.__test__ = False\n"}),
    Honest("a notebook and a licence", {"LICENSE": "MIT\n", "notes.ipynb": "{}\n", ".gitattributes.md": "x\n"}),
    Honest("atexit for its own ends", {"src/app.py": "import atexit\n\n" + APP + "\n\natexit.register(lambda: None)\n"}),
    Honest("an environment that is read", {"src/app.py": "import os\n\n" + APP + "\n\nHOME = os.environ.get('HOME', '')\n"}),
    Honest("threads of its own", {"src/app.py": "import threading\n\n" + APP + "\n\nthreading.Thread(target=lambda: None, daemon=True).start()\n"}),
    Honest("what it prints", {"src/app.py": APP + "\n\nprint('loaded <failure> ]]>')\n"}),
]  # fmt: skip
UNITTESTED = [
    Honest("a new function", {"app.py": SUB}),
    Honest("setup.cfg with metadata", {"setup.cfg": "[metadata]\ndescription = Adds\n\n[options]\ninstall_requires =\n    requests\n"}),
    Honest("requirements.txt", {"requirements.txt": "requests\n"}),
    Honest("latest.py", {"latest.py": SUB, "contest.py": SUB}),
    Honest("a package", {"more/__init__.py": "", "more/part.py": SUB}),
    Honest("documents", {"README.md": "# App\n"}),
]  # fmt: skip
NODES = [
    Honest("a new function", {"src/app.js": SUM + "export const sub = (a, b) => a - b;\n"}),
    Honest("a dependency", package(dependencies={"lodash": "^4"})),
    Honest("a version", package(version="2.0.0", description="Adds.", license="MIT", keywords=["add"], author="A")),
    Honest("a script to start", package(scripts={"test": "node --test", "start": "node src/app.js"})),
    Honest("engines", package(engines={"node": ">=18"}, repository="a/b", bugs={"url": "https://example.org"})),
    Honest("contest.js", {"src/contest.js": SUM, "src/latest.js": SUM, "src/protester.mjs": SUM}),
    Honest("inspect.js", {"src/inspect.js": SUM, "src/spectrum.js": SUM, "src/specials.js": SUM}),
    Honest("documents", {"README.md": "# App\n", "docs/x.md": "# X\n"}),
    Honest("types", {"src/app.d.ts": "export function add(a: number, b: number): number;\n"}),
    Honest("a configuration of its own", {"src/config.js": "export const debug = false;\n", "config/default.json": "{}\n"}),
    Honest("data", {"src/rates.json": "{}\n", "public/index.html": "<p>\n", "src/app.css": "a {}\n"}),
    Honest("events of the process", {"src/app.js": SUM + "process.on('exit', () => {});\n"}),
]  # fmt: skip
FEATURES = [
    Honest("as planned", {}),
    Honest("with a dependency", {"code": {"src/app.py": MUL, **pyproject("dependencies = []", 'dependencies = ["x"]')}}),
    Honest("with two files of tests", {"tests": {"tests/test_mul.py": MUL_TESTS, "tests/test_mul_more.py": MUL_TESTS.replace("2, 3) == 6", "3, 3) == 9")}}),
    Honest("with a test that is in a file of old ones", {"tests": {"tests/test_mul.py": MUL_TESTS, "tests/data/products.json": "[]"}}),
    Honest("with a test that imports at its top", {"tests": {"tests/test_mul.py": "from app import mul\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"}}),
    Honest("with a test in a folder", {"tests": {"tests/more/test_mul.py": MUL_TESTS}}),
    Honest("with parameters", {"tests": {"tests/test_mul.py": "import pytest\n\n\n@pytest.mark.parametrize('a', [1, 2])\ndef test_mul(a):\n    from app import mul\n\n    assert mul(a, 3) == 3 * a\n"}}),
]  # fmt: skip


def accepted(outcome: Outcome) -> None:
    assert outcome.delivered, outcome.told()
    assert not outcome.complaints, outcome.told()


@each(PYTHON)
def test_pytest(arena_of: Find, row: Honest) -> None:
    accepted(arena_of("pytest").attack(row.files))


@each(UNITTESTED)
def test_unittest(arena_of: Find, row: Honest) -> None:
    accepted(arena_of("unittest").attack(row.files))


@each(NODES)
def test_node(arena_of: Find, row: Honest) -> None:
    accepted(arena_of("node").attack(row.files))


@each(FEATURES)
def test_feature(arena_of: Find, row: Honest) -> None:
    arena = arena_of("feature")
    accepted(arena.attack({**arena.shape.prepared, **row.files}))


@pytest.mark.parametrize("shape", rest_at_night(["jest", "mocha", "vitest"], 2))
def test_packages(arena_of: Find, shape: str) -> None:
    accepted(arena_of(shape).attack({"README.md": "# App\n", "src/contest.js": "module.exports = 1;\n"}))
