"""Helpers and data of tests that lie in folders of other names, under the pipelines that `init` writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.attacks.arena import Arena
from tests.attacks.rows import Attack, Honest, attack, each
from tests.attacks.shapes import APP, PYTEST, PYTESTS

HELPER = "def equal(a, b):\n    assert a == b\n"
LIE = "def equal(a, b):\n    pass\n"
TESTS = PYTESTS.replace('Path(__file__).with_name("data").joinpath("sums.json")', 'Path("resources/sums.json")')
TESTS = TESTS.replace("import json\n", "import json\nimport sys\n").replace(
    "from app import", "sys.path.insert(0, '.')\nfrom support.checks import equal\n\nfrom app import"
)
TESTS = TESTS.replace("assert keep(3) == 3", "equal(keep(3), 3)").replace(
    "assert add(5, 0) == 5", "equal(add(5, 0), 5)"
)
TESTS = TESTS.replace("assert add(2, 3) == 5", "equal(add(2, 3), 5)")
SHAPE = replace(
    PYTEST, name="helpers",
    files={
        **{name: text for name, text in PYTEST.files.items() if not name.startswith("tests/")},
        "tests/test_app.py": TESTS, "support/checks.py": HELPER, "resources/sums.json": "[[1, 1, 2], [2, 5, 7]]\n",
    },
)  # fmt: skip
ROWS = [
    Attack("a helper that checks nothing", {"support/checks.py": LIE}, "scope/protected"),
    Attack(
        "a helper made a package", {"support/checks.py": None, "support/checks/__init__.py": LIE}, "scope/protected"
    ),
    Attack("a new module beside the helper", {"support/__init__.py": "", "support/json.py": ""}, "scope/protected"),
    Attack("data for what is broken", {"resources/sums.json": "[[1, 1, 0], [2, 5, -3]]\n"}, "scope/protected"),
]
HONEST = [
    Honest("the product", {"src/app.py": f"# ours\n{APP}"}),
    Honest("a folder of another name", {"resources/more.json": "{}", "src/app.py": f"# ours\n{APP}"}),
]


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("helpers"), SHAPE)
    yield made
    made.close()


@each(ROWS)
def test_what_tests_use_is_theirs(arena: Arena, row: Attack) -> None:
    attack(arena, row)


@each(HONEST)
def test_honest(arena: Arena, row: Honest) -> None:
    outcome = arena.attack(row.files)
    assert outcome.delivered, outcome.told()
