"""Attempts: opened from the accepted input alone, read back as files, merged, compared, judged in clean checkouts."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import STAMP, World, commit_all, git, make_repository, make_world, write

from interlock.core.ids import AttemptId
from interlock.ports import Change, CheckoutSpec, InfrastructureError, Stamp, UnfitTree, UsageError, Workspaces
from interlock.workspaces import GitWorkspaces


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


def test_it_is_the_port(world: World) -> None:
    port: Workspaces = world.workspaces
    assert port is world.workspaces


# --- opening


def test_a_place_holds_the_files_and_one_commit_without_history(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    assert (checkout.tree / "a.txt").read_text() == "one\ntwo\n"
    assert (checkout.tree / "run.sh").stat().st_mode & stat.S_IXUSR
    assert (checkout.tree / "link").readlink() == Path("src/lib.py")
    assert git(checkout.tree, "log", "--format=%H").split() == [base.commit]
    assert git(checkout.tree, "status", "--porcelain") == ""
    assert git(checkout.tree, "fsck", "--full", "--strict") == ""
    assert "secret of history" not in git(checkout.tree, "cat-file", "--batch-all-objects", "--batch")
    assert checkout.home.is_dir()
    assert checkout.tmp.is_dir()
    assert checkout.root == world.places / "run1/code-1.1-1"


def test_the_agents_git_works_and_changes_nothing_of_ours(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    (checkout.tree / "a.txt").write_text("changed\n")
    assert git(checkout.tree, "diff", "--stat").startswith(" a.txt")
    commit_all(checkout.tree, "mine")
    candidate = world.snapshot(checkout, base.commit)
    assert world.in_store("rev-parse", f"{candidate.commit}^").strip() == base.commit
    assert "mine" not in world.in_store("log", "--all", "--format=%s")


def test_opening_again_removes_what_was_there_and_takes_a_new_path(world: World) -> None:
    base = world.base()
    first = world.open(base.commit)
    (first.tree / "left-over").write_text("x")
    again = world.open(base.commit)
    assert again.root != first.root
    assert not first.root.exists()
    assert not (again.tree / "left-over").exists()


def test_an_overlay_lies_over_the_input_as_uncommitted_changes(world: World) -> None:
    base = world.base()
    rejected = world.attempted({"a.txt": "better\n", "new.txt": "new\n"}, base.commit, 1)
    checkout = world.workspaces.open("run1", world.attempt(2), base.commit, CheckoutSpec(), overlay=rejected.commit)
    assert (checkout.tree / "a.txt").read_text() == "better\n"
    assert git(checkout.tree, "status", "--porcelain").split() == ["M", "a.txt", "??", "new.txt"]
    assert git(checkout.tree, "log", "--format=%H").split() == [base.commit]
    candidate = world.snapshot(checkout, base.commit, 2)
    assert candidate.tree == rejected.tree


def test_a_commit_that_is_not_there_is_infrastructure(world: World) -> None:
    world.base()
    with pytest.raises(InfrastructureError, match=r"1{40} is missing in the store"):
        world.open("1" * 40)


def test_items_of_a_stage_have_places_of_their_own(world: World) -> None:
    base = world.base()
    roots = {
        world.workspaces.open("run1", AttemptId("code", 1, 1, item), base.commit, CheckoutSpec()).root.name
        for item in ("", "a/b", "../..", "ä")
    }
    assert roots == {"code-1.1-1", "code@a%2Fb-1.1-1", "code@..%2F..-1.1-1", "code@%C3%A4-1.1-1"}


def test_discard_removes_what_a_lost_attempt_left(world: World) -> None:
    checkout = world.open(world.base().commit)
    world.workspaces.discard("run1", world.attempt())
    assert not checkout.root.exists()
    world.workspaces.discard("run1", world.attempt(7))


# --- snapshots


def test_nothing_changed_is_the_same_tree(world: World) -> None:
    base = world.base()
    candidate = world.snapshot(world.open(base.commit), base.commit)
    assert candidate.tree == base.tree
    assert candidate.left_out == ()


def test_every_kind_of_change_is_seen(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    (checkout.tree / "a.txt").write_text("three\n")
    (checkout.tree / "src/lib.py").chmod(0o755)
    (checkout.tree / "run.sh").unlink()
    (checkout.tree / "src/deep/er/x.txt").unlink()
    (checkout.tree / "src/deep/er").rmdir()
    (checkout.tree / "src/deep/er").write_text("a file where a folder was")
    (checkout.tree / "link").unlink()
    (checkout.tree / "link").mkdir()
    (checkout.tree / "link/in").write_text("a folder where a link was")
    (checkout.tree / "empty").mkdir()
    (checkout.tree / "here").symlink_to("a.txt")
    candidate = world.snapshot(checkout, base.commit)
    assert world.files(candidate.commit) == {
        ".gitignore": "100644", "a.txt": "100644", "src/lib.py": "100755", "src/deep/er": "100644",
        "link/in": "100644", "here": "120000",
    }  # fmt: skip
    assert world.in_store("fsck", "--full", "--strict", candidate.commit) == ""


def test_a_snapshot_is_a_function_of_its_arguments(world: World) -> None:
    base = world.base()
    first = world.attempted({"a.txt": "same\n"}, base.commit, 1)
    second = world.attempted({"a.txt": "same\n"}, base.commit, 2)
    assert first == second
    said = world.in_store("cat-file", "commit", first.commit)
    assert said.count("Interlock <interlock@localhost> 1700000000 +0000") == 2


def test_a_ref_is_created_once_and_never_moved(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    first = world.snapshot(checkout, base.commit)
    assert world.snapshot(checkout, base.commit) == first
    (checkout.tree / "a.txt").write_text("moved\n")
    with pytest.raises(InfrastructureError, match="refs never move"):
        world.snapshot(checkout, base.commit)
    assert world.in_store("rev-parse", "refs/interlock/run1/code/1.1").strip() == first.commit


def test_an_edit_of_the_same_size_with_the_time_set_back_is_seen(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    file = checkout.tree / "a.txt"
    before = file.stat()
    file.write_text("ONE\ntwo\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    candidate = world.snapshot(checkout, base.commit)
    assert world.workspaces.read(candidate.commit, "a.txt", 100) == b"ONE\ntwo\n"


def test_what_the_input_ignores_is_left_out_and_listed(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    write(checkout.tree, {"x.log": "", "build/out/y": "", "src/z.log": "", "kept.txt": "k"})
    candidate = world.snapshot(checkout, base.commit)
    assert sorted(candidate.left_out) == ["build/", "src/z.log", "x.log"]
    assert "kept.txt" in world.files(candidate.commit)


def test_the_candidates_own_ignore_rules_hide_nothing(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    write(checkout.tree, {".gitignore": "*\n", "hidden.py": "evil", "src/.gitignore": "*\n"})
    candidate = world.snapshot(checkout, base.commit)
    assert {"hidden.py", "src/.gitignore"} <= world.files(candidate.commit).keys()


TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"


def test_caches_of_tools_are_left_out_though_the_input_does_not_ignore_them(world: World) -> None:
    base = world.base().commit
    checkout = world.open(base)
    caches: dict[str, str | bytes] = {
        ".pytest_cache/.gitignore": "# Created by pytest automatically.\n*\n", ".pytest_cache/v/cache/nodeids": "[]",
        "src/__pycache__/lib.pyc": b"\0", ".hypothesis/x": "x", "target/CACHEDIR.TAG": TAG, "target/x.o": b"\0",
        "htmlcov/.gitignore": "*\n", "htmlcov/index.html": "x", ".coverage": b"\0", ".coverage.host.7.Xab": b"\0",
        "htmlcov/.git/HEAD": "x",
    }  # fmt: skip
    write(checkout.tree, {**caches, "src/lib.py": "def f():\n    return 2\n"})
    candidate = world.snapshot(checkout, base)
    assert world.files(candidate.commit).keys() == world.files(base).keys()
    assert sorted(candidate.left_out) == [
        ".coverage", ".coverage.host.7.Xab", ".hypothesis/", ".pytest_cache/", "htmlcov/", "src/__pycache__/", "target/"
    ]  # fmt: skip
    with world.workspaces.clean_checkout(candidate.commit, base, CheckoutSpec()) as clean:
        assert (clean.tree / "src/lib.py").read_text().endswith("2\n")
        assert not any((clean.tree / path).exists() for path in caches)


def test_what_only_looks_like_a_cache_comes_along(world: World) -> None:
    """A folder of the input, one whose marker is a link or keeps something, artifacts, and files beside a cache's."""
    write(world.repository, {"kept/__pycache__/x": "x", "kept/.hypothesis": "x"})
    commit_all(world.repository)
    base = world.base().commit
    checkout = world.open(base)
    new: dict[str, str | bytes] = {
        "kept/__pycache__/y": "y", "src/.gitignore": "*\n", "src/CACHEDIR.TAG": TAG, "src/new.py": "new",
        "logs/.gitignore": "*\n!.gitignore\n", "linked/x": "x", ".coveragerc": "x", "docs/.gitignore": "*.html\n",
        ".interlock/artifacts/code/.gitignore": "*\n", ".interlock/CACHEDIR.TAG": TAG,
    }  # fmt: skip
    write(checkout.tree, new)
    (checkout.tree / "linked/.gitignore").symlink_to("../src/.gitignore")
    candidate = world.snapshot(checkout, base)
    assert {*new, "linked/.gitignore"} <= world.files(candidate.commit).keys()
    assert candidate.left_out == ()


def test_a_tracked_file_that_is_ignored_stays_tracked(world: World) -> None:
    write(world.repository, {"kept.log": "1\n", "build/kept": "1\n"})
    git(world.repository, "add", "-f", "kept.log", "build/kept")
    commit_all(world.repository)
    base = world.base()
    candidate = world.attempted({"kept.log": "2\n", "build/kept": "2\n", "build/other": "x"}, base.commit, 1)
    assert [change.path for change in world.workspaces.changes(base.commit, candidate.commit)] == [
        "build/kept", "kept.log",
    ]  # fmt: skip


def test_artifacts_come_along_even_where_they_are_ignored(world: World) -> None:
    write(world.repository, {".gitignore": ".interlock/\n*.md\n"})
    commit_all(world.repository)
    base = world.base()
    files = {".interlock/artifacts/code/plan.md": "p", ".interlock/other.yaml": "o", "x.md": "x"}
    candidate = world.attempted(files, base.commit, 1)
    assert ".interlock/artifacts/code/plan.md" in world.files(candidate.commit)
    assert sorted(candidate.left_out) == [".interlock/other.yaml", "x.md"]


def test_odd_names_come_along_byte_for_byte(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    names = [b"new\nline", b"\xff\xfe", b" lead", b"-dash", "ümlaut".encode(), b"tab\t", b'quo"te', b"back\\slash"]
    for name in names:
        (checkout.tree / os.fsdecode(name)).write_bytes(b"in " + name)
    candidate = world.snapshot(checkout, base.commit)
    assert {os.fsdecode(name) for name in names} <= world.files(candidate.commit).keys()
    changes = world.workspaces.changes(base.commit, candidate.commit)
    assert [change.path for change in changes] == [os.fsdecode(name) for name in sorted(names)]
    assert all(change.added == 1 for change in changes if change.path != "new\nline")
    again = world.open(candidate.commit, 2)
    for name in names:
        assert (again.tree / os.fsdecode(name)).read_bytes() == b"in " + name
    assert git(again.tree, "status", "--porcelain") == ""


def test_attributes_rewrite_nothing_in_either_direction(world: World) -> None:
    files: dict[str, str | bytes] = {".gitattributes": "*.crlf text eol=crlf\n*.id ident\n*.lf text eol=lf\n"}
    write(world.repository, {**files, "a.crlf": "1\r\n2\r\n", "b.id": "$Id$\n", "c.lf": "1\n"})
    commit_all(world.repository)
    base = world.base()
    checkout = world.open(base.commit)
    assert (checkout.tree / "a.crlf").read_bytes() == b"1\n2\n"  # as it is stored
    assert (checkout.tree / "b.id").read_bytes() == b"$Id$\n"
    assert git(checkout.tree, "status", "--porcelain") == ""
    write(checkout.tree, {"a.crlf": b"1\r\n", "c.lf": b"1\r\n"})
    candidate = world.snapshot(checkout, base.commit)
    assert world.workspaces.read(candidate.commit, "a.crlf", 100) == b"1\r\n"
    assert world.workspaces.read(candidate.commit, "c.lf", 100) == b"1\r\n"
    assert world.workspaces.read(candidate.commit, "b.id", 100) == b"$Id$\n"


def test_a_file_of_100_mb(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    with (checkout.tree / "big").open("wb") as file:
        file.truncate(100_000_000)
    candidate = world.snapshot(checkout, base.commit)
    assert world.in_store("cat-file", "-s", f"{candidate.commit}:big").strip() == "100000000"
    with world.workspaces.clean_checkout(candidate.commit, base.commit, CheckoutSpec()) as clean:
        assert (clean.tree / "big").stat().st_size == 100_000_000
    with pytest.raises(UsageError, match="at most 10"):
        world.workspaces.read(candidate.commit, "big", 10)


def test_many_new_files(world: World) -> None:
    base = world.base()
    candidate = world.attempted(
        {f"many/{number % 50}/{number}": f"{number}\n" for number in range(2000)}, base.commit, 1
    )
    assert len(world.files(candidate.commit)) == 2000 + 6
    assert world.in_store("fsck", "--full", "--strict", candidate.commit) == ""
    checkout = world.open(candidate.commit, 2)
    assert git(checkout.tree, "status", "--porcelain") == ""
    assert git(checkout.tree, "fsck", "--full", "--strict") == ""


@pytest.mark.parametrize("mode", [0o000, 0o200])
def test_unreadable_files_and_folders_are_read_all_the_same(world: World, mode: int) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    (checkout.tree / "a.txt").write_text("locked\n")
    (checkout.tree / "a.txt").chmod(mode)
    (checkout.tree / "src").chmod(mode)
    candidate = world.snapshot(checkout, base.commit)
    assert world.workspaces.read(candidate.commit, "a.txt", 100) == b"locked\n"
    world.workspaces.wipe(checkout)
    assert not checkout.root.exists()


# --- what cannot be taken


def rules_of(world: World, place_file: str, make: object) -> set[str]:
    base = world.base()
    checkout = world.open(base.commit)
    path = checkout.tree / place_file
    path.parent.mkdir(parents=True, exist_ok=True)
    assert callable(make)
    make(path)
    with pytest.raises(UnfitTree) as unfit:
        world.snapshot(checkout, base.commit)
    assert world.in_store("for-each-ref", "refs/interlock").strip() == ""
    world.workspaces.wipe(checkout)
    return {finding.rule for finding in unfit.value.findings}


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(path.parent)
        try:
            server.bind(path.name)
        finally:
            os.chdir(before)


@pytest.mark.parametrize(
    ("file", "make", "rule"),
    [
        ("fifo", os.mkfifo, "workspace.special"),
        ("socket", listen, "workspace.special"),
        ("vendor/.git", Path.mkdir, "workspace.nested_repository"),
        ("vendor/.git", lambda path: path.write_text("gitdir: /x"), "workspace.nested_repository"),
        ("vendor/.GIT", Path.mkdir, "workspace.nested_repository"),
        (".Git", Path.mkdir, "workspace.nested_repository"),
        ("src/git~1", Path.mkdir, "workspace.nested_repository"),
        ("src/.g\u200cit", Path.mkdir, "workspace.nested_repository"),
        ("out", lambda path: path.symlink_to("/etc/passwd"), "workspace.link"),
        ("out", lambda path: path.symlink_to("../secret"), "workspace.link"),
        ("src/out", lambda path: path.symlink_to("../../x"), "workspace.link"),
        ("in", lambda path: path.symlink_to(".git/config"), "workspace.link"),
    ],
)
def test_what_no_commit_may_hold_is_a_finding(world: World, file: str, make: object, rule: str) -> None:
    assert rules_of(world, file, make) == {rule}


@pytest.mark.root
def test_a_device_is_a_finding(world: World) -> None:
    if os.getuid() != 0:
        pytest.skip("needs to be root to make a device")
    assert rules_of(world, "null", lambda path: os.mknod(path, stat.S_IFCHR, os.makedev(1, 3))) == {"workspace.special"}


def test_a_symlink_that_leaves_through_another_one_is_a_finding(world: World) -> None:
    def make(path: Path) -> None:
        (path.parent / "d").symlink_to("..")  # src/deep/er/d -> src/deep
        path.symlink_to("d/../../../up")  # from src/deep: out of the tree, though its own text stays in

    assert rules_of(world, "src/deep/er/sly", make) == {"workspace.link"}


def test_a_symlink_that_leaves_since_another_one_changed_is_a_finding(world: World) -> None:
    write(world.repository, {"p/x": "x\n"})
    (world.repository / "sly").symlink_to("p/..")
    commit_all(world.repository)
    base = world.base()
    second = world.attempted({"a.txt": "x"}, base.commit, 1)
    checkout = world.open(second.commit, 2)
    shutil.rmtree(checkout.tree / "p")
    (checkout.tree / "p").symlink_to(".")
    with pytest.raises(UnfitTree) as raised:
        world.snapshot(checkout, second.commit, 2)
    assert [finding.file for finding in raised.value.findings] == ["sly"]
    checkout = world.open(second.commit, 3)
    (checkout.tree / "sly").unlink()
    assert "sly" not in world.files(world.snapshot(checkout, second.commit, 3).commit)


def test_symlink_loops_stay_in_the_tree_and_come_along(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    (checkout.tree / "loop").symlink_to("loop")
    (checkout.tree / "ping").symlink_to("pong")
    (checkout.tree / "pong").symlink_to("ping")
    (checkout.tree / "src/up").symlink_to("..")
    (checkout.tree / "dangling").symlink_to("nowhere")
    candidate = world.snapshot(checkout, base.commit)
    assert {"loop", "ping", "pong", "src/up", "dangling"} <= world.files(candidate.commit).keys()


def test_an_outward_symlink_of_the_base_passes_unchanged(world: World) -> None:
    (world.repository / "old").symlink_to("/usr/share/dict")
    commit_all(world.repository)
    base = world.base()
    candidate = world.attempted({"a.txt": "x"}, base.commit, 1)
    assert world.files(candidate.commit)["old"] == "120000"
    checkout = world.open(base.commit, 2)
    (checkout.tree / "old").unlink()
    (checkout.tree / "old").symlink_to("/etc")
    with pytest.raises(UnfitTree, match="old: a symlink that leads out"):
        world.snapshot(checkout, base.commit, 2)


def test_a_removed_workspace_is_a_finding(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    world.workspaces.wipe(checkout)
    with pytest.raises(UnfitTree, match="removed its own workspace"):
        world.snapshot(checkout, base.commit)


def test_a_workspace_swapped_for_a_symlink_is_not_followed(world: World, tmp_path: Path) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    (checkout.tree).rename(tmp_path / "moved")
    checkout.tree.symlink_to(tmp_path / "moved")
    with pytest.raises(UnfitTree):
        world.snapshot(checkout, base.commit)
    world.workspaces.wipe(checkout)
    assert (tmp_path / "moved/a.txt").exists()


def test_folders_nested_without_end(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    dig = "import os\nfor _ in range(1500):\n    os.mkdir('d' * 20)\n    os.chdir('d' * 20)\n"
    subprocess.run([sys.executable, "-c", dig], cwd=checkout.tree, check=True)
    with pytest.raises(UnfitTree, match="deeper than"):
        world.snapshot(checkout, base.commit)
    world.workspaces.wipe(checkout)
    assert not checkout.root.exists()
    assert list(checkout.root.parent.iterdir()) == []


def test_wiping_removes_read_only_folders_and_leaves_what_links_point_to(world: World, tmp_path: Path) -> None:
    checkout = world.open(world.base().commit)
    outside = tmp_path / "outside"
    write(outside, {"kept": "k"})
    (checkout.tree / "to").symlink_to(outside)
    write(checkout.home, {"a/b/c": "x", "a/d": "y"})
    for folder in (checkout.home / "a/b", checkout.home / "a", checkout.home):
        folder.chmod(0o500)
    world.workspaces.wipe(checkout)
    assert not checkout.root.exists()
    assert (outside / "kept").exists()
    world.workspaces.wipe(checkout)


# --- another process


def test_a_snapshot_by_another_process_reads_every_file(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    (checkout.tree / "a.txt").write_text("elsewhere\n")
    with GitWorkspaces(world.store, world.places, world.repository, os.environ) as other:
        candidate = other.snapshot(checkout, base.commit, CheckoutSpec(), STAMP, "refs/interlock/run1/code/1.1")
    assert candidate == world.snapshot(checkout, base.commit)


# --- adopting, merging, reading


def test_adopting_takes_the_tree_onto_the_parent(world: World) -> None:
    base = world.base()
    write(world.repository, {"a.txt": "by hand\n"})
    mine = commit_all(world.repository, "my own fix")
    adopted = world.workspaces.adopt(mine, base.commit, STAMP, "refs/interlock/run1/code/1.3")
    assert world.workspaces.read(adopted.commit, "a.txt", 100) == b"by hand\n"
    assert world.in_store("rev-parse", f"{adopted.commit}^").strip() == base.commit
    assert world.workspaces.has(mine)
    assert not world.workspaces.has("2" * 40)


def test_a_clean_merge_holds_both_and_is_the_same_each_time(world: World) -> None:
    base = world.base()
    left = world.attempted({"left": "l\n"}, base.commit, 1, "left").commit
    right = world.attempted({"right": "r\n"}, base.commit, 1, "right").commit
    third = world.attempted({"third": "t\n"}, base.commit, 1, "third").commit
    merged = world.workspaces.merge([left, right, third], STAMP, "refs/interlock/run1/join/1.0")
    assert merged.conflicts == ()
    assert {"left", "right", "third"} <= world.files(merged.commit).keys()
    assert world.workspaces.merge([left, right, third], STAMP, "refs/interlock/run1/join/1.0") == merged
    assert world.in_store("rev-parse", "refs/interlock/run1/join/1.0").strip() == merged.commit


def test_one_source_is_itself_and_so_is_one_that_holds_the_others(world: World) -> None:
    base = world.base()
    first = world.attempted({"x": "1\n"}, base.commit, 1)
    second = world.attempted({"x": "2\n"}, first.commit, 2)
    for sources in ([second.commit], [first.commit, second.commit], [second.commit, base.commit, first.commit]):
        assert world.workspaces.merge(sources, STAMP, "refs/interlock/run1/join/1.0").commit == second.commit


def test_conflicts_are_listed_and_marked(world: World) -> None:
    base = world.base()
    left = world.attempted({"a.txt": "left\ntwo\n", "b\nb": "l"}, base.commit, 1, "left").commit
    right = world.attempted({"a.txt": "right\ntwo\n", "b\nb": "r"}, base.commit, 1, "right").commit
    merged = world.workspaces.merge([left, right], STAMP, "refs/interlock/run1/join/1.0")
    assert sorted(merged.conflicts) == ["a.txt", "b\nb"]
    content = world.workspaces.read(merged.commit, "a.txt", 1000)
    assert content is not None
    assert b"<<<<<<< " in content
    assert b">>>>>>> " in content
    checkout = world.open(merged.commit, 5)
    assert git(checkout.tree, "log", "--format=%H").split() == [merged.commit]


def test_reading_a_file_of_a_commit(world: World) -> None:
    base = world.base()
    assert world.workspaces.read(base.commit, "a.txt", 8) == b"one\ntwo\n"
    assert world.workspaces.read(base.commit, "link", 100) is None
    assert world.workspaces.read(base.commit, "src", 100) is None
    assert world.workspaces.read(base.commit, "nowhere/x", 100) is None
    with pytest.raises(UsageError, match=r"a\.txt: 8 bytes"):
        world.workspaces.read(base.commit, "a.txt", 7)


def test_changes_count_lines_and_tell_modes(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    write(checkout.tree, {"a.txt": "one\n2\n3\n", "bin": b"\0\1\2", "new": "1\n2\n"})
    (checkout.tree / "run.sh").chmod(0o644)
    (checkout.tree / "src/lib.py").unlink()
    candidate = world.snapshot(checkout, base.commit)
    expected = (
        Change("a.txt", "M", "100644", "100644", 2, 1),
        Change("bin", "A", "000000", "100644", 0, 0),
        Change("new", "A", "000000", "100644", 2, 0),
        Change("run.sh", "T", "100755", "100644", 0, 0),
        Change("src/lib.py", "D", "100644", "000000", 0, 2),
    )
    assert world.workspaces.changes(base.commit, candidate.commit) == expected
    assert world.workspaces.changes(base.tree, candidate.tree) == expected
    assert world.workspaces.changes(base.tree, base.commit) == ()


@pytest.mark.parametrize("name", ["b.txt", ":(top)b", "*", "a b", "sub/[x].txt", os.fsdecode(b"\xff")])
def test_a_patch_without_one_path(world: World, name: str) -> None:
    base = world.base()
    candidate = world.attempted({"a.txt": "p\n", name: "secret\n"}, base.commit, 1)
    assert b"+secret" in world.workspaces.patch(base.tree, candidate.tree)
    left = world.workspaces.patch(base.tree, candidate.tree, [name])
    assert b"+secret" not in left
    assert b"+p\n" in left


def test_a_patch_as_text_is_of_these_paths_alone(world: World) -> None:
    base = world.base()
    candidate = world.attempted({"a.txt": "p\n", "[x].js": b"/* \0 */ one\n"}, base.commit, 1)
    shown = world.workspaces.patch(base.tree, candidate.tree, text=["[x].js"])
    assert b"+/* \0 */ one\n" in shown
    assert b"a.txt" not in shown


def test_a_patch_applies(world: World) -> None:
    base = world.base()
    candidate = world.attempted({"a.txt": "p\n", "bin": bytes(range(256))}, base.commit, 1)
    checkout = world.open(base.commit, 2)
    (checkout.tmp / "p").write_bytes(world.workspaces.patch(base.tree, candidate.tree))
    git(checkout.tree, "apply", str(checkout.tmp / "p"))
    assert world.snapshot(checkout, base.commit, 2).tree == candidate.tree


def test_restoring_puts_matching_paths_back(world: World) -> None:
    base = world.base()
    rejected = world.attempted({"a.txt": "bad\n", "src/lib.py": "good\n", "src/added.txt": "x"}, base.commit, 1)
    restored = world.workspaces.restore(rejected.commit, base.commit, ["*.txt"], STAMP)
    assert world.workspaces.read(restored, "a.txt", 100) == b"one\ntwo\n"
    assert world.workspaces.read(restored, "src/lib.py", 100) == b"good\n"
    assert world.workspaces.read(restored, "src/added.txt", 100) is None
    assert world.workspaces.restore(rejected.commit, base.commit, [], STAMP) == rejected.commit


def test_laying_contents_into_a_commit(world: World) -> None:
    base = world.base()
    laid = world.workspaces.write_contents(base.commit, {"a.txt": b"new\n", "deep/er/b.txt": b"b\n"}, STAMP)
    assert [(change.path, change.status) for change in world.workspaces.changes(base.commit, laid)] == [
        ("a.txt", "M"),
        ("deep/er/b.txt", "A"),
    ]
    assert world.workspaces.read(laid, "deep/er/b.txt", 100) == b"b\n"
    assert world.workspaces.write_contents(base.commit, {}, STAMP) == base.commit


# --- clean checkouts


def test_a_clean_checkout_shows_base_and_candidate(world: World) -> None:
    base = world.base()
    first = world.attempted({"a.txt": "1\n"}, base.commit, 1)
    second = world.attempted({"a.txt": "2\n"}, first.commit, 2)
    with world.workspaces.clean_checkout(second.commit, base.commit, CheckoutSpec()) as clean:
        assert (clean.tree / "a.txt").read_text() == "2\n"
        assert git(clean.tree, "rev-parse", "HEAD", "base").split() == [second.commit, base.commit]
        assert git(clean.tree, "diff", "--name-only", "base", "HEAD").split() == ["a.txt"]
        assert git(clean.tree, "status", "--porcelain") == ""
        assert git(clean.tree, "fsck", "--full", "--strict") == ""
        assert first.commit not in git(clean.tree, "cat-file", "--batch-all-objects", "--batch-check")
    assert not clean.root.exists()


def test_clean_checkouts_are_removed_when_a_gate_raises(world: World) -> None:
    base = world.base()
    with (
        pytest.raises(RuntimeError, match="the gate"),
        world.workspaces.clean_checkout(base.commit, base.commit, CheckoutSpec()),
    ):
        raise RuntimeError("the gate")
    assert list(world.gates.iterdir()) == []


def test_many_objects_beyond_the_first_kit_make_a_new_one(world: World) -> None:
    base = world.base()
    world.open(base.commit)
    big = world.attempted({f"n/{number}": str(number) for number in range(300)}, base.commit, 2)
    checkout = world.open(big.commit, 3)
    assert git(checkout.tree, "status", "--porcelain") == ""
    assert len(list((world.store / "interlock/kits").glob("*.idx"))) == 2


# --- disks


def test_a_sha256_repository(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "sha256", None, "--object-format=sha256")
    world = make_world(tmp_path, repository)
    with world.workspaces:
        base = world.base()
        assert len(base.commit) == 64
        candidate = world.attempted({"a.txt": "256\n"}, base.commit, 1)
        checkout = world.open(candidate.commit, 2)
        assert git(checkout.tree, "status", "--porcelain") == ""
        assert git(checkout.tree, "fsck", "--strict", "--no-dangling") == ""
        tip = world.deliver(candidate.commit, base.commit, "out", Stamp("d", 1), [], sign=False)
        assert git(repository, "show", f"{tip}:a.txt") == "256\n"


def test_a_file_where_places_should_be_is_an_infrastructure_error_with_the_path(world: World) -> None:
    base = world.base()
    world.places.write_text("")
    with pytest.raises(InfrastructureError, match="places"):
        world.open(base.commit)


def test_use_after_close_starts_git_again(world: World) -> None:
    base = world.base()
    world.workspaces.close()
    assert world.workspaces.read(base.commit, "a.txt", 100) == b"one\ntwo\n"
