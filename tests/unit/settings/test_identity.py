"""Whose folder it is: by the id, and by the place where several folders record one id."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from interlock.ports import InfrastructureError
from interlock.settings import Identity, Paths, identify, records_of


class Home:
    """State folders of one user, and repositories of which only the git directory is there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def made(self, name: str) -> Path:
        (self.root / name).mkdir()
        return self.root / name

    def paths(self, state: str = "state") -> Paths:
        return Paths(self.root / state, self.root / "config", self.root / "cache")

    def found(self, git: Path, state: str = "state") -> Identity:
        return identify(self.paths(state), git)

    def used(self, git: Path, state: str = "state") -> Path:
        """As the first run leaves it. Returns the folder of the state."""
        identity = self.found(git, state)
        identity.paths.root.mkdir(parents=True, exist_ok=True)
        identity.begin()
        return identity.paths.root


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def copied(git: Path, name: str) -> Path:
    return Path(shutil.copytree(git, git.with_name(name)))


def test_an_id_is_never_replaced_so_that_each_state_folder_finds_its_own(home: Home) -> None:
    """The copy has runs in one state folder, and then in another one that knows the original."""
    original = home.made("original")
    first = home.used(original, "one")
    copy = copied(original, "copy")
    known = home.found(copy, "two").known
    other = home.used(copy, "two")
    assert "is a copy of" in home.found(copy, "one").notice
    third = home.used(copy, "one")
    assert third != first
    assert (copy / "interlock-id").read_text() == (original / "interlock-id").read_text() == known + "\n"
    for git, state, root in ((original, "one", first), (copy, "two", other), (copy, "one", third)):
        identity = home.found(git, state)
        assert (identity.paths.root, identity.recorded, identity.notice) == (root, True, "")
    assert {record.place for record in records_of(home.paths("one"), known)} == {original, copy}


def test_the_record_of_the_place_comes_before_any_other(home: Home) -> None:
    """Wherever its folder stands among them."""
    original = home.made("original")
    home.used(original)
    copies = [copied(original, name) for name in ("a", "m", "z")]
    roots = [home.used(copy) for copy in copies]
    assert len(set(roots)) == 3
    assert [home.found(copy).paths.root for copy in copies] == roots


def test_one_that_is_moved_is_found_beside_a_copy_that_is_there(home: Home) -> None:
    original = home.made("original")
    root = home.used(original)
    copy = copied(original, "copy")
    home.used(copy)
    moved = home.found(original.rename(home.root / "moved"))
    assert moved.paths.root == root
    assert f"{copy} (" in moved.notice
    assert home.used(moved.common_dir) == root
    assert home.found(moved.common_dir).notice == ""


def test_one_that_looked_on_while_it_was_moved_does_not_record_the_old_place(home: Home) -> None:
    """As `serve`, whose page is answered then."""
    original = home.made("original")
    root = home.used(original)
    looking = home.found(original)
    moved = original.rename(home.root / "moved")
    assert home.used(moved) == root
    looking.settle()
    assert [record.place for record in records_of(home.paths(), looking.known)] == [moved]


def test_where_it_could_be_either_it_is_neither_and_both_are_named(home: Home) -> None:
    original = home.made("original")
    roots = [home.used(original)]
    copy = copied(original, "copy")
    roots.append(home.used(copy))
    shutil.rmtree(original)
    moved = home.found(copy.rename(home.root / "moved"))
    assert moved.paths.root not in roots
    assert not moved.recorded
    for said in (str(original), str(copy), *map(str, roots), "move it back, or write"):
        assert said in moved.notice
    (roots[1] / "repository").write_text(f"{moved.known} {moved.common_dir}\n")
    assert home.found(moved.common_dir).paths.root == roots[1]


def test_one_that_is_seen_by_another_way_is_the_same(home: Home) -> None:
    original = home.made("original")
    root = home.used(original)
    home.used(copied(original, "copy"))
    (home.root / "link").symlink_to(original)
    assert home.found(home.root / "link").paths.root == root


def test_an_id_that_no_folder_records_is_told_until_something_is_kept(home: Home) -> None:
    original = home.made("original")
    home.used(original, "elsewhere")
    found = home.found(original)
    for said in ("has had runs", str(home.root / "state"), "XDG_STATE_HOME"):
        assert said in found.notice
    home.used(original)
    assert home.found(original).notice == ""
    assert home.found(home.made("new")).notice == ""


def test_a_copy_that_ran_does_not_make_a_copy_of_the_original(home: Home) -> None:
    """Whose folder was lost, before or after the copy ran."""
    original = home.made("original")
    root = home.used(original)
    copy = copied(original, "copy")
    assert not home.found(copy).lost
    shutil.move(root, home.root / "kept")
    assert home.found(copy).lost
    shutil.move(home.root / "kept", root)
    home.used(copy)
    assert "is a copy of" in home.found(copy).begun_anew
    shutil.rmtree(root)
    found = home.found(original)
    assert found.lost
    assert (
        f"has had runs (its git directory has the interlock-id {found.known}), or is a copy of {copy}" in found.notice
    )
    home.used(original)
    found = home.found(original)
    assert (found.lost, found.notice) == (False, "")
    assert "has had runs" in found.begun_anew


def test_a_folder_that_is_adopted_was_not_begun_anew(home: Home) -> None:
    original = home.made("original")
    root = home.used(original)
    (root / "repository").unlink()
    home.found(original).settle()
    assert home.found(original).begun_anew == ""


def test_an_id_that_is_none_gives_way_and_keeps_its_folder(home: Home) -> None:
    original = home.made("original")
    root = home.used(original)
    (original / "interlock-id").write_text("half of it")
    assert home.used(original) == root
    assert home.found(original).known not in ("", "half of it")


def test_an_id_that_is_none_where_no_folder_is_of_the_place_is_told(home: Home) -> None:
    """It was moved, and its id damaged: which one it was is told by who is gone."""
    home.used(home.made("other"))
    original = home.made("original")
    root = home.used(original)
    known = home.found(original).known
    moved = original.rename(home.root / "moved")
    (moved / "interlock-id").write_text("")
    found = home.found(moved)
    assert not found.recorded
    for said in ("is damaged", f"those of {original} ({root}): write the id"):
        assert said in found.notice
    assert "other" not in found.notice.replace("another", "")
    (moved / "interlock-id").write_text(known)
    assert home.found(moved).paths.root == root
    (moved / "interlock-id").write_text("half of it")
    assert "no folder of" in home.found(moved, "two").notice
    home.used(moved)
    assert home.found(moved).known not in ("", known)
    assert [path.read_text() for path in moved.glob("interlock-id.damaged-*")] == ["half of it"]


def test_what_a_kill_left_of_putting_an_id_is_removed_once_it_is_old(home: Home) -> None:
    original = home.made("original")
    root = home.used(original)
    left = [original / ".interlock-id.1.aa", root / ".repository.1.aa"]
    for path in [*left, original / ".interlock-id.1.bb"]:
        path.write_text("")
    for path in left:
        os.utime(path, (1, 1))
    (root / "repository").unlink()
    home.found(original).settle()
    assert not any(path.exists() for path in left)
    assert (original / ".interlock-id.1.bb").exists()


def test_where_the_place_does_not_tell_either_a_damaged_id_is_told(home: Home) -> None:
    """The place of one that is gone is that of another one."""
    roots = [home.used(home.made("original"))]
    shutil.rmtree(home.root / "original")
    other = home.made("original")
    roots.append(home.used(other))
    known = home.found(other).known
    (other / "interlock-id").write_text("")
    found = home.found(other)
    assert found.paths.root not in roots
    assert all(str(root) in found.notice for root in roots)
    (other / "interlock-id").write_text(known)
    assert home.found(other).paths.root == roots[1]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_an_id_that_cannot_be_read_is_kept_and_told(home: Home, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """It may well be one: another user's, or that of a disk that fails."""
    original = home.made("original")
    root = home.used(original)
    said = (original / "interlock-id").read_text()
    found = home.found(original)
    with monkeypatch.context() as patch:
        refuse(patch, original / "interlock-id", code)
        with pytest.raises(InfrastructureError, match=f"interlock-id: cannot be read: {os.strerror(code)}"):
            home.found(original)
        with pytest.raises(InfrastructureError):
            Identity(original, found.paths).settle()
    assert (original / "interlock-id").read_text() == said
    assert home.found(original).paths.root == root


def test_a_place_that_cannot_be_read_is_not_taken_for_gone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    original = home.made("original")
    root = home.used(original)
    copy = copied(original, "copy")
    refuse(monkeypatch, original / "interlock-id", errno.EACCES)
    found = home.found(copy)
    assert found.paths.root != root
    assert "is a copy of" in found.notice


@pytest.mark.parametrize(("head", "mode"), [(0o600, 0o644), (0o644, 0o644), (0o664, 0o664), (0o660, 0o664)])
def test_all_who_have_runs_here_may_read_the_id(home: Home, head: int, mode: int) -> None:
    """Whatever the umask of the first of them."""
    original = home.made("original")
    (original / "HEAD").write_text("ref: refs/heads/main\n")
    (original / "HEAD").chmod(head)
    before = os.umask(0o077)
    try:
        home.used(original)
    finally:
        os.umask(before)
    assert (original / "interlock-id").stat().st_mode & 0o777 == mode


def refuse(patch: pytest.MonkeyPatch, file: Path, code: int) -> None:
    """Root reads whatever its mode."""
    read = Path.read_text

    def refusing(path: Path, *args: str, **more: str) -> str:
        if path == file:
            raise OSError(code, os.strerror(code), str(path))
        return read(path, *args, **more)

    patch.setattr(Path, "read_text", refusing)
