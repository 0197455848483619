"""The check inside an agent's checkout of a join: it knows the conflicts that the judge will ask about."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

from interlock.core.conflicts import Side, SideChange, Undecided
from interlock.core.effects import StartAttempt
from interlock.core.events import RunStarted
from interlock.core.ids import AttemptId
from interlock.execution.context import Context
from interlock.execution.rehearsal import decode_rehearsal, encode_rehearsal
from interlock.pipelinefile import load_pipeline

PAGE = """\
version: 1
name: joined
agents:
  coder: {use: command, run: "true"}
stages:
  a: {agent: coder, gates: [{id: ok, run: "true"}]}
  b: {agent: coder, gates: [{id: ok, run: "true"}]}
  j: {needs: [a, b], agent: coder, gates: [{id: ok, run: "true"}]}
"""
MARKED = "<<<<<<< a\none\n=======\ntwo\n>>>>>>> b\n"


@pytest.fixture
def joined(tmp_path: Path) -> tuple[World, Path]:
    world = new_world(tmp_path / "w", {"interlock.yaml": PAGE, "f.txt": "one\n", "m.txt": "one\n"})
    world.git("branch", "from/a")
    world.git("rm", "-q", "f.txt")
    world.commit({"m.txt": "two\n"}, "b")
    world.git("branch", "from/b")
    world.commit({"f.txt": "one\n", "m.txt": MARKED}, "input")
    pipeline = load_pipeline(world.repository / "interlock.yaml", world.repository).pipeline
    started = RunStarted("r", "joined", pipeline.digest, "Go", "0" * 40, "0" * 40, ())
    sides = (Side("a", "1" * 40, SideChange.CHANGED), Side("b", "2" * 40, SideChange.DELETED))
    gone = Undecided("f.txt", "modify/delete", sides, "as a left it")
    command = StartAttempt(
        AttemptId("j", 1, 1), "coder", "0" * 40, "0" * 40, conflicts=("f.txt", "m.txt"), undecided=(gone,)
    )
    file = tmp_path / "rehearsal.json"
    file.write_text(encode_rehearsal(Context("r", pipeline, started, 0.0), pipeline.stage("j"), command))
    return world, file


def test_conflicts_come_back_without_the_commits_of_the_store(joined: tuple[World, Path]) -> None:
    back = decode_rehearsal(joined[1].read_text())
    assert back.conflicts == ("f.txt", "m.txt")
    (item,) = back.undecided
    assert [(side.stage, side.commit, side.did) for side in item.sides] == [
        ("a", "", SideChange.CHANGED),
        ("b", "", SideChange.DELETED),
    ]


def test_what_is_left_of_a_conflict_is_seen_before_it_is_handed_over(joined: tuple[World, Path]) -> None:
    world, file = joined
    (world.repository / "new.txt").write_text("new\n")
    said = world.ask("check", "--inside", str(file)).ended(1)
    assert "m.txt:1: conflict: a conflict marker remains" in said.text
    assert "this conflict has no decision" in said.text


@pytest.mark.parametrize(("word", "code"), [("b", 0), ("a", 1)])
def test_a_decision_is_compared_with_the_branches(joined: tuple[World, Path], word: str, code: int) -> None:
    world, file = joined
    (world.repository / "m.txt").write_text("one\ntwo\n")
    (world.repository / "f.txt").unlink()
    folder = world.repository / ".interlock/artifacts/j"
    folder.mkdir(parents=True)
    (folder / "conflicts.json").write_text(f'{{"f.txt": "{word}"}}')
    world.ask("check", "--inside", str(file)).ended(code)
