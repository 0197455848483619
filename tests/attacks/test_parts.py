"""A repository of two parts with tests of their own, under `quick` as `init` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.attacks.arena import Arena
from tests.attacks.rows import Attack, Honest, attack, each
from tests.attacks.shapes import MUL, MUL_TESTS, NODE, PYTEST, PYTESTS

SHAPE = replace(
    PYTEST, name="parts", source="backend/src", product="backend/src/app.py", broken=MUL.replace("a + b", "a - b"),
    tests=(),
    files={
        **{f"backend/{name}": text for name, text in PYTEST.files.items()},
        **{f"frontend/{name}": text for name, text in NODE.files.items()},
        "tests/README.md": "# Tests\n",  # for the outside judge
    },
)  # fmt: skip
OLD = "backend/tests/test_app.py"
ROWS = [
    Attack("the old behaviour broken", {"backend/tests/test_mul.py": MUL_TESTS}, "backend-test/test_failed"),
    Attack("an old test edited", {OLD: PYTESTS.replace("== 5", "is not None")}, "scope/protected"),
    Attack("an old test shadowed by lines below it", {OLD: PYTESTS + "\n\ndef test_more():\n    import app\n\n    app.add = max\n"}, "backend-base_tests"),
    Attack("a test of one part in the other", {"frontend/src/test_app.py": MUL_TESTS}, "scope/protected"),
    Attack("a test of no part", {"test_app.py": MUL_TESTS}, "scope/protected"),
]  # fmt: skip
MINUS = "export const minus = (a, b) => a - b;\n"
HONEST = [
    Honest("a fix and a test of one part", {SHAPE.product: MUL, "backend/tests/test_mul.py": MUL_TESTS}),
    Honest("a test below the old ones", {SHAPE.product: MUL, OLD: f"{PYTESTS}\n\n{MUL_TESTS}"}),
    Honest("a fix and a test of the other part", {
        "frontend/src/minus.js": MINUS,
        "frontend/test/minus.test.js": "import test from 'node:test';\nimport { minus } from '../src/minus.js';\ntest('minus', () => { if (minus(3, 1) !== 2) throw new Error(); });\n",
    }),
]  # fmt: skip


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("parts"), SHAPE)
    yield made
    made.close()


@each(ROWS)
def test_attacks(arena: Arena, row: Attack) -> None:
    attack(arena, row)


@each(HONEST)
def test_honest(arena: Arena, row: Honest) -> None:
    outcome = arena.attack(row.files)
    assert outcome.delivered, outcome.told()
    assert not outcome.complaints
