"""Odd places to stand in, and odd repositories: each ends in a clear error or in a run like any other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.contract.bad_input_world import Ground, alive, changed, committed, fingerprint, git, repository

VERBS = (("run", "-t", "x"), ("check",), ("status",), ("init",))


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, repository(tmp_path / "project"))


# --- the tests themselves --------------------------------------------------------------------------


def test_what_changes_the_repository_or_stays_alive_is_noticed(ground: Ground):
    before = fingerprint(ground.repository)
    with subprocess.Popen(["sleep", "100"], cwd=ground.repository) as left:
        assert len(alive(ground.root, patience_s=0)) == 1 or not Path("/proc/self").exists()
        left.kill()
    for path, content in ((".git/config", "x"), ("a.txt", "x"), ("new", ""), (".git/refs/heads/new", "x")):
        (ground.repository / path).write_text(content)
    noticed = changed(before, fingerprint(ground.repository))
    assert sorted(noticed) == [".git/config", ".git/refs/heads/new", "a.txt", "new"]


# --- where nothing can run ------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_outside_of_a_repository_every_verb_says_where_to_go(tmp_path: Path, verb: tuple[str, ...]):
    folder = tmp_path / "nowhere"
    folder.mkdir()
    ground = Ground(tmp_path, folder)
    ground.ask(*verb).refused("not in the working tree of a git repository", str(folder), "git init")
    assert not ground.state.exists()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_bare_repository_and_the_inside_of_git_are_refused(ground: Ground, verb: tuple[str, ...]):
    ground.ask(*verb, cwd=ground.repository / ".git").refused("not in the working tree", "git repository")
    bare = ground.root / "bare.git"
    git(ground.root, "clone", "-q", "--bare", str(ground.repository), str(bare))
    ground.ask(*verb, cwd=bare).refused("not in the working tree", "git repository")


@pytest.mark.parametrize("verb", [("run",), ("check",)], ids=lambda verb: verb[0])
def test_a_repository_without_a_commit_is_refused(tmp_path: Path, verb: tuple[str, ...]):
    ground = Ground(tmp_path, repository(tmp_path / "project", commit=False))
    ground.pipeline()
    more = ("-t", "x") if verb == ("run",) else ()
    ground.ask(*verb, *more).refused("no commits yet", "git commit --allow-empty")
    assert not list(ground.cache.glob("*/*/*/*"))


def test_a_repository_without_commits_and_files_can_still_be_asked(tmp_path: Path):
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    ground = Ground(tmp_path, folder)
    ground.ask("status").refused("interlock run")
    ground.ask("run", "-t", "x").refused("there is no pipeline", "interlock init")
    assert ground.ask("list").code == 0


def test_an_empty_tree_is_a_base_like_any_other(tmp_path: Path):
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "start")
    ground = Ground(tmp_path, folder)
    assert ground.content(ground.delivered(ground.run()), "made.txt") == b"done\n"


# --- where a run goes on ---------------------------------------------------------------------------


def test_a_subfolder_is_as_good_as_the_root(ground: Ground):
    deep = ground.repository / "src/deep"
    deep.mkdir(parents=True)
    (deep / "x").write_text("x")
    committed(ground.repository)
    assert ground.content(ground.delivered(ground.run(cwd=deep)), "made.txt") == b"done\n"
    assert ground.ask("status", cwd=deep).code == 0


def test_a_linked_worktree_shares_the_runs_of_its_repository(ground: Ground):
    linked = ground.root / "linked"
    git(ground.repository, "worktree", "add", "-q", "-b", "side", str(linked))
    Ground(ground.root, linked).pipeline()
    branch = ground.delivered(ground.run(cwd=linked))
    assert ground.content(branch, "made.txt") == b"done\n"
    assert branch.split("/")[1] in ground.ask("status").text


def test_a_submodule_is_a_repository_of_its_own(ground: Ground):
    outer = repository(ground.root / "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(ground.repository), "inner")
    committed(outer)
    Ground(ground.root, outer / "inner").pipeline()
    around = Ground(ground.root, outer)
    branch = around.delivered(around.run(cwd=outer / "inner"))
    assert git(outer / "inner", "show", f"{branch}:made.txt") == "done"
    assert around.run().code == 0  # and the outer one, whose submodule is there


def test_a_submodule_that_is_not_there_stops_the_run_before_it_starts(ground: Ground):
    outer = repository(ground.root / "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(ground.repository), "inner")
    committed(outer)
    clone = ground.root / "clone"
    git(ground.root, "clone", "-q", str(outer), str(clone))
    Ground(ground.root, clone).run().refused("inner", "git submodule update --init")


def test_a_shallow_clone_runs_and_says_so(ground: Ground):
    (ground.repository / "b.txt").write_text("b")
    committed(ground.repository)
    clone = ground.root / "clone"
    git(ground.root, "clone", "-q", "--depth=1", f"file://{ground.repository}", str(clone))
    shallow = Ground(ground.root, clone)
    said = shallow.run()
    assert "shallow" in said.text
    assert shallow.content(shallow.delivered(said), "made.txt") == b"done\n"
    git(clone, "fsck", "--strict")


def test_a_detached_head_runs_and_says_so(ground: Ground):
    git(ground.repository, "checkout", "-q", "--detach")
    said = ground.run()
    assert "detached" in said.text
    assert ground.delivered(said)


def test_a_sha256_repository_runs(tmp_path: Path):
    ground = Ground(tmp_path, repository(tmp_path / "project", "--object-format=sha256"))
    branch = ground.delivered(ground.run())
    assert len(git(ground.repository, "rev-parse", branch)) == 64
    assert ground.ask("show", "--json").code == 0


def test_a_partial_clone_does_not_fetch_behind_the_users_back(ground: Ground):
    git(ground.repository, "config", "uploadpack.allowFilter", "true")
    (ground.repository / "big.txt").write_text("big\n" * 1000)
    committed(ground.repository)
    clone = ground.root / "clone"
    git(ground.root, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{ground.repository}", str(clone))
    partial = Ground(ground.root, clone)
    partial.run().refused("is a partial clone", "check that commit out once")
    git(clone, "checkout", "-q", "main")
    assert partial.run().code == 0  # now all that HEAD needs is there


def test_another_users_repository_is_refused_with_gits_own_way_out(ground: Ground):
    if os.getuid() != 0:
        pytest.skip("only root can give a repository away")
    for path in (ground.repository, *ground.repository.rglob("*")):
        os.chown(path, 65534, 65534)
    ground.ask("run", "-t", "x").refused("dubious ownership", "safe.directory")
    git(ground.root, "config", "-f", str(ground.root / ".gitconfig"), "safe.directory", str(ground.repository))
    assert ground.run(HOME=str(ground.root)).code == 0


def test_a_merge_in_progress_is_no_obstacle_but_for_its_own_tree(ground: Ground):
    git(ground.repository, "checkout", "-qb", "side")
    (ground.repository / "a.txt").write_text("side\n")
    committed(ground.repository)
    git(ground.repository, "checkout", "-q", "main")
    (ground.repository / "a.txt").write_text("main\n")
    committed(ground.repository)
    merged = subprocess.run(["git", "merge", "side"], cwd=ground.repository, capture_output=True, check=False)
    assert merged.returncode == 1
    branch = ground.delivered(ground.run())
    assert ground.content(branch, "a.txt") == b"main\n"
    taken = ground.delivered(ground.run("--base", "worktree"))
    assert b"<<<<<<<" in ground.content(taken, "a.txt")  # as asked: the files as they are


def test_a_folder_whose_name_has_a_line_break_is_refused(tmp_path: Path):
    ground = Ground(tmp_path, repository(tmp_path / "pro\nject"))
    ground.ask("run", "-t", "x").refused("line break", "rename")


def test_a_folder_with_an_odd_name_is_a_place_like_any_other(tmp_path: Path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \x1b[31m'; \xe2\x80\xa8 $(touch x)"))
    ground = Ground(tmp_path, repository(folder))
    assert ground.content(ground.delivered(ground.run()), "made.txt") == b"done\n"
    assert b"\x1b" not in ground.ask("doctor").out


def test_replaced_objects_and_grafts_are_not_what_is_judged(ground: Ground):
    real = git(ground.repository, "rev-parse", "HEAD:a.txt")
    (ground.root / "other").write_text("replaced\n")
    other = git(ground.repository, "hash-object", "-w", str(ground.root / "other"))
    git(ground.repository, "replace", real, other)
    (ground.repository / ".git/info").mkdir(exist_ok=True)
    head = git(ground.repository, "rev-parse", "HEAD")
    (ground.repository / ".git/info/grafts").write_text(f"{head}\n")
    ground.pipeline(gate="test -s made.txt && grep -q one a.txt")
    said = ground.run()
    assert git(ground.repository, "--no-replace-objects", "show", f"{ground.delivered(said)}:a.txt") == "one"
