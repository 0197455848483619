"""A checker that a candidate switches off for a whole file is a finding of the gate that asks it."""

from pathlib import Path

import pytest
from tests.contract.gates_world import World, run_gate

from interlock.core.events import VerdictStatus
from interlock.core.pipeline import Gate

PASSED, FAILED, ERRORED = VerdictStatus
LINT = run_gate("true", used="python.lint")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def found(world: World, gate: Gate, files: dict[str, str | None], base: str) -> list[tuple[str, str, int]]:
    judgement = world.judge(gate, world.trees.commit(files, base), base)
    assert (judgement.status is FAILED) is bool(judgement.findings)
    return [(finding.rule, finding.file, finding.line) for finding in judgement.findings]


def test_what_is_added(world: World) -> None:
    base = world.trees.commit({"a.py": "one = 1\n", "web/b.ts": "x()\n"})
    files = {
        "a.py": "one = 1\n# mypy: ignore-errors\n",
        "new.py": "# ruff: noqa\n",
        "web/b.ts": "// @ts-nocheck\nx()\n",
    }
    expected = [("suppressed", "a.py", 2), ("suppressed", "new.py", 1), ("suppressed", "web/b.ts", 1)]
    assert found(world, LINT, files, base) == expected
    assert found(world, run_gate("true", used="python.types"), files, base) == expected
    assert found(world, run_gate(": npx eslint ."), files, base) == expected
    assert found(world, run_gate("true", used="python.test"), files, base) == []
    assert found(world, run_gate("true"), files, base) == []


def test_what_was_there_before_stays_and_may_move(world: World) -> None:
    base = world.trees.commit({"a.py": "# ruff: noqa\none = 1\n", "b.py": "# flake8: noqa\n"})
    assert (
        found(world, LINT, {"a.py": "two = 2\n\n# ruff: noqa\n", "b.py": None, "c.py": "# flake8: noqa\n"}, base) == []
    )
    twice = {"b.py": None, "c.py": "# flake8: noqa\n", "d.py": "# flake8: noqa\n"}
    assert found(world, LINT, twice, base) == [("suppressed", "d.py", 1)]


def test_a_stub_beside_its_module(world: World) -> None:
    base = world.trees.commit({"a.py": "one = 1\n", "b.py": "", "b.pyi": ""})
    expected = [("suppressed", "a.pyi", 0)]
    assert found(world, LINT, {"a.pyi": "", "b.pyi": "two: int\n", "c.pyi": ""}, base) == expected


def test_what_type_checkers_do_not_see_is_told_by_gates_of_types(world: World) -> None:
    base = world.trees.commit({"a.py": "if not TYPE_CHECKING:\n    def f(): ...\n", "b.py": ""})
    more = {
        "a.py": "if not TYPE_CHECKING:\n    def f(): ...\n    def g(): ...\n",
        "b.py": "@no_type_check\ndef f(): ...\n",
    }
    told = [("suppressed", "a.py", 3), ("suppressed", "b.py", 1)]
    assert found(world, run_gate("true", used="python.types"), more, base) == told
    assert found(world, run_gate(": python3 -m mypy ."), more, base) == told
    assert found(world, LINT, more, base) == []


def test_a_kept_verdict_on_the_same_tree_does_not_hide_it(world: World) -> None:
    base = world.trees.commit({"a.py": "one = 1\n"})
    changed = world.trees.commit({"a.py": "# ruff: noqa\n"}, base)
    assert world.judge(LINT, changed, changed).status is PASSED
    assert world.judge(LINT, changed, base, base_commit=changed).status is FAILED


def test_what_the_linter_finds_comes_with_it(world: World) -> None:
    base = world.trees.commit({"a.py": "one = 1\n"})
    gate = run_gate("exit 1", used="python.lint")
    assert [rule for rule, _, _ in found(world, gate, {"a.py": "# ruff: noqa\n"}, base)] == ["suppressed", "exit"]
