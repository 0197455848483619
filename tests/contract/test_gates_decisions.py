"""Conflicts that no marker shows: what the scope gate wants to have decided, and what it believes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.contract.gates_world import World

from interlock.core.conflicts import Side, SideChange, Undecided
from interlock.core.events import VerdictStatus
from interlock.core.pipeline import Scope

FILE = ".interlock/artifacts/code/conflicts.json"
NOTHING = Scope(writes=(), protect=("f.txt",))


@dataclass(frozen=True)
class Joined:
    """f.txt was deleted by `a` and changed by `b`, and the merge has it as b left it."""

    world: World
    input: str
    item: Undecided

    def said(self, decisions: object, files: dict[str, str | None] | None = None, scope: Scope = NOTHING) -> list[str]:
        """The findings on a candidate with these decisions and these files."""
        text = decisions if isinstance(decisions, str) else json.dumps(decisions)
        written = {} if decisions is None else {FILE: text}
        return self.judged(self.world.trees.commit({**written, **(files or {})}, self.input), scope)

    def judged(self, commit: str, scope: Scope) -> list[str]:
        asked = {"conflicts": (self.item.path,), "undecided": (self.item,), "may_be_empty": True}
        judgement = self.world.scope(scope, commit, self.input, **asked)
        assert (judgement.status is VerdictStatus.PASSED) == (not judgement.findings)
        return [f"{finding.rule} {finding.message}" for finding in judgement.findings]


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    world = World(tmp_path)
    base = world.trees.commit({"f.txt": "1\n", "g.txt": "x\n"})
    a, b = world.trees.commit({"f.txt": None}, base), world.trees.commit({"f.txt": "1\n2\n"}, base)
    sides = (Side("a", a, SideChange.DELETED), Side("b", b, SideChange.CHANGED))
    return Joined(world, b, Undecided("f.txt", "modify/delete", sides, "as b left it"))


def test_what_nobody_decided_is_named_with_its_kind_and_what_to_write(joined: Joined) -> None:
    for decisions in (None, {}, {"./f.txt": "b"}):
        (said,) = joined.said(decisions)
        assert said == (
            "undecided f.txt: this conflict has no decision (modify/delete: a deleted it, b changed it; the merge has"
            f' it as b left it): write "f.txt" into {FILE}, with one of "a", "b", "deleted", "edited", and let the file'
            " be so"
        )


@pytest.mark.parametrize(
    ("word", "content"),
    [("b", "1\n2\n"), ("a", None), ("deleted", None), ("edited", "1\n2\n3\n"), ("edited", "1\n")],
)
def test_a_decision_that_the_tree_shows_is_taken(joined: Joined, word: str, content: str | None) -> None:
    assert joined.said({"f.txt": word}, {"f.txt": content}, Scope(writes=())) == []


@pytest.mark.parametrize(
    ("word", "content", "actual"),
    [
        ("a", "1\n2\n", "as b left it"),
        ("deleted", "1\n2\n", "as b left it"),
        ("deleted", "3\n", "as no side left it"),
        ("b", None, "as a left it"),
        ("b", "3\n", "as no side left it"),
        ("edited", "1\n2\n", "as b left it"),
        ("edited", None, "as a left it"),
    ],
)
def test_a_decision_that_the_tree_does_not_show_is_not(
    joined: Joined, word: str, content: str | None, actual: str
) -> None:
    (said,) = joined.said({"f.txt": word}, {"f.txt": content}, Scope(writes=()))
    expected = f'f.txt: {FILE} says "{word}", but the file is {actual}: change the file, or the decision'
    assert said == f"undecided {expected}"


@pytest.mark.parametrize("word", ["theirs", "c", "", 1, None, ["b"], {"b": 1}])
def test_what_is_no_decision_is_refused_with_the_choices(joined: Joined, word: object) -> None:
    (said,) = joined.said({"f.txt": word})
    assert '"a", "b", "deleted", "edited"' in said


@pytest.mark.parametrize("text", ["", "f.txt: b", "[]", '"b"', '{"f.txt": "a", "f.txt": "b"}', "[" * 100_000, "\xff"])
def test_a_file_that_cannot_be_read_decides_nothing(joined: Joined, text: str) -> None:
    told, undecided = joined.said(text)
    assert told.startswith(f"undecided {FILE}: ")
    assert "expected a JSON object" in told
    assert undecided.startswith("undecided f.txt: this conflict has no decision")


def test_decisions_that_were_there_before_are_nobodys(joined: Joined) -> None:
    earlier = joined.world.trees.commit({FILE: '{"f.txt": "b"}'}, joined.input)
    (said,) = replace(joined, input=earlier).said(None)
    assert "this conflict has no decision" in said


def test_a_protected_path_may_be_as_one_side_left_it_and_no_other_way(joined: Joined) -> None:
    """What a side left was accepted where it was written."""
    assert joined.said({"f.txt": "a"}, {"f.txt": None}) == []
    assert [said.split()[0] for said in joined.said({"f.txt": "edited"}, {"f.txt": "3\n"})] == ["protected"]


def test_nothing_else_joins_what_may_be_written(joined: Joined) -> None:
    assert [said.split()[0] for said in joined.said({"f.txt": "b"}, {"g.txt": "y\n"})] == ["outside_writes"]


def test_a_folder_may_give_way_to_the_file_of_the_other_side(joined: Joined) -> None:
    trees = joined.world.trees
    base = trees.commit({"f.txt": None}, joined.input)
    a, b = trees.commit({"f.txt/x": "x\n"}, base), trees.commit({"f.txt": "new\n"}, base)
    item = Undecided(
        "f.txt", "file/directory", (Side("a", a, SideChange.FOLDER), Side("b", b, SideChange.ADDED)), "a folder"
    )
    clash = Joined(joined.world, a, item)
    assert clash.said({"f.txt": "a"}) == []
    assert [said.split()[0] for said in clash.said({"f.txt": "b"})] == ["undecided"]
    trees.commit({"f.txt/x": None, FILE: '{"f.txt": "b"}'}, a)
    (trees.repository / "f.txt").rmdir()
    assert clash.judged(trees.commit({"f.txt": "new\n"}), Scope(writes=())) == []


def test_markers_beside_a_decision_must_go_too(joined: Joined) -> None:
    marked = replace(joined, item=replace(joined.item, marked=True))
    text = "<<<<<<< a\n=======\n>>>>>>> b\n"
    rules = [said.split()[0] for said in marked.said({"f.txt": "edited"}, {"f.txt": text}, Scope(writes=()))]
    assert rules == ["conflict"]
    assert joined.said({"f.txt": "edited"}, {"f.txt": text}, Scope(writes=())) == []
