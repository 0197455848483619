"""A repository finds its runs wherever it lies; clones and copies have their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.golden_world import BEFORE, TASKS, phases, unpacked

from interlock.bootstrap import build
from interlock.core.events import Action
from interlock.readmodel.run import RunPhase
from interlock.service.answers import AnswerRequest


@pytest.fixture
def world(tmp_path: Path) -> World:
    """With runs that an earlier version kept by the path alone; they are adopted here."""
    found = unpacked(BEFORE, tmp_path)
    assert phases(found) == TASKS
    return found


def at(world: World, place: Path) -> World:
    return World(world.root, place, world.environ)


def folders(world: World) -> list[Path]:
    return sorted((world.root / "state/interlock").glob("*/journal.db"))


def test_a_repository_that_is_moved_or_renamed_finds_its_runs(world: World, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere/renamed"
    place.parent.mkdir()
    moved = at(world, world.repository.rename(place))
    assert phases(moved) == TASKS
    moved.ask("doctor").ended(0, f"{len(TASKS)} runs")
    back = at(world, place.rename(tmp_path / "project"))
    assert phases(back) == TASKS
    assert len(folders(world)) == 1
    run = next(run["id"] for run in back.ask("list", "--json").json()["runs"] if run["task"] == "waits")
    back.ask("approve", run, "--plain").ended(0, "accepted")


@pytest.mark.parametrize("how", ["answered", "driven"])
def test_a_moved_repository_keeps_its_runs_once_it_is_used_there(world: World, tmp_path: Path, how: str) -> None:
    """Though a backup of it is restored to where it lay. To look on takes nothing."""
    backup = Path(shutil.copytree(world.repository, tmp_path / "backup", symlinks=True))
    moved = at(world, world.repository.rename(tmp_path / "moved"))
    app = build(moved.repository, moved.environment())
    run = next(run for run in app.service.run_ids() if app.service.locate_run(run).phase is RunPhase.WAITING)
    if how == "answered":
        app.service.answer(app.service.describe_run(run), AnswerRequest(Action.CANCEL, "somebody"))
    else:
        app.owner.effects(run)
    app.close()
    backup.rename(world.repository)
    for place, runs in ((moved, len(TASKS)), (world, 0)):
        found = build(place.repository, place.environment())
        assert len(found.service.run_ids()) == runs, found.notice
        found.close()


def test_a_clone_shares_nothing(world: World, tmp_path: Path) -> None:
    world.git("clone", "-q", str(world.repository), str(tmp_path / "clone"))
    clone = at(world, tmp_path / "clone")
    clone.ask("list").ended(0, "no runs in this repository yet")
    assert phases(world) == TASKS


def test_a_clone_where_a_moved_repository_was_shares_nothing(world: World, tmp_path: Path) -> None:
    moved = at(world, world.repository.rename(tmp_path / "moved"))
    world.git("clone", "-q", str(moved.repository), str(world.repository), cwd=tmp_path)
    world.ask("list").ended(0, "no runs in this repository yet")
    assert phases(moved) == TASKS
    world.ask("list").ended(0, "no runs in this repository yet")


def test_a_copy_is_told_apart_and_says_so(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.repository, tmp_path / "copy", symlinks=True)
    copy = at(world, tmp_path / "copy")
    for words in (["list"], ["doctor"]):
        copy.ask(*words).ended(0, f"is a copy of {world.repository}/.git", "no runs")
    assert phases(world) == TASKS
    copy.ask("run", "-p", "joined", "-t", "mine", "--plain").ended(0)
    assert "copy" not in copy.ask("list").ended(0).err
    copy.ask("doctor").ended(
        0, "2 folders in", f"(of {world.repository}/.git)", f"(of {copy.repository}/.git, this one)"
    )
    assert phases(copy) == {"mine": "accepted"}
    assert phases(world) == TASKS


def test_to_look_into_a_copy_takes_nothing_from_a_repository_that_is_moved(world: World, tmp_path: Path) -> None:
    copy = at(world, Path(shutil.copytree(world.repository, tmp_path / "copy", symlinks=True)))
    moved = at(world, world.repository.rename(tmp_path / "moved"))
    copy.ask("list").ended(0)
    assert phases(moved) == TASKS


@pytest.mark.parametrize("left", ["", "half of it"])
def test_an_id_that_a_power_loss_left_damaged_is_given_anew(world: World, left: str) -> None:
    file = world.repository / ".git/interlock-id"
    file.write_text(left)
    assert phases(world) == TASKS
    assert len(file.read_text().strip()) == 32
    assert phases(at(world, world.repository.rename(world.root / "renamed"))) == TASKS


def test_runs_that_are_kept_elsewhere_are_said_to_be(world: World, tmp_path: Path) -> None:
    for verb in ("list", "resume", "doctor"):
        said = world.ask(verb, XDG_STATE_HOME=str(tmp_path / "other"))
        said.ended(5, "this repository has had runs", f"{tmp_path}/other/interlock", "XDG_STATE_HOME")
        assert "yet" not in said.text
        assert said.text.count("has had runs") == 1
    assert phases(world) == TASKS


def test_a_folder_of_runs_that_is_lost_is_remembered_when_a_run_begins_anew(world: World) -> None:
    (folder,) = folders(world)
    shutil.rmtree(folder.parent)
    world.ask("list").ended(5, "this repository has had runs", "restore the folder")
    began = world.ask("run", "-p", "joined", "-t", "anew", "--plain")
    began.ended(0, "warning: before this, this repository has had runs")
    assert "has had runs" not in world.ask("list").ended(0, "anew").text
    world.ask("doctor").ended(0, "its state folder was created again, with this notice: this repository has had runs")


def test_a_linked_worktree_shares_the_runs(world: World, tmp_path: Path) -> None:
    world.git("worktree", "add", "-q", str(tmp_path / "linked"))
    assert phases(at(world, tmp_path / "linked")) == TASKS


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_git_directory_that_cannot_be_written_has_a_folder_by_its_path(tmp_path: Path) -> None:
    world = unpacked(BEFORE, tmp_path)
    (world.repository / ".git").chmod(0o555)
    assert phases(world) == TASKS
    assert not (world.repository / ".git/interlock-id").exists()
    (world.repository / ".git").chmod(0o755)
    assert phases(world) == TASKS


def test_nothing_is_written_before_there_is_a_run(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"a.txt": "a"})
    before = sorted((world.repository / ".git").rglob("*"))
    world.ask("list").ended(0)
    world.ask("run", "-t", "x").ended(2)
    assert sorted((world.repository / ".git").rglob("*")) == before
