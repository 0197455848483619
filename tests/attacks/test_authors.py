"""A stage that `authors` what judges may change it, and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.attacks.arena import Arena
from tests.attacks.rows import Attack, Honest, each, said_no
from tests.attacks.shapes import BROKEN, LINTED, PYTESTS

PAGE = """\
version: 1
name: authors
agents:
  coder: {use: command, run: "true"}
stages:
  code:
    agent: coder
    authors: [tests/**, /ruff.toml, "pyproject.toml#tool.ruff"]
    gates:
      - {id: look, approve: "Is this right?"}
"""
CONFIG = LINTED.files["pyproject.toml"]
SHAPE = replace(LINTED, name="authors", page=PAGE, pipeline="", lints=())
WITHOUT = CONFIG.replace('\n[tool.ruff.lint]\nselect = ["F"]\n', "")

HONEST = [
    Honest("a test renamed", {"tests/test_app.py": ["move", "tests/test_sums.py"], "tests/data/sums.json": ["mode", "644"]}),
    Honest("a test rewritten", {"tests/test_app.py": PYTESTS + "\n\ndef test_more():\n    assert add(1, 1) == 2\n"}),
    Honest("a fixture in conftest.py", {"tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef two():\n    return 2\n"}),
    Honest("test data", {"tests/data/more.json": "[]"}),
    Honest("a table of its own", {"pyproject.toml": CONFIG.replace('["F"]', '["F", "E"]')}),
    Honest("a table moved to its own file", {"pyproject.toml": WITHOUT, "ruff.toml": 'lint.select = ["F"]\n'}),
    Honest("a table and a dependency", {"pyproject.toml": CONFIG.replace('["F"]', '["F", "W"]').replace("dependencies = []", 'dependencies = ["x"]')}),
    Honest("the product alone", {"src/app.py": LINTED.files["src/app.py"] + "\n\nONE = 1\n"}),
]  # fmt: skip
BESIDE = [
    Attack("another table", {"pyproject.toml": CONFIG.replace("strict = true", "strict = false")}, "scope/judged_table"),
    Attack("the tests' table", {"pyproject.toml": CONFIG.replace('["tests"]', '["easy"]')}, "scope/judged_table"),
    Attack("a table like it", {"pyproject.toml": CONFIG + "\n[tool.ruffian]\nx = 1\n[tool.pytest]\nx = 1\n"}, "scope/judged_table"),
    Attack("another file of configuration", {"mypy.ini": "[mypy]\nignore_errors = true\n"}, "scope/protected"),
    Attack("a file of that name elsewhere", {"src/ruff.toml": "lint.select = []\n"}, "scope/protected"),
    Attack("the file as a link", {"src/x.toml": CONFIG, "pyproject.toml": ["link", "src/x.toml"]}, "scope/judged_table"),
    Attack("a conftest.py elsewhere", {"src/conftest.py": ""}, "scope/protected"),
    Attack("the pipeline", {"interlock.yaml": PAGE + "\n"}, "scope/protected"),
]  # fmt: skip


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("authors"), SHAPE)
    yield made
    made.close()


@each(HONEST)
def test_what_it_authors_it_may_change(arena: Arena, row: Honest) -> None:
    outcome = arena.attack(row.files)
    assert outcome.delivered, outcome.told()


@each(BESIDE)
def test_and_nothing_beside_it(arena: Arena, row: Attack) -> None:
    outcome = arena.attack({"src/app.py": BROKEN, **row.files})
    assert not outcome.delivered, outcome.told()
    assert said_no(outcome, row.stopped), outcome.told()
