"""Holes: a defence is taken away, and the row that it stops fails. So the row shows that this defence holds.

The tables of the sandbox, of signed records and of what is left in a checkout have holes of their own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.attacks import test_inline, test_lint, test_pytest, test_scripts, test_setup
from tests.attacks.arena import Arena
from tests.attacks.rows import Attack, Find, attack
from tests.contract.gates_world import World
from tests.contract.sandbox import test_network
from tests.contract.sandbox.test_network import asked as asked  # fixtures
from tests.contract.sandbox.test_network import port as port
from tests.nightly import rest_at_night
from tests.rooms_here import needs_rooms

from interlock.core.pipeline import Gate, GateKind, Pipeline, Scope, Setup, Stage
from interlock.gates import commands, forbidden, inline, referee, scope
from interlock.sandbox import network

Place = tuple[Any, str, Any]  # the module, the name in it, and what stands there instead


@dataclass(frozen=True, slots=True)
class Hole:
    shape: str
    row: Attack
    places: tuple[Place, ...]


def of(rows: list[Attack], name: str) -> Attack:
    return next(row for row in rows if row.id == name)


def nothing(*_: object, **__: object) -> tuple[object, ...]:
    return ()


UNGUARDED: tuple[Place, ...] = ((scope.judge_files, "matches_in_any_case", lambda *_: False),)
HOLES = {
    "protected": Hole("pytest", of(test_pytest.TESTS, "a conftest.py at the root"), UNGUARDED),
    "judged_table": Hole("pytest", of(test_pytest.CONFIGURATION, "python_functions"), ((scope, "_tables", nothing),)),
    "canary": Hole(
        "pytest", of(test_pytest.IN_PROCESS, "a patched TestReport"),
        ((commands, "_unproven", lambda *_: None),),
    ),
    "dependency": Hole("setup", of(test_setup.ROWS, "a dependency as ./vendored"), ((scope, "_dependencies", nothing),)),
    "suppressed": Hole("linted", of(test_lint.ROWS, "ruff: noqa"), ((referee, "with_suppressions", lambda _, __, said: said),)),
    "ignored": Hole("linted", of(test_lint.ROWS, ".gitignore beside the product"), ((forbidden, "ignored", nothing),)),
    "inline": Hole("doctest", of(test_inline.PYTHON_ATTACKS, "a docstring says the defect"), ((inline, "judge", nothing),)),
    "breaks": Hole("script", of(test_scripts.ATTACKS, "exit when it is loaded"), ((commands, "_unproven", lambda *_: None),)),
}  # fmt: skip


@pytest.fixture(scope="module")
def setup_arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("setup"), test_setup.SHAPE)
    yield made
    made.close()


@pytest.mark.parametrize("name", rest_at_night([*HOLES], 3))
def test_without_its_defence_a_row_fails(
    name: str, arena_of: Find, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    hole = HOLES[name]
    arena = request.getfixturevalue("setup_arena") if hole.shape == "setup" else arena_of(hole.shape)
    attack(arena, hole.row)
    for module, place, instead in hole.places:
        monkeypatch.setattr(module, place, instead)
    with pytest.raises(AssertionError):
        attack(arena, hole.row)


@pytest.mark.parametrize("hole", [False, True])
def test_tools_of_the_candidate_in_the_place_of_those_of_setup(
    hole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an attempt they are left out of the candidate; in a proposal from elsewhere they are a finding."""
    world = World(tmp_path / "world")
    base = world.trees.commit({"a.py": ""})
    tracked = world.trees.commit({".venv/bin/python3": "#!/bin/sh\nexit 0\n"}, base)
    stage = Stage("code", agent="coder", gates=(Gate("scope", GateKind.SCOPE),))
    pipeline = Pipeline("test", (stage,), setup=(Setup("true", paths=(".venv",)),))
    if hole:
        monkeypatch.setattr(forbidden, "complaint", lambda *_: None)
    said = world.scope(Scope(), tracked, base, pipeline=pipeline)
    assert [finding.rule for finding in said.findings] == ([] if hole else ["setup_path"])


OPEN_PROXIES: dict[str, Place] = {
    "this machine behind a name": (network._Proxy, "_may_reach", lambda *_: True),
    "an address": (network._Proxy, "_connect", lambda _, name, number: socket.create_connection((name, number), 10)),
}


@needs_rooms
@pytest.mark.parametrize("name", OPEN_PROXIES)
def test_a_proxy_that_looks_at_nothing_fails(
    name: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*OPEN_PROXIES[name])
    with pytest.raises(AssertionError, match="200 Connection established"):
        test_network.test_what_is_not_listed_is_refused_and_told(name, port, tmp_path)
