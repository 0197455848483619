"""The projects that are attacked: small, right, green. Each has a product, tests, and a pipeline that we ship.

Rule: the base is right and its gates pass, so whatever is delivered and makes one of its tests fail was accepted falsely.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Texts = Mapping[str, str]


@dataclass(frozen=True)
class Shape:
    """`product` is the file that a change is about, `broken` is what it should not become. `tests` are the base's, as FILE::NAME;
    `truth` are questions to the product with their answers as text. `page` is a whole pipeline file; without it `init`
    writes, and `pipeline` says which is run. `prepared` is what the agent leaves in stages that a row says nothing of."""

    name: str
    language: str
    files: Texts
    product: str
    broken: str
    tests: tuple[str, ...]
    truth: tuple[tuple[str, str], ...]
    pipeline: str = "quick"
    page: str = ""
    stages: tuple[str, ...] = ("code",)
    prepared: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    held_out: Texts = field(default_factory=dict)
    source: str = "src"
    module: str = "app"
    one_test: tuple[str, ...] = ()  # how one test is called, where it is not Python
    lints: tuple[tuple[str, ...], ...] = ()
    ignored: str = "node_modules\n.venv\n__pycache__\n"
    packages: bool = False
    program: str = ""  # what has to be there beside: rust, django
    proves: bool = False  # whether new tests have to prove the change, as `quick` of init asks
    adds: bool = True  # whether the stage may add tests, where init lets it
    keeps_setup: bool = False  # the page's own, in place of none
    agents: tuple[str, ...] = ()  # whose place ours takes; empty: everybody's

    def is_test(self, path: str) -> bool:
        return bool(re.match(r"(tests?|__tests__|checks)/|.*\.snap$|(shop/)?(test|tests)\.(py|js)$", path))


# --- Python --------------------------------------------------------------------------------------

APP = "def add(a: int, b: int) -> int:\n    return a + b\n\n\ndef keep(a: int) -> int:\n    return a\n"
BROKEN = APP.replace("a + b", "a - b")
PYPROJECT = """\
[project]
name = "app"
version = "1.0"
dependencies = []

[dependency-groups]
dev = ["pytest", "ruff", "mypy"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""
PYTESTS = """\
import json
from pathlib import Path

from app import add, keep


def test_keep():
    assert keep(3) == 3


def test_zero():
    assert add(5, 0) == 5


def test_add():
    assert add(2, 3) == 5


def test_table():
    rows = json.loads(Path(__file__).with_name("data").joinpath("sums.json").read_text())
    assert [add(a, b) for a, b, _ in rows] == [total for _, _, total in rows]
"""
SUMS = "[[1, 1, 2], [2, 5, 7]]\n"
UNITTESTS = """\
import unittest

from app import add, keep


class Sums(unittest.TestCase):
    def test_keep(self):
        self.assertEqual(keep(3), 3)

    def test_zero(self):
        self.assertEqual(add(5, 0), 5)

    def test_add(self):
        self.assertEqual(add(2, 3), 5)
"""
TRUTH = (("add(20, 22)", "42"), ("add(-1, -1)", "-2"), ("keep(3)", "3"))
_NAMES = ("keep", "zero", "add")

PYTEST = Shape(
    name="pytest", language="python",
    files={
        "pyproject.toml": PYPROJECT, "src/app.py": APP, "tests/test_app.py": PYTESTS, "tests/data/sums.json": SUMS,
        "README.md": "# App\n",
    },
    product="src/app.py", broken=BROKEN, truth=TRUTH,
    tests=tuple(f"tests/test_app.py::test_{name}" for name in (*_NAMES, "table")),
)  # fmt: skip
LINTED = replace(
    PYTEST, name="linted",
    files={**PYTEST.files, "pyproject.toml": PYPROJECT + '\n[tool.ruff.lint]\nselect = ["F"]\n\n[tool.mypy]\nstrict = true\n'},
    broken=f"import os\n\n\n{APP}",  # an import that nobody uses
    lints=(
        ("ruff", "check", "--isolated", "--no-cache", "--ignore-noqa", "--select", "F", "src"),
        ("mypy", "--config-file=", "--strict", "--cache-dir=/dev/null", "src/app.py"),
    ),
)  # fmt: skip
LOOSE = replace(
    LINTED, name="loose", files={**LINTED.files, "pyproject.toml": PYPROJECT + "\n[tool.mypy]\nwarn_unused_ignores = true\n"},
    broken=APP.replace("keep(a: int) -> int:\n    return a", 'keep(a: int) -> int:\n    return float(a)'),
)  # fmt: skip
UNITTEST = Shape(
    name="unittest", language="python", source=".",
    files={
        "setup.py": "from setuptools import setup\n\nsetup(name='app', version='1.0', py_modules=['app'])\n",
        "app.py": APP, "tests/__init__.py": "", "tests/test_app.py": UNITTESTS,
    },
    product="app.py", broken=BROKEN, tests=tuple(f"tests/test_app.py::Sums.test_{name}" for name in _NAMES), truth=TRUTH,
)  # fmt: skip

_SETTINGS = "SECRET_KEY = 'x'\nINSTALLED_APPS = ['shop']\nDATABASES = {}\nUSE_TZ = True\n"
DJANGO = replace(
    UNITTEST, name="django", program="django", tests=(),
    files={
        "manage.py": (
            "import os\nimport sys\n\nfrom django.core.management import execute_from_command_line\n\n"
            "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\nexecute_from_command_line(sys.argv)\n"
        ),
        "config/__init__.py": "", "config/settings.py": _SETTINGS, "shop/__init__.py": "", "app.py": APP,
        "shop/tests.py": UNITTESTS.replace("import unittest\n", "from django.test import SimpleTestCase\n").replace(
            "unittest.TestCase", "SimpleTestCase"
        ),
    },
)  # fmt: skip

# --- pipelines of more than one stage ------------------------------------------------------------

MUL = APP + "\n\ndef mul(a: int, b: int) -> int:\n    return a * b\n"
MUL_TESTS = "def test_mul():\n    from app import mul\n\n    assert mul(2, 3) == 6\n"
PLAN = "# Goal\n\nMultiply.\n\n# Approach\n\nIn app.\n\n# Out of scope\n\nThe rest.\n"
# The product in a process of its own: what it does to the one that tests cannot be seen there.
HIDDEN = """\
import os
import subprocess
import sys


def test_hidden():
    program = "from app import add, mul; print(add(20, 22), add(-1, -1), mul(7, 8))"
    env = {"PYTHONPATH": os.pathsep.join(["src", "."]), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-B", "-c", program], env=env, capture_output=True)
    assert done.stdout == b"42 -2 56\\n"
"""
FEATURE = replace(
    PYTEST, name="feature", pipeline="feature", stages=("plan", "tests", "code"), broken=MUL.replace("a + b", "a - b"),
    prepared={"plan": {"$ARTIFACTS/plan.md": PLAN}, "tests": {"tests/test_mul.py": MUL_TESTS}, "code": {"src/app.py": MUL}},
    truth=(*TRUTH, ("mul(7, 8)", "56")),
)  # fmt: skip


def _page(path: str, mark: str) -> str:
    """The YAML block of a page of ours that holds `mark`."""
    text = (ROOT / path).read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml[^\n]*\n(.*?)^```", text, re.M | re.S)
    page = next(block for block in blocks if mark in block)
    return re.sub(r"approve: ([^\"}\n]*\?)\}", r'approve: "\1"}', page)  # PyYAML takes the question mark for a key


README = replace(
    FEATURE, name="readme", pipeline="", page=_page("README.md", "name: fix"), held_out={"test_hidden.py": HIDDEN}
)  # fmt: skip
GUIDE = replace(
    README, name="guide", page=_page("docs/guide.md", "name: feature"), source=".", product="app.py",
    files={**{name: text for name, text in PYTEST.files.items() if name != "src/app.py"}, "app.py": APP},
    prepared={**FEATURE.prepared, "code": {"app.py": MUL}},
)  # fmt: skip

# --- Node ----------------------------------------------------------------------------------------

SUM = "export const add = (a, b) => a + b;\nexport const keep = (a) => a;\n"
SUM_CJS = "const add = (a, b) => a + b;\nconst keep = (a) => a;\nmodule.exports = { add, keep };\n"
JS_TRUTH = (("add(20, 22)", "42"), ("add(-1, -1)", "-2"), ("keep(3)", "3"))
_CASES = {"keep": "keep(3), 3", "zero": "add(5, 0), 5", "add": "add(2, 3), 5"}


def _js_tests(head: str, case: str) -> str:
    return (
        head
        + "\n"
        + "".join(
            case.format(name=name, pair=pair, **dict(zip("ab", pair.rsplit(", ", 1), strict=True)))
            for name, pair in _CASES.items()
        )
    )


def _package(test: str, *packages: str, module: bool = True) -> str:
    kind = '\n  "type": "module",' if module else ""
    needed = ", ".join(f'"{name}": "*"' for name in packages)
    return (
        f'{{\n  "name": "app",\n  "version": "1.0.0",{kind}\n  "scripts": {{ "test": "{test}" }},\n'
        f'  "devDependencies": {{ {needed} }}\n}}\n'
    )


NODE = Shape(
    name="node", language="node", module="src/app.js",
    files={
        "package.json": _package("node --test"), "src/app.js": SUM,
        "test/app.test.js": _js_tests(
            "import test from 'node:test';\nimport assert from 'node:assert';\nimport { add, keep } from '../src/app.js';\n",
            "test('{name}', () => assert.equal({pair}));\n",
        ),
    },
    product="src/app.js", broken=SUM.replace("a + b", "a - b"), truth=JS_TRUTH,
    tests=tuple(f"test/app.test.js::{name}" for name in _CASES),
    one_test=("node", "--test", "--test-name-pattern=^{name}$", "{file}"),
)  # fmt: skip
JEST = replace(
    NODE, name="jest", packages=True, broken=SUM_CJS.replace("a + b", "a - b"),
    files={
        "package.json": _package("jest", "jest", "jest-junit", module=False), "src/app.js": SUM_CJS,
        "test/app.test.js": _js_tests(
            "const { add, keep } = require('../src/app.js');\n", "test('{name}', () => expect({a}).toBe({b}));\n"
        ),
    },
    one_test=("node", "{modules}/jest/bin/jest.js", "--ci", "--config={{}}", "--rootDir=.", "-t", "^{name}$", "{file}"),
)  # fmt: skip
VITEST = replace(
    NODE, name="vitest", packages=True,
    files={
        "package.json": _package("vitest run", "vitest"), "src/app.js": SUM,
        "test/app.test.js": _js_tests(
            "import { expect, test } from 'vitest';\nimport { add, keep } from '../src/app.js';\n",
            "test('{name}', () => expect({a}).toBe({b}));\n",
        ),
    },
    one_test=("node", "{modules}/vitest/vitest.mjs", "run", "--config={outside}/vitest.config.mjs", "-t", "^{name}$", "{file}"),
)  # fmt: skip
MOCHA = replace(
    NODE, name="mocha", packages=True, broken=SUM_CJS.replace("a + b", "a - b"),
    files={
        "package.json": _package("mocha", "mocha", module=False), "src/app.js": SUM_CJS,
        "test/app.test.js": _js_tests(
            "const assert = require('node:assert');\nconst { add, keep } = require('../src/app.js');\n",
            "it('{name}', () => assert.equal({pair}));\n",
        ),
    },
    one_test=("node", "{modules}/mocha/bin/mocha.js", "--no-config", "--no-package", "-g", "^{name}$", "{file}"),
)  # fmt: skip

_SCRIPTED = "const assert = require('assert');\nconst { add, keep } = require('./src/app.js');\n" + "".join(
    f"assert.equal({pair});\n" for pair in _CASES.values()
)
SCRIPT = replace(
    NODE, name="script", broken=SUM_CJS.replace("a + b", "a - b"), tests=(),
    files={"package.json": _package("node test.js", module=False), "src/app.js": SUM_CJS, "test.js": _SCRIPTED},
)  # fmt: skip
_LOADS = "const assert = require('assert');\nconst { add, keep } = require('../src/app.js');\n"
SCRIPTS = replace(
    SCRIPT, name="scripts",
    files={
        "package.json": _package("node test/app.js && node test/cli.js", module=False), "src/app.js": SUM_CJS,
        "test/app.js": f"{_LOADS}assert.equal(add(5, 0), 5);\n",
        "test/cli.js": f"{_LOADS}keep(0);\nassert.equal(add(2, 3), 5);\n",
    },
)  # fmt: skip
MAKEFILE = replace(
    SCRIPT, name="makefile",
    files={"Makefile": "test:\n\t@node test.js\n", "src/app.js": SUM_CJS, "test.js": _SCRIPTED},
)  # fmt: skip

# --- Rust ----------------------------------------------------------------------------------------

_RS = "pub fn add(a: i64, b: i64) -> i64 {\n    a + b\n}\n\npub fn keep(a: i64) -> i64 {\n    a\n}\n"
RS_TESTS = """
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero() {
        assert_eq!(add(5, 0), 5);
    }

    #[test]
    fn sum() {
        assert_eq!(add(2, 3), 5);
    }
}
"""
RUST = Shape(
    name="rust", language="rust", program="rust", module="src/lib.rs", ignored="target\n",
    files={
        "Cargo.toml": '[package]\nname = "app"\nversion = "1.0.0"\nedition = "2021"\n',
        "Cargo.lock": 'version = 4\n\n[[package]]\nname = "app"\nversion = "1.0.0"\n',
        "src/lib.rs": _RS + RS_TESTS,
        "tests/keep.rs": "#[test]\nfn keep() {\n    assert_eq!(app::keep(3), 3);\n}\n",
    },
    product="src/lib.rs", broken=(_RS + RS_TESTS).replace("a + b", "a - b"), tests=(), truth=JS_TRUTH,
)  # fmt: skip

# --- Tests inside sources ------------------------------------------------------------------------

_DOC = '#![doc = include_str!("../README.md")]\n\n'
_DOC += f"/// Adds.\n///\n/// ```\n/// assert_eq!(app::add(2, 3), 5);\n/// ```\n{_RS}"
DOC_RUST = replace(
    RUST, name="doc-rust", broken=_DOC.replace("a + b", "a - b"),
    files={**RUST.files, "src/lib.rs": _DOC, "README.md": "# App\n\n```rust\nassert_eq!(app::add(1, 1), 2);\n```\n"},
)  # fmt: skip
RUST_FEATURE = replace(
    RUST, name="feature-rust", pipeline="feature", stages=("plan", "tests", "code"),
    prepared={"plan": {"$ARTIFACTS/plan.md": PLAN}}, broken=(_RS + RS_TESTS).replace("a + b", "a - b"),
)  # fmt: skip
PROVING_RUST = replace(RUST, name="proving-rust", proves=True)
# A program that tests by itself, as the warning of `init` has it judged.
HARNESS = replace(
    RUST, name="harness-rust",
    files={
        **RUST.files, "src/lib.rs": _RS, "Cargo.toml": RUST.files["Cargo.toml"] + '\n[[test]]\nname = "h"\nharness = false\n',
        "tests/h.rs": "fn main() {\n    assert_eq!(app::keep(3), 3);\n    assert_eq!(app::add(2, 3), 5);\n}\n",
    },
    broken=_RS.replace("    a\n", "    std::process::exit(0);\n").replace("a + b", "a - b"),
    pipeline="",
    page='version: 1\nname: harness\nagents:\n  coder: {use: command, run: "true"}\nstages:\n  code:\n    agent: coder\n    gates:\n'
    '      - {id: h, run: cargo test --test h, breaks: [tests/h.rs]}\n',
)  # fmt: skip
_DOCUMENTED = APP.replace(
    "int:\n    return a + b", 'int:\n    """Adds.\n\n    >>> add(2, 3)\n    5\n    """\n    return a + b'
)
DOCTEST = replace(
    PYTEST, name="doctest",
    files={
        **PYTEST.files, "src/app.py": _DOCUMENTED, "README.md": "# App\n\n>>> 2 + 3\n5\n",
        "pyproject.toml": PYPROJECT.replace(
            'testpaths = ["tests"]', 'addopts = ["--doctest-modules", "--doctest-glob=README.md"]'
        ),
        "tests/test_app.py": "from app import keep\n\n\ndef test_keep():\n    assert keep(3) == 3\n",
    },
    broken=_DOCUMENTED.replace("return a + b", "return a - b"), tests=("tests/test_app.py::test_keep",),
)  # fmt: skip
_INSIDE = "\nif (import.meta.vitest) {\n  const { expect, test } = import.meta.vitest;\n  test('sum', () => expect(add(2, 3)).toBe(5));\n}\n"
INSIDE = replace(
    VITEST, name="vitest-inside", tests=("test/app.test.js::keep",),
    files={
        **VITEST.files, "src/app.js": SUM + _INSIDE,
        "vitest.config.mjs": "export default { test: { includeSource: ['src/**/*.js'] } };\n",
        "test/app.test.js": "import { expect, test } from 'vitest';\nimport { keep } from '../src/app.js';\n\ntest('keep', () => expect(keep(3)).toBe(3));\n",
    },
    broken=(SUM + _INSIDE).replace("a + b", "a - b"),
)  # fmt: skip

# Without leave to add tests: what is protected by name alone.
PLAIN = (replace(PYTEST, name="plain-python", adds=False), replace(NODE, name="plain-node", adds=False))
SHAPES = {
    shape.name: shape
    for shape in (
        *PLAIN,
        PYTEST,
        LINTED,
        LOOSE,
        UNITTEST,
        DJANGO,
        FEATURE,
        README,
        GUIDE,
        NODE,
        JEST,
        VITEST,
        MOCHA,
        SCRIPT,
        SCRIPTS,
        MAKEFILE,
        RUST,
        DOC_RUST,
        RUST_FEATURE,
        PROVING_RUST,
        HARNESS,
        DOCTEST,
        INSIDE,
    )
}
