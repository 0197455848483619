"""`check --base REF` where REF has moved on: what is judged is the merge, as it would be there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

PIPELINE = """\
version: 1
name: ci
protect: [checks/**]
stages:
  code:
    run: "true"
    writes: [src/**]
    adds: [tests/**]
    gates:
      - {id: word, run: bash checks/word.sh}
      - {id: old, run: ls tests/test_a.py tests/data/a.txt, tests: base}
"""
FILES = {
    "interlock.yaml": PIPELINE,
    "checks/word.sh": "! grep -rq BAD src\n",
    "src/a.py": "one\n\n\n\n\n\ntwo\n",
    "tests/test_a.py": "a\n",
    "tests/data/a.txt": "a\n",
}
NAMED = ("check", "--base", "main", "--commit", "proposal")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """On the branch `proposal`, which begins where `main` is."""
    made = new_world(tmp_path / "w", FILES)
    made.git("checkout", "-qb", "proposal")
    return made


def moved(world: World, files: dict[str, str]) -> None:
    """A commit on main, and the proposal checked out again."""
    world.git("checkout", "-q", "main")
    world.commit(files, "main moves on")
    world.git("checkout", "-q", "proposal")


@pytest.mark.parametrize("words", [(), ("--stage", "code")], ids=["all", "stage"])
def test_what_main_added_meanwhile_is_not_taken_for_deleted(world: World, words: tuple[str, ...]) -> None:
    world.commit({"src/b.py": "new\n"})
    moved(world, {"src/c.py": "c\n", "tests/test_c.py": "c\n", "docs/c.md": "c\n", "checks/more.sh": "exit 0\n"})
    said = world.ask(*NAMED, *words).ended(0, "behind main", "judge their merge", "word passed", "old passed")
    assert "not as proposed" not in said.text


def test_a_file_that_both_changed_is_judged_as_merged(world: World) -> None:
    world.commit({"src/a.py": FILES["src/a.py"].replace("two", "BA")})
    moved(world, {"src/a.py": FILES["src/a.py"].replace("one", "1"), "checks/word.sh": "! grep -q '^1' src/a.py\n"})
    world.ask(*NAMED).ended(1, "word failed")


def test_the_judges_are_those_of_the_tip(world: World) -> None:
    world.commit({"src/b.py": "WORSE\n"})
    world.ask(*NAMED).ended(0, "word passed")
    moved(world, {"checks/word.sh": "! grep -rq WORSE src\n"})
    world.ask(*NAMED).ended(1, "word failed")


def test_the_pipeline_is_that_of_the_tip(world: World) -> None:
    world.commit({"src/b.py": "new\n"})
    moved(world, {"interlock.yaml": PIPELINE + "      - {id: later, run: test ! -e src/b.py}\n"})
    world.ask(*NAMED).ended(1, "later failed")


def test_what_cannot_be_merged_is_named_and_no_gate_is_asked(world: World) -> None:
    commit = world.commit({"src/a.py": "mine\n", "src/b.py": "mine\n"})
    moved(world, {"src/a.py": "theirs\n"})
    said = world.ask(*NAMED, "--json", "--sarif", "r.sarif").ended(1)
    (gate,) = said.json()["gates"]
    assert (gate["stage"], gate["gate"], gate["status"]) == ("proposal", "merge", "failed")
    (finding,) = gate["judgement"]["findings"]
    assert (finding["rule"], finding["file"]) == ("conflict", "src/a.py")
    assert "rebase" in finding["message"]
    assert said.json()["commit"] == commit
    assert "src/a.py" in (world.repository / "r.sarif").read_text()


def test_a_working_tree_is_merged_as_well(world: World) -> None:
    world.commit({"src/b.py": "new\n"})
    moved(world, {"tests/test_c.py": "c\n"})
    (world.repository / "src/d.py").write_text("fine\n")
    world.ask("check", "--base", "main").ended(0, "word passed")
    (world.repository / "src/d.py").write_text("BAD\n")
    world.ask("check", "--base", "main").ended(1, "word failed")


def test_a_proposal_that_holds_main_is_judged_as_it_is(world: World) -> None:
    world.commit({"src/b.py": "new\n"})
    moved(world, {"tests/test_c.py": "c\n"})
    world.git("merge", "-q", "main")
    said = world.ask(*NAMED, "--json").ended(0)
    assert "judge their merge" not in said.err
    assert said.json()["tree"] == world.git("rev-parse", "proposal^{tree}")


def test_a_proposal_that_main_holds_changes_nothing(world: World) -> None:
    world.commit({"src/b.py": "new\n"})
    world.git("checkout", "-q", "main")
    world.git("merge", "-q", "--no-ff", "proposal")
    world.commit({"tests/test_c.py": "c\n"})
    assert world.ask(*NAMED, "--json").ended(0).json()["tree"] == world.git("rev-parse", "main^{tree}")


def crossed(world: World, files: dict[str, str]) -> None:
    """Both hold the first commit of the other one: two merge bases."""
    first = world.commit({"src/b.py": "b\n"})
    moved(world, files)
    other = world.git("rev-parse", "main")
    world.git("merge", "-q", "-m", "one", other)
    world.git("checkout", "-q", "main")
    world.git("merge", "-q", "-m", "two", first)
    world.git("checkout", "-q", "proposal")


def test_several_merge_bases_that_agree_are_merged(world: World) -> None:
    crossed(world, {"src/c.py": "c\n"})
    world.commit({"src/d.py": "d\n"})
    moved(world, {"tests/test_c.py": "c\n"})
    world.ask(*NAMED).ended(0, "word passed")


def test_several_merge_bases_that_do_not_agree_are_a_conflict(world: World) -> None:
    crossed(world, {"src/c.py": "c\n"})
    (world.repository / "src/c.py").unlink()
    world.commit({})
    world.git("checkout", "-q", "main")
    (world.repository / "src/b.py").unlink()
    world.commit({})
    world.ask(*NAMED).ended(1, "merge failed", "src/b.py", "src/c.py")


def test_without_a_common_history_it_says_what_is_missing(world: World) -> None:
    world.git("checkout", "-q", "--orphan", "alone")
    world.commit({"src/b.py": "new\n"})
    world.ask("check", "--base", "main", "--commit", "alone").ended(2, "no commit in common", "fetch-depth: 0")
