"""Importing the base: whatever the user's repository looks like, and without a trace in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import (
    STAMP,
    World,
    commit_all,
    fingerprint,
    git,
    make_repository,
    make_world,
    write,
)

from interlock.ports import CheckoutSpec, InfrastructureError, Stamp, UnfitTree, UsageError
from interlock.workspaces import Base, GitWorkspaces, base_ref


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


def imported(world: World, repository: Path, **options: bool) -> Base:
    """Import from another repository, and see that nothing in it changed."""
    before = fingerprint(repository)
    other = make_world(world.root / f"of-{repository.name}", repository)
    with other.workspaces:
        base = other.workspaces.import_base(**options)
        place = other.open(base.commit)
        assert (place.tree / "a.txt").exists()
        assert git(place.tree, "status", "--porcelain") == ""
    assert fingerprint(repository) == before
    return base


def test_the_base_comes_without_its_history(world: World) -> None:
    before = fingerprint(world.repository)
    base = world.base()
    assert base == Base(git(world.repository, "rev-parse", "HEAD").strip(), base.tree, "HEAD", "main", ())
    assert world.in_store("rev-list", "--all").split() == [base.commit]
    assert world.in_store("rev-parse", base_ref(base.commit)).strip() == base.commit
    assert world.base() == base
    assert fingerprint(world.repository) == before


def test_other_branches_tags_and_commits(world: World) -> None:
    first = git(world.repository, "rev-parse", "HEAD").strip()
    write(world.repository, {"a.txt": "later\n"})
    second = commit_all(world.repository, "later")
    git(world.repository, "tag", "-a", "-m", "t", "v1", first)
    git(world.repository, "branch", "old", first)
    assert world.workspaces.import_base("v1").commit == first
    assert world.workspaces.import_base("old").branch == "old"
    assert world.workspaces.import_base(first[:12]).branch == ""
    assert world.workspaces.import_base("HEAD").commit == second
    assert world.workspaces.import_base("HEAD~1").commit == first


def test_a_subfolder_of_the_repository_is_in_it(world: World, tmp_path: Path) -> None:
    with GitWorkspaces(world.store, world.places, world.repository / "src/deep", os.environ) as inner:
        assert inner.import_base().commit == git(world.repository, "rev-parse", "HEAD").strip()


def test_a_change_that_git_tells_by_the_time_of_the_index_alone(world: World) -> None:
    """Same size, and all in one second, in which the index was written too: git must read the file again."""
    clean = world.workspaces.import_base("HEAD")
    file, index = world.repository / "a.txt", world.repository / ".git/index"
    whole_second = (file.stat().st_mtime_ns // 10**9 - 10) * 10**9
    os.utime(file, ns=(whole_second, whole_second))
    git(world.repository, "update-index", "--refresh")
    file.write_bytes(file.read_bytes().swapcase())
    for path in (file, index):
        os.utime(path, ns=(whole_second, whole_second))
    assert world.workspaces.import_base(worktree=True).tree != clean.tree


def test_a_shallow_clone(world: World, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{world.repository}", "shallow")
    assert imported(world, tmp_path / "shallow").notes == ("the repository is a shallow clone",)


def test_a_detached_head(world: World) -> None:
    git(world.repository, "checkout", "-q", "--detach")
    base = imported(world, world.repository)
    assert base.branch == ""
    assert base.notes == ("HEAD is detached",)


def test_a_linked_worktree(world: World, tmp_path: Path) -> None:
    git(world.repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    assert imported(world, tmp_path / "linked").branch == "side"
    write(tmp_path / "linked", {"a.txt": "dirty\n"})
    assert imported(world, tmp_path / "linked", worktree=True).branch == "side"


def test_a_repository_with_alternates(world: World, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(world.repository), "shared")
    imported(world, tmp_path / "shared")
    write(tmp_path / "shared", {"a.txt": "dirty\n"})
    imported(world, tmp_path / "shared", worktree=True)


def test_a_bare_repository(world: World, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(world.repository), "bare")
    imported(world, tmp_path / "bare")
    with pytest.raises(UsageError, match="bare repository"):
        imported(world, tmp_path / "bare", worktree=True)


def test_old_histories_with_bad_stamps_pass(world: World) -> None:
    tree = git(world.repository, "rev-parse", "HEAD^{tree}").strip()
    bad = f"tree {tree}\nauthor A <a@x> 99999999999999999999 +99999\ncommitter A <a@x> 1 +0000\n\nbad\n"
    (world.root / "bad").write_text(bad)
    oid = git(world.repository, "hash-object", "-t", "commit", "-w", "--literally", str(world.root / "bad")).strip()
    git(world.repository, "update-ref", "refs/heads/bad", oid)
    base = world.workspaces.import_base("bad")
    assert world.snapshot(world.open(base.commit), base.commit).tree == base.tree


def test_a_killed_import_leaves_no_lock_that_matters(world: World) -> None:
    first = world.base()
    (world.store / "shallow.lock").write_text("")
    write(world.repository, {"a.txt": "next\n"})
    commit_all(world.repository)
    assert world.base().commit != first.commit


# --- the working tree as the base


def test_the_dirty_tree_is_a_commit_of_ours(world: World) -> None:
    write(world.repository, {"a.txt": "dirty\n", "new": "untracked\n", "x.log": "ignored\n", "staged": "s\n"})
    git(world.repository, "add", "staged")
    (world.repository / "run.sh").unlink()
    before = fingerprint(world.repository)
    base = world.workspaces.import_base(worktree=True)
    assert fingerprint(world.repository) == before
    head = git(world.repository, "rev-parse", "HEAD").strip()
    assert world.in_store("rev-parse", f"{base.commit}^").strip() == head
    changed = {change.path: change.status for change in world.workspaces.changes(head, base.commit)}
    assert changed == {"a.txt": "M", "new": "A", "run.sh": "D", "staged": "A"}
    assert world.workspaces.import_base(worktree=True) == base
    place = world.open(base.commit)
    assert (place.tree / "staged").read_text() == "s\n"


def test_a_clean_tree_is_head_itself(world: World) -> None:
    assert world.workspaces.import_base(worktree=True).commit == world.base().commit


def test_uncommitted_changes_are_noted(world: World) -> None:
    write(world.repository, {"a.txt": "dirty\n"})
    assert world.base().notes == (
        "1 file has uncommitted changes that are not included: --base worktree includes them",
    )


def contents(folder: Path) -> dict[str, str]:
    return {path: said.split(" ")[2] for path, said in fingerprint(folder).items()}


def test_a_split_index_and_sparse_files(world: World) -> None:
    git(world.repository, "update-index", "--split-index")
    git(world.repository, "sparse-checkout", "set", "--no-cone", "/a.txt", "/new")
    write(world.repository, {"new": "n\n"})
    before = contents(world.repository)
    base = world.workspaces.import_base(worktree=True)
    assert contents(world.repository) == before  # git makes a shared index young again whenever it reads it
    assert {"src/lib.py", "a.txt", "new"} <= world.files(base.commit).keys()


# --- what cannot be a base


def test_not_a_repository(tmp_path: Path) -> None:
    with (
        GitWorkspaces(tmp_path / "s", tmp_path / "p", tmp_path, os.environ) as none,
        pytest.raises(UsageError, match="is not in a git repository: run `git init`"),
    ):
        none.import_base()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("worktree", [False, True])
def test_no_commits(tmp_path: Path, worktree: bool) -> None:
    git(tmp_path, "init", "-q", "empty")
    with (
        GitWorkspaces(tmp_path / "s", tmp_path / "p", tmp_path / "empty", os.environ) as none,
        pytest.raises(UsageError, match="no commits yet"),
    ):
        none.import_base(worktree=worktree)


@pytest.mark.parametrize("ref", ["nowhere", "--all", "HEAD:a.txt", "", "main..main"])
def test_no_such_base(world: World, ref: str) -> None:
    with pytest.raises(UsageError, match="base"):
        world.workspaces.import_base(ref)


def test_no_git(world: World, tmp_path: Path) -> None:
    with (
        GitWorkspaces(world.store, world.places, world.repository, {"PATH": str(tmp_path)}) as none,
        pytest.raises(UsageError, match=r"install git 2\.38 or newer"),
    ):
        none.import_base()


def test_an_old_git(world: World, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\necho git version 2.37.9\n")
    (tmp_path / "bin/git").chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    with (
        GitWorkspaces(world.store, world.places, world.repository, environ) as old,
        pytest.raises(UsageError, match=r"git 2\.38 or newer is needed, and .*2\.37\.9"),
    ):
        old.import_base()


def test_a_state_folder_that_is_a_file(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        GitWorkspaces(tmp_path / "file/store.git", world.places, world.repository, os.environ) as none,
        pytest.raises(InfrastructureError, match="file"),
    ):
        none.import_base()


# --- submodules and Git LFS


@pytest.fixture
def with_submodule(world: World, tmp_path: Path) -> World:
    library = make_repository(tmp_path / "library", {"lib.c": "int x;\n", "inc/h.h": "h\n"})
    git(world.repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor/lib")
    commit_all(world.repository, "with a submodule")
    return world


def test_submodules_are_laid_in_as_committed(with_submodule: World) -> None:
    world = with_submodule
    write(world.repository, {"vendor/lib/lib.c": "int dirty;\n"})
    before = fingerprint(world.repository)
    base = world.base()
    world.workspaces.check_contents(base)
    place = world.open(base.commit)
    assert (place.tree / "vendor/lib/lib.c").read_text() == "int x;\n"
    assert git(place.tree, "status", "--porcelain") == ""
    (place.tree / "a.txt").write_text("changed\n")
    candidate = world.snapshot(place, base.commit)
    assert world.files(candidate.commit)["vendor/lib"] == "160000"
    with world.workspaces.clean_checkout(candidate.commit, base.commit, CheckoutSpec()) as clean:
        assert (clean.tree / "vendor/lib/inc/h.h").read_text() == "h\n"
    assert fingerprint(world.repository) == before


@pytest.mark.parametrize("change", ["edit", "add", "delete"])
def test_a_change_inside_a_submodule_is_a_finding(with_submodule: World, change: str) -> None:
    world = with_submodule
    base = world.base()
    place = world.open(base.commit)
    if change == "delete":
        (place.tree / "vendor/lib/inc/h.h").unlink()
    else:
        write(place.tree, {f"vendor/lib/{'lib.c' if change == 'edit' else 'new.c'}": "int y;\n"})
    with pytest.raises(UnfitTree, match="changed inside the submodule vendor/lib"):
        world.snapshot(place, base.commit)


def test_a_missing_submodule_stops_before_the_run(with_submodule: World, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(with_submodule.repository), "fresh")
    fresh = make_world(tmp_path / "w", tmp_path / "fresh")
    with fresh.workspaces:
        base = fresh.base()
        with pytest.raises(UsageError, match="git submodule update --init --recursive -- vendor/lib"):
            fresh.workspaces.check_contents(base)
        with pytest.raises(UsageError, match="vendor/lib"):
            fresh.open(base.commit)
        assert list(fresh.places.glob("*/*")) == []


LOCAL = ("-c", "protocol.file.allow=always")


@pytest.mark.parametrize("kind", ["absorbed", "its own git directory", "of a linked worktree", "nested"])
def test_no_filter_of_a_submodule_runs_for_the_working_tree(world: World, tmp_path: Path, kind: str) -> None:
    """git would start itself in each submodule, to see whether it is dirty."""
    checkout, name = world.repository, "vendor/lib"
    files: dict[str, str | bytes] = {"lib.c": "int x;\n", ".gitattributes": "*.c filter=evil\n"}
    library = make_repository(tmp_path / "library", files)
    if kind == "nested":
        outer = make_repository(tmp_path / "outer", {"o.c": "o\n"})
        git(outer, *LOCAL, "submodule", "--quiet", "add", str(library), "in")
        commit_all(outer)
        library, name = outer, "vendor/lib/in"
    if kind == "its own git directory":
        git(checkout, "clone", "-q", str(library), "vendor/lib")
    git(checkout, *LOCAL, "submodule", "--quiet", "add", str(library), "vendor/lib")
    commit_all(checkout, "with a submodule")
    if kind == "of a linked worktree":
        git(checkout, "worktree", "add", "-q", str(tmp_path / "linked"))
        checkout = tmp_path / "linked"
    git(checkout, *LOCAL, "submodule", "--quiet", "update", "--init", "--recursive")
    inner = checkout / name
    git(inner, "config", "filter.evil.clean", f"touch {tmp_path}/started; cat")
    os.utime(inner / "lib.c", (1, 1))
    write(checkout, {"a.txt": "dirty\n"})
    before = fingerprint(checkout)
    with GitWorkspaces(world.store, world.places, checkout, os.environ) as workspaces:
        assert workspaces.import_base(worktree=True).tree != workspaces.import_base().tree
    assert not (tmp_path / "started").exists()
    assert fingerprint(checkout) == before


def test_what_became_of_submodules_is_taken_with_the_working_tree(world: World, tmp_path: Path) -> None:
    library = make_repository(tmp_path / "library", {"lib.c": "int x;\n"})
    for name in ("moved", "gone", "a file", "emptied", "[glob]", "dirty"):
        git(world.repository, *LOCAL, "submodule", "--quiet", "add", str(library), name)
    commit_all(world.repository, "with submodules")
    moved = [git(world.repository / name, "commit", "-q", "--allow-empty", "-m", "m") for name in ("moved", "[glob]")]
    for name in ("gone", "a file", "emptied"):
        shutil.rmtree(world.repository / name)
    write(world.repository, {"a file": "x\n", "dirty/lib.c": "int dirty;\n"})
    (world.repository / "emptied").mkdir()
    tree = world.workspaces.import_base(worktree=True).tree
    assert len(moved) == 2
    git(world.repository, "add", "-A")
    assert tree == git(world.repository, "write-tree").strip(), "as git itself would take it"


CONTENT = b"big content" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize {len(CONTENT)}\n"


@pytest.fixture
def with_lfs(world: World) -> World:
    """A repository as Git LFS leaves it: a pointer in the tree, the content in its folder."""
    write(world.repository, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "x.bin": POINTER})
    commit_all(world.repository, "a pointer")
    oid = hashlib.sha256(CONTENT).hexdigest()
    write(world.repository, {f".git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}": CONTENT})
    return world


def test_lfs_files_are_laid_in_and_stay_pointers(with_lfs: World) -> None:
    world = with_lfs
    base = world.base()
    world.workspaces.check_contents(base)
    place = world.open(base.commit)
    assert (place.tree / "x.bin").read_bytes() == CONTENT
    (place.tree / "x.bin").write_bytes(CONTENT)  # touched, not changed
    (place.tree / "a.txt").write_text("changed\n")
    candidate = world.snapshot(place, base.commit)
    assert world.workspaces.read(candidate.commit, "x.bin", 1000) == POINTER.encode()
    (place.tree / "x.bin").write_bytes(b"other")
    with pytest.raises(UnfitTree, match="kept in Git LFS"):
        world.snapshot(place, base.commit, 2)


def test_a_changed_lfs_file_of_the_working_tree_is_taken_as_its_pointer(with_lfs: World, tmp_path: Path) -> None:
    """As `git add` would make it through the filter, which is not started."""
    world = with_lfs
    for part in ("clean", "process"):
        git(world.repository, "config", f"filter.lfs.{part}", f"touch {tmp_path}/started; cat")
    head = world.base()
    (world.repository / "x.bin").write_bytes(CONTENT)
    base = world.workspaces.import_base(worktree=True)
    assert base.tree == head.tree, "the content of the pointer is no change"
    (world.repository / "x.bin").write_bytes(CONTENT * 2)
    base = world.workspaces.import_base(worktree=True)
    world.workspaces.check_contents(base)
    said = f"oid sha256:{hashlib.sha256(CONTENT * 2).hexdigest()}\nsize {len(CONTENT) * 2}\n"
    pointer = world.workspaces.read(base.commit, "x.bin", 1000)
    assert pointer == POINTER.partition("oid")[0].encode() + said.encode()
    assert (world.open(base.commit).tree / "x.bin").read_bytes() == CONTENT * 2
    (note,) = world.workspaces.import_base().notes
    assert note.startswith("1 file in Git LFS may have uncommitted changes")
    assert "--base worktree includes them" in note
    assert not (tmp_path / "started").exists()


def test_what_a_delivered_pointer_stands_for_is_delivered_with_it(with_lfs: World) -> None:
    """Whatever became of the file meanwhile: without its content nobody could check the branch out, or push it."""
    world = with_lfs
    new = CONTENT * 2
    (world.repository / "x.bin").write_bytes(new)
    base = world.workspaces.import_base(worktree=True)
    (world.repository / "x.bin").write_text(POINTER)
    world.workspaces.check_contents(base)
    candidate = world.attempted({"a.txt": "changed\n"}, base.commit, 1)
    with world.workspaces.clean_checkout(candidate.commit, base.commit, CheckoutSpec()) as clean:
        assert (clean.tree / "x.bin").read_bytes() == new
    oid = hashlib.sha256(new).hexdigest()
    place = world.repository / f".git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}"
    later = time.time() + 3 * 86_400
    world.workspaces.collect((base_ref(base.commit),), 0.0, later)
    assert not place.exists()
    world.deliver(base.commit, base.commit, "done", STAMP, (), sign=False)
    assert place.read_bytes() == new
    world.workspaces.collect((), 0.0, later)
    assert not list((world.store / "refs").rglob(oid))


def test_a_working_tree_that_is_imported_again_is_in_use_again(with_lfs: World) -> None:
    """Its commit and its contents outlive a gc that comes before the run begins."""
    world = with_lfs
    new = CONTENT * 2
    (world.repository / "x.bin").write_bytes(new)
    base = world.workspaces.import_base(worktree=True)
    refs = [world.store / base_ref(base.commit), *(world.store / "refs").rglob(hashlib.sha256(new).hexdigest())]
    assert len(refs) == 2
    for ref in refs:
        os.utime(ref, (1, 1))
    assert world.workspaces.import_base(worktree=True).commit == base.commit
    world.workspaces.collect((), 0.0, time.time())
    assert all(ref.exists() for ref in refs)


@pytest.mark.parametrize("storage", ["", "big", "{root}/shared lfs"])
def test_contents_are_where_the_users_git_lfs_has_them(with_lfs: World, storage: str) -> None:
    world = with_lfs
    storage = storage.format(root=world.root)
    if storage:
        git(world.repository, "config", "lfs.storage", storage)
        (world.repository / ".git/lfs").rename(world.repository / ".git" / storage)
    assert (world.repository / "x.bin").read_bytes() != CONTENT
    world.workspaces.check_contents(world.base())
    new = CONTENT * 2
    (world.repository / "x.bin").write_bytes(new)
    base = world.workspaces.import_base(worktree=True)
    world.deliver(base.commit, base.commit, "done", STAMP, (), sign=False)
    oid = hashlib.sha256(new).hexdigest()
    place = world.repository / ".git" / (storage or "lfs") / "objects" / oid[:2] / oid[2:4] / oid
    assert place.read_bytes() == new
    assert (world.repository / ".git/lfs").exists() == (not storage)


def test_a_content_that_cannot_be_given_leaves_nothing(with_lfs: World) -> None:
    world = with_lfs
    (world.repository / "x.bin").write_bytes(CONTENT * 2)
    base = world.workspaces.import_base(worktree=True)
    shutil.rmtree(world.repository / ".git/lfs")
    (world.repository / ".git/lfs").write_text("in the way")
    before = sorted(fingerprint(world.repository))
    with pytest.raises(InfrastructureError, match="lfs") as raised:
        world.deliver(base.commit, base.commit, "done", STAMP, (), sign=False)
    assert raised.value.undone
    assert sorted(fingerprint(world.repository)) == before


def test_a_file_that_goes_through_another_filter_is_not_said_to_come_along(world: World) -> None:
    write(world.repository, {".gitattributes": "*.txt filter=evil\n"})
    commit_all(world.repository)
    git(world.repository, "config", "filter.evil.clean", "cat")
    (world.repository / "a.txt").write_text("changed\n")
    (note,) = world.workspaces.import_base().notes
    assert note.startswith("1 file with a filter may have uncommitted changes")
    assert "commit them first" in note
    with pytest.raises(UsageError, match="commit it first"):
        world.workspaces.import_base(worktree=True)


def test_lfs_content_may_lie_in_the_checkout_only(with_lfs: World) -> None:
    world = with_lfs
    for path in sorted((world.repository / ".git/lfs").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    base = world.base()
    with pytest.raises(UsageError, match="git lfs pull"):
        world.workspaces.check_contents(base)
    (world.repository / "x.bin").write_bytes(CONTENT)
    world.workspaces.check_contents(base)
    assert (world.open(base.commit).tree / "x.bin").read_bytes() == CONTENT


def test_a_pointer_without_the_attribute_is_a_file_like_any_other(world: World) -> None:
    write(world.repository, {"x.bin": POINTER})
    commit_all(world.repository)
    base = world.base()
    world.workspaces.check_contents(base)
    assert (world.open(base.commit).tree / "x.bin").read_text() == POINTER


def test_delivering_on_a_working_tree_base(world: World) -> None:
    write(world.repository, {"a.txt": "dirty\n", "new": "n\n"})
    base = world.workspaces.import_base(worktree=True)
    candidate = world.attempted({"b.txt": "b\n"}, base.commit, 1)
    tip = world.deliver(candidate.commit, base.commit, "out", Stamp("done", 5), [], sign=False)
    assert git(world.repository, "rev-list", "--count", f"HEAD..{tip}").strip() == "2"
    assert git(world.repository, "show", f"{tip}:new") == "n\n"
    assert git(world.repository, "fsck", "--full", "--no-dangling") == ""
