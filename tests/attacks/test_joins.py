"""A join never decides in silence: what two branches did differently to one path is decided by name, or rejected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.attacks.arena import Arena, Outcome
from tests.attacks.rows import each
from tests.attacks.shapes import PYTEST

PAGE = """\
version: 1
name: join
agents:
  coder: {use: command, run: "true"}
stages:
  a: {agent: coder, gates: [{id: ok, run: "true"}]}
  b: {agent: coder, gates: [{id: ok, run: "true"}]}
  j: {needs: [a, b], agent: coder, gates: [{id: ok, run: "true"}]}
"""
FILES = {"f.txt": "one\ntwo\n", "g.txt": "x\n", "lib/h.txt": "h\n", "bin.dat": "\x00\x01\n"}
JOIN = replace(
    PYTEST, name="join", page=PAGE, pipeline="", files=FILES, stages=("a", "b", "j"), tests=(), truth=(),
    prepared={"a": {"a.txt": "a\n"}, "b": {"b.txt": "b\n"}, "j": {"j.txt": "j\n"}},
)  # fmt: skip


@dataclass(frozen=True)
class Join:
    """`a` and `b` are accepted; the join's agent does nothing about them. `holds`: what must hold of what is delivered,
    if anything is: path -> its text, None where it has to be gone."""

    id: str
    a: Mapping[str, Any]
    b: Mapping[str, Any]
    holds: Mapping[str, Any]
    delivered: bool = False  # whether it has to be


UNDECIDED = [
    Join("deleted here, changed there", {"f.txt": None}, {"f.txt": "one\ntwo\nthree\n"}, {}),
    Join("changed here, deleted there", {"f.txt": "one\ntwo\nthree\n"}, {"f.txt": None}, {}),
    Join("both added, differently", {"n.txt": "a\n"}, {"n.txt": "b\n"}, {}),
    Join("binaries that differ", {"bin.dat": ["hex", "0001ff"]}, {"bin.dat": ["hex", "0001fe"]}, {}),
    Join("binaries that were added", {"n.dat": ["hex", "00ff"]}, {"n.dat": ["hex", "00fe"]}, {}),
    Join("a file against a folder", {"n": "a\n"}, {"n/x.txt": "b\n"}, {}),
    Join("a link against a file", {"g.txt": ["link", "f.txt"]}, {"g.txt": "y\n"}, {}),
    Join("two links", {"g.txt": ["link", "f.txt"]}, {"g.txt": ["link", "lib/h.txt"]}, {}),
    Join(
        "renamed here, renamed there",
        {"f.txt": ["move", "k.txt"]},
        {"f.txt": ["move", "l.txt"]},
        {"f.txt": None, "k.txt": "one\ntwo\n", "l.txt": "one\ntwo\n"},
    ),
    Join("a folder deleted, a file in it changed", {"lib": None}, {"lib/h.txt": "other\n"}, {}),
]
CLEAN = [
    Join("deleted here alone", {"f.txt": None}, {"g.txt": "y\n"}, {"f.txt": None, "g.txt": "y\n"}, True),
    Join("changed here alone", {"f.txt": "new\n"}, {"b.txt": "b\n"}, {"f.txt": "new\n"}, True),
    Join("both the same", {"f.txt": "same\n"}, {"f.txt": "same\n"}, {"f.txt": "same\n"}, True),
    Join("deleted by both", {"f.txt": None, "a.txt": "a\n"}, {"f.txt": None, "b.txt": "b\n"}, {"f.txt": None}, True),
    Join("two ends of a file", {"f.txt": "zero\none\ntwo\n"}, {"g.txt": "y\n"}, {"f.txt": "zero\none\ntwo\n", "g.txt": "y\n"}, True),
    Join("a mode here, text there", {"f.txt": ["mode", "755"]}, {"g.txt": "z\n"}, {"f.txt": "one\ntwo\n", "g.txt": "z\n"}, True),
    Join("new files in one folder", {"lib/a.txt": "a\n"}, {"lib/b.txt": "b\n"}, {"lib/a.txt": "a\n", "lib/b.txt": "b\n"}, True),
    Join("a rename here alone", {"f.txt": ["move", "k.txt"]}, {"g.txt": "y\n"}, {"f.txt": None, "k.txt": "one\ntwo\n"}, True),
]  # fmt: skip

ADDS = PAGE.replace("agent: coder, gates: [{id: ok", "agent: coder, adds: [tests/**], gates: [{id: old, tests: base", 2)
OLD = "test('a', () => {\n  equal(add(2, 3), 5);\n  return;\n});\n"
NEW = {name: f"test('{name}', () => {{\n  equal(add({name}), 1);\n  return;\n}});\n" for name in "bc"}
TEST = "tests/app.test.js"
TESTS = replace(
    JOIN, name="tests", page=ADDS, files={TEST: OLD},
    prepared={"a": {TEST: OLD + NEW["b"]}, "b": {TEST: OLD + NEW["c"]}, "j": {}},
)  # fmt: skip
BENT = {
    "a second copy of a line, in an old test": OLD.replace("  equal", "  return;\n  equal") + NEW["b"] + NEW["c"],
    "the line of an added test, in an old one": OLD.replace("  equal", "  return;\n  equal")
    + NEW["b"].replace("  return;\n", "")
    + NEW["c"],
    "an added test around an old one": NEW["b"] + OLD + NEW["c"],
}


@pytest.fixture(scope="module")
def tests_arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("tests"), TESTS)
    yield made
    made.close()


@pytest.mark.parametrize("name", BENT)
def test_no_join_bends_the_tests_in_which_it_is_in_conflict(tests_arena: Arena, name: str) -> None:
    outcome = tests_arena.attack({**TESTS.prepared, "j": {TEST: BENT[name]}})
    assert not outcome.delivered, outcome.told()
    assert outcome.rejected_by("scope") == {"protected"}, outcome.told()


def test_the_tests_of_both_are_delivered(tests_arena: Arena) -> None:
    outcome = tests_arena.attack({**TESTS.prepared, "j": {TEST: OLD + NEW["c"] + "\n" + NEW["b"]}})
    assert outcome.delivered, outcome.told()


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("join"), JOIN)
    yield made
    made.close()


@each(UNDECIDED)
def test_what_nobody_decided_is_not_delivered(arena: Arena, row: Join) -> None:
    outcome = arena.attack({"a": row.a, "b": row.b})
    assert not outcome.delivered or row.holds, outcome.told()
    assert all(content(arena, outcome, path) == text for path, text in row.holds.items()), outcome.told()


@each(CLEAN)
def test_what_one_side_alone_did_stays(arena: Arena, row: Join) -> None:
    outcome = arena.attack({"a": row.a, "b": row.b})
    assert outcome.delivered, outcome.told()
    for path, text in row.holds.items():
        assert content(arena, outcome, path) == text, path


def content(arena: Arena, outcome: Outcome, path: str) -> str | None:
    listed = arena.world.git("ls-tree", "-r", "--name-only", outcome.delivered).splitlines()
    return arena.world.git("cat-file", "blob", f"{outcome.delivered}:{path}") + "\n" if path in listed else None
