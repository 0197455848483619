"""The folders above checkouts hold only what Interlock made, when a checkout is made."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.core.ids import AttemptId
from interlock.ports import InfrastructureError
from interlock.settings.paths import Paths, RepositoryPaths
from interlock.workspaces.checkouts import Checkouts

RUN = "20261123-224507-k3f9xq"
ATTEMPT = AttemptId("code", 1, 1)
STRANGE = ("ruff.toml", ".git/config", "node_modules/x/index.js")


@pytest.fixture
def paths(tmp_path: Path) -> RepositoryPaths:
    return Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache").repository(Path("/r/shop/.git"))


@pytest.fixture
def checkouts(paths: RepositoryPaths) -> Checkouts:
    return Checkouts(paths.places, paths.former_places, paths.own)


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def for_gate(checkouts: Checkouts) -> Path:
    return checkouts.new("room").root


def for_attempt(checkouts: Checkouts) -> Path:
    return checkouts.new_for_attempt(RUN, ATTEMPT).root


@pytest.mark.parametrize("new", [for_gate, for_attempt])
def test_what_interlock_did_not_make_is_removed(
    paths: RepositoryPaths, checkouts: Checkouts, new: Callable[[Checkouts], Path]
) -> None:
    folders = list(new(checkouts).parents)
    above = folders[: folders.index(paths.root.parent.parent)]
    assert above[-1].name == "cache"
    for folder in above:
        put(folder, *STRANGE)
    assert checkouts.removal_notes() == ()
    root = new(checkouts)
    for folder in above:
        assert all(path.is_dir() for path in folder.iterdir())
        assert not {name.partition("/")[0] for name in STRANGE} & {path.name for path in folder.iterdir()}
    assert root.parent in above
    notes = checkouts.removal_notes()
    assert len(notes) == len(above)
    assert all("Interlock did not make this" in note for note in notes)


def test_what_interlock_made_stays(tmp_path: Path, paths: RepositoryPaths, checkouts: Checkouts) -> None:
    former = [paths.places / name / "tree" for name in ("room-ab_c", "gate-abc", "setup-abc")]
    other = tmp_path / "cache/sh-op-0123456789ab/places"
    for folder in (*former, other):
        folder.mkdir(parents=True)
    made = [for_gate(checkouts), for_attempt(checkouts), checkouts.new("setup").root]
    moved = made[0].with_name(made[0].name + ".deep-1")
    moved.mkdir()
    second = checkouts.new_for_attempt(RUN, AttemptId("code", 1, 2, "a/b c")).root
    for_gate(checkouts)
    checkouts.new_for_attempt("20261123-224507-k3f9xr", ATTEMPT)
    assert all(path.is_dir() for path in (*former, other, *made, moved, second))
    assert checkouts.removal_notes() == ()


def test_a_link_with_a_name_of_ours_is_not_followed(
    tmp_path: Path, paths: RepositoryPaths, checkouts: Checkouts
) -> None:
    """Else a tool would look in the folders above its target."""
    put(tmp_path / "elsewhere", "ruff.toml", "places/x")
    paths.places.parent.mkdir(parents=True)
    for link in (paths.places, paths.gates):
        link.symlink_to(tmp_path / "elsewhere/places")
    assert for_gate(checkouts).resolve().parent == paths.gates
    assert for_attempt(checkouts).resolve().parent.parent == paths.places
    assert (tmp_path / "elsewhere/places/x").exists()


def test_what_cannot_be_removed_ends_the_gate_with_its_name(
    paths: RepositoryPaths, checkouts: Checkouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(paths.places, "ruff.toml")

    def unlink(path: bytes) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(InfrastructureError, match=r"places/ruff\.toml: cannot be removed"):
        for_gate(checkouts)


def test_a_note_names_a_few_whatever_they_are_called(paths: RepositoryPaths, checkouts: Checkouts) -> None:
    put(paths.places, *map(str, range(5)), os.fsdecode(b"!\xff") if sys.platform == "linux" else "f")
    for_gate(checkouts)
    (note,) = checkouts.removal_notes()
    assert "and 3 more" in note
    note.encode()


def test_a_cache_folder_that_the_user_named_may_hold_other_files(tmp_path: Path) -> None:
    kept = Paths(tmp_path / "s", tmp_path / "c", tmp_path / "mine", is_cache_shared=True)
    paths = kept.repository(Path("/r/shop/.git"))
    put(tmp_path / "mine", "notes.txt")
    put(paths.places, "ruff.toml")
    for_gate(Checkouts(paths.places, None, paths.own))
    assert (tmp_path / "mine/notes.txt").exists()
    assert not (paths.places / "ruff.toml").exists()
