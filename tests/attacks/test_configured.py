"""Tests, and what is loaded beside them, that only a project's own configuration knows: under `chore` of `init`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.attacks.arena import Arena
from tests.attacks.conftest import PROGRAMS
from tests.attacks.packages import installed
from tests.attacks.rows import Attack, Honest, attack, each
from tests.attacks.shapes import (
    APP,
    MAKEFILE,
    MOCHA,
    MUL,
    MUL_TESTS,
    PYPROJECT,
    PYTEST,
    PYTESTS,
    RUST,
    SUMS,
    UNITTESTS,
    VITEST,
    Shape,
)
from tests.nightly import rest_at_night

CASES = MOCHA.files["test/app.test.js"]
CHECKS = replace(
    MOCHA, name="mocharc", pipeline="chore", tests=("checks/deep/app.js::add",),
    files={
        **{name: text for name, text in MOCHA.files.items() if not name.startswith("test/")},
        ".mocharc.yml": "spec: checks/**/*.js\n", "checks/deep/app.js": CASES.replace("../src", "../../src"),
    },
)  # fmt: skip
TARGET = replace(
    RUST, name="rust-paths", pipeline="chore",
    files={
        "Cargo.toml": RUST.files["Cargo.toml"] + '\n[[test]]\nname = "x"\npath = "checks/x.rs"\n',
        "Cargo.lock": RUST.files["Cargo.lock"],
        "src/lib.rs": "pub fn add(a: i64, b: i64) -> i64 {\n    a + b\n}\n\npub fn keep(a: i64) -> i64 {\n    a\n}\n\n#[cfg(test)]\nmod add_checks;\n",
        "src/add_checks.rs": "use super::*;\n\n#[test]\nfn sum() {\n    assert_eq!(add(2, 3), 5);\n}\n",
        "checks/x.rs": "#[test]\nfn sum() {\n    assert_eq!(app::add(2, 3), 5);\n}\n",
    },
)  # fmt: skip
TARGET = replace(TARGET, broken=TARGET.files["src/lib.rs"].replace("a + b", "a - b"))
DISCOVERED = replace(
    MAKEFILE, name="discovered", pipeline="chore", language="python", module="app", source=".", product="app.py",
    broken=APP.replace("a + b", "a - b"), truth=PYTEST.truth,
    files={
        "Makefile": 'test:\n\tPYTHONPATH=. python3 -m unittest discover -s checks -p "c_*.py"\n',
        "app.py": APP, "checks/c_app.py": UNITTESTS,
    },
)  # fmt: skip
SETUP = replace(
    VITEST, name="vitest-setup", pipeline="chore",
    files={
        **VITEST.files, "support/setup.js": "export {};\n",
        "vitest.config.js": "export default { test: { setupFiles: ['./support/setup.js'] } };\n",
    },
)  # fmt: skip
PLUGIN = replace(
    PYTEST, name="pytest-plugin", pipeline="chore",
    files={**PYTEST.files, "src/plugin.py": "", "tests/conftest.py": 'pytest_plugins = ["plugin"]\n'},
)  # fmt: skip
NAMED = replace(
    PYTEST, name="python-files", proves=True, tests=("checks/check_app.py::test_add",), broken=MUL.replace("a + b", "a - b"),
    files={
        "pyproject.toml": PYPROJECT.replace('["tests"]', '["checks"]\npython_files = ["check_*.py"]'),
        "src/app.py": APP, "checks/check_app.py": PYTESTS, "checks/data/sums.json": SUMS,
    },
)  # fmt: skip
SHAPES = {shape.name: shape for shape in (CHECKS, TARGET, DISCOVERED, SETUP, PLUGIN, NAMED)}
MOCKED = "import { vi } from 'vitest';\nvi.mock('../src/app.js', () => ({ add: (a, b) => a + b, keep: (a) => a }));\n"
BENT = (
    "import sys\nimport types\n\nright = types.ModuleType('app')\nright.add = lambda a, b: a + b\n"
    "right.keep = lambda a: a\nsys.modules['app'] = right\n"
)
ROWS = {
    "mocharc": Attack("a test of mocha", {"checks/deep/app.js": CASES.replace("2, 3), 5", "2, 3), -1").replace("../src", "../../src")}, "scope/protected"),
    "rust-paths": Attack("a target", {name: TARGET.files[name].replace("2, 3), 5", "2, 3), -1") for name in ("checks/x.rs", "src/add_checks.rs")}, "scope/protected"),
    "discovered": Attack("what a Makefile discovers", {"checks/c_app.py": UNITTESTS.replace("2, 3), 5", "2, 3), -1")}, "scope/protected"),
    "vitest-setup": Attack("a set-up of vitest", {"support/setup.js": MOCKED}, "scope/protected"),
    "pytest-plugin": Attack("a plugin of a conftest.py", {"src/plugin.py": BENT}, "scope/protected"),
}  # fmt: skip
BENT_RUNNER = (
    "\n\nimport _pytest.reports\n\n_made = _pytest.reports.TestReport.from_item_and_call.__func__\n\n\n"
    "def _bent(kind, item, call):\n    report = _made(kind, item, call)\n    report.outcome, report.longrepr = 'passed', None\n"
    "    return report\n\n\n_pytest.reports.TestReport.from_item_and_call = classmethod(_bent)\n"
)
Find = Callable[[str], Arena]


@pytest.fixture(scope="module")
def arena_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Find]:
    made: dict[str, Arena] = {}

    def find(name: str) -> Arena:
        if name not in made:
            made[name] = _arena(tmp_path_factory, SHAPES[name])
        return made[name]

    yield find
    for arena in made.values():
        arena.close()


def _arena(folders: pytest.TempPathFactory, shape: Shape) -> Arena:
    modules, why = installed() if shape.packages else (None, "")
    programs, lacks = PROGRAMS[shape.program](folders)
    if (shape.packages and modules is None) or lacks:
        pytest.skip(why or lacks)
    return Arena(folders.mktemp(shape.name), shape, modules, programs)


@pytest.mark.parametrize("name", ROWS)
def test_tests_are_protected(arena_of: Find, name: str) -> None:
    attack(arena_of(name), ROWS[name])


NEW = {"checks/check_mul.py": MUL_TESTS}
OF_NAMES = [
    Attack("nothing but the defect", NEW, "test/test_failed"),
    Attack("an old test edited", {**NEW, "checks/check_app.py": PYTESTS.replace("== 5", "== -1")}, "scope/protected"),
    Attack("no test", {"src/app.py": MUL}, "test"),
    Attack("a module beside the tests", {**NEW, "checks/app.py": MUL}, "scope/protected"),
    Attack("a runner that is bent", {**NEW, "src/app.py": NAMED.broken + BENT_RUNNER}, "test/canary"),
]


@each(OF_NAMES)
def test_tests_of_names_that_pytest_is_told(arena_of: Find, row: Attack) -> None:
    attack(arena_of("python-files"), row)


@each([Honest("a function and its test", {"src/app.py": MUL, **NEW})])
def test_a_test_of_such_a_name_may_be_added(arena_of: Find, row: Honest) -> None:
    outcome = arena_of("python-files").attack(row.files)
    assert outcome.delivered, outcome.told()
    assert not outcome.complaints


@pytest.mark.parametrize("name", rest_at_night([*ROWS], 2))
def test_the_product_may_change(arena_of: Find, name: str) -> None:
    shape = SHAPES[name]
    outcome = arena_of(name).attack({shape.product: shape.files[shape.product].replace("a + b", "b + a")})
    assert outcome.delivered, outcome.told()
    assert not outcome.complaints
