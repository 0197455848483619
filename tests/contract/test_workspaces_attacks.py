"""What an agent can do from a linked git worktree, tried from a place: each of it is harmless here.

Every test runs the real attack and then all that Interlock does afterwards: the snapshot, a clean checkout,
the next attempt, delivery. A file that an attacker's program would write shows whether it ran.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, commit_all, fingerprint, git, make_world, write

from interlock.ports import Candidate, Checkout, CheckoutSpec, Stamp, UnfitTree


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """A program that leaves `ran` beside itself."""
    program = tmp_path / "payload"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat >/dev/null 2>&1\nexit 0\n")
    program.chmod(0o755)
    return program


def all_that_follows(world: World, checkout: Checkout, base: str, number: int = 1) -> Candidate:
    """Everything that Interlock does with what an attempt left."""
    candidate = world.snapshot(checkout, base, number)
    world.workspaces.changes(base, candidate.commit)
    world.workspaces.patch(base, candidate.commit)
    with world.workspaces.clean_checkout(candidate.commit, base, CheckoutSpec()) as clean:
        assert git(clean.tree, "rev-parse", "HEAD").strip() == candidate.commit
    world.workspaces.wipe(world.open(candidate.commit, number + 1))
    world.workspaces.merge([base, candidate.commit], Stamp("m", 1), f"refs/interlock/run1/join/{number}.0")
    world.deliver(candidate.commit, base, f"out-{number}", Stamp("d", 1), [], sign=False)
    world.workspaces.wipe(checkout)
    return candidate


def test_fsmonitor_and_other_programs_in_its_configuration_never_run(world: World, payload: Path) -> None:
    base = world.base().commit
    checkout = world.open(base)
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "diff.external", "core.editor", "gpg.program"):
        git(checkout.tree, "config", name, str(payload))
    git(checkout.tree, "config", "filter.x.clean", str(payload))
    git(checkout.tree, "config", "filter.x.smudge", str(payload))
    git(checkout.tree, "config", "merge.x.driver", str(payload))
    git(checkout.tree, "config", "diff.x.textconv", str(payload))
    write(checkout.tree, {".gitattributes": "* filter=x merge=x diff=x\n", "a.txt": "changed\n"})
    all_that_follows(world, checkout, base)
    assert not (payload.parent / "ran").exists()


def test_hooks_never_run(world: World, payload: Path) -> None:
    base = world.base().commit
    checkout = world.open(base)
    hooks = checkout.tree / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "pre-commit", "post-index-change", "post-merge", "update"):
        (hooks / name).symlink_to(payload)
    write(checkout.tree, {"a.txt": "changed\n"})
    all_that_follows(world, checkout, base)
    assert not (payload.parent / "ran").exists()


def test_the_users_hooks_do_not_run_at_delivery(world: World, payload: Path) -> None:
    for name in ("reference-transaction", "post-checkout", "post-update", "pre-receive", "update", "post-receive"):
        (world.repository / ".git/hooks").mkdir(exist_ok=True)
        (world.repository / ".git/hooks" / name).symlink_to(payload)
    git(world.repository, "config", "core.hooksPath", ".git/hooks")
    git(world.repository, "config", "core.fsmonitor", str(payload))
    base = world.base().commit
    (payload.parent / "ran").unlink(missing_ok=True)  # import is the user's own, as their `git status` is
    checkout = world.open(base)
    write(checkout.tree, {"a.txt": "changed\n"})
    all_that_follows(world, checkout, base)
    assert not (payload.parent / "ran").exists()


def test_refs_it_moves_are_its_own(world: World) -> None:
    base = world.base().commit
    accepted = world.attempted({"a.txt": "accepted\n"}, base, 1).commit
    checkout = world.open(accepted, 2)
    write(checkout.tree, {"a.txt": "evil\n"})
    evil = commit_all(checkout.tree, "evil")
    for ref in ("refs/interlock/run1/code/1.1", "refs/heads/base", "refs/heads/main"):
        git(checkout.tree, "update-ref", ref, evil)
    git(checkout.tree, "checkout", "-q", "-B", "work", evil)
    all_that_follows(world, checkout, accepted, 2)
    assert world.in_store("rev-parse", "refs/interlock/run1/code/1.1").strip() == accepted
    assert not world.workspaces.has(evil)
    assert git(world.repository, "cat-file", "-t", evil, check=False) == ""


def test_replaced_objects_are_not_looked_at(world: World) -> None:
    base = world.base()
    checkout = world.open(base.commit)
    write(checkout.tree, {"a.txt": "replaced\n"})
    commit_all(checkout.tree, "other files")
    git(checkout.tree, "replace", base.tree, "HEAD^{tree}")
    git(checkout.tree, "reset", "-q", "--hard", base.commit)
    write(checkout.tree, {"b.txt": "b\n"})
    git(world.root, f"--git-dir={world.store}", "replace", base.tree, git_empty_tree(world))  # even in the store
    candidate = world.snapshot(checkout, base.commit)
    fresh = world.open(candidate.commit, 2)
    assert (fresh.tree / "b.txt").exists()
    assert (fresh.tree / "src/lib.py").exists()


def git_empty_tree(world: World) -> str:
    return world.in_store("hash-object", "-t", "tree", "-w", "/dev/null").strip()


def test_overwritten_objects_are_its_own(world: World) -> None:
    base = world.base().commit
    checkout = world.open(base)
    files = [path for path in (checkout.tree / ".git").rglob("*") if path.is_file()]
    store = {path.stat().st_ino for path in world.store.rglob("*") if path.is_file()}
    user = {path.stat().st_ino for path in (world.repository / ".git").rglob("*") if path.is_file()}
    before = fingerprint(world.store / "objects"), fingerprint(world.store / "interlock/kits")
    for path in files:
        assert path.stat().st_ino not in store | user, f"{path} is linked to ours"
        path.chmod(0o644)
        path.write_bytes(b"garbage")
    assert (fingerprint(world.store / "objects"), fingerprint(world.store / "interlock/kits")) == before
    (checkout.tree / "a.txt").write_text("changed\n")
    all_that_follows(world, checkout, base)
    assert world.in_store("fsck", "--full", "--no-dangling").strip() == ""


def test_excludes_and_assume_unchanged_hide_nothing(world: World) -> None:
    base = world.base().commit
    checkout = world.open(base)
    (checkout.tree / ".git/info/exclude").write_text("*\n")
    git(checkout.tree, "config", "core.excludesFile", str(checkout.tree / ".git/info/exclude"))
    git(checkout.tree, "update-index", "--assume-unchanged", "a.txt")
    git(checkout.tree, "update-index", "--skip-worktree", "run.sh")
    write(checkout.tree, {"a.txt": "hidden\n", "run.sh": "hidden\n", "new.py": "hidden\n"})
    candidate = all_that_follows(world, checkout, base)
    assert {change.path for change in world.workspaces.changes(base, candidate.commit)} == {"a.txt", "run.sh", "new.py"}


def test_a_swapped_git_file_leads_nowhere(world: World, tmp_path: Path, payload: Path) -> None:
    base = world.base().commit
    evil = tmp_path / "evil"
    evil.mkdir()
    git(evil, "init", "-q")
    git(evil, "config", "core.fsmonitor", str(payload))
    for swapped in (f"gitdir: {evil}/.git", f"gitdir: {world.store}"):
        checkout = world.open(base)
        subprocess.run(["rm", "-rf", ".git"], cwd=checkout.tree, check=True)
        (checkout.tree / ".git").write_text(swapped)
        assert world.snapshot(checkout, base).tree == world.workspaces.import_base().tree
    checkout = world.open(base)
    subprocess.run(["rm", "-rf", ".git"], cwd=checkout.tree, check=True)
    (checkout.tree / ".git").symlink_to(evil / ".git")
    all_that_follows(world, checkout, base)
    assert not (payload.parent / "ran").exists()
    assert (evil / ".git/config").exists()


def test_a_planted_repository_is_refused_and_never_entered(world: World, payload: Path) -> None:
    base = world.base().commit
    checkout = world.open(base)
    planted = checkout.tree / "src/planted"
    planted.mkdir()
    git(planted, "init", "-q")
    git(planted, "config", "core.fsmonitor", str(payload))
    git(planted, "commit", "-q", "--allow-empty", "-m", "planted")
    git(checkout.tree, "add", "-A", "-f")
    (payload.parent / "ran").unlink(missing_ok=True)  # its own git ran it, for itself
    with pytest.raises(UnfitTree, match="a repository inside the tree"):
        world.snapshot(checkout, base)
    world.workspaces.wipe(checkout)
    assert not (payload.parent / "ran").exists()


def test_gc_in_its_place_takes_no_candidate_away(world: World) -> None:
    base = world.base().commit
    first = world.attempted({"a.txt": "first\n"}, base, 1).commit
    checkout = world.open(base, 2)
    git(checkout.tree, "reflog", "expire", "--expire=now", "--all")
    git(checkout.tree, "gc", "-q", "--prune=now")
    all_that_follows(world, checkout, base, 2)
    assert world.workspaces.read(first, "a.txt", 100) == b"first\n"


def test_locks_and_a_moved_worktree_stop_nobody(world: World, tmp_path: Path) -> None:
    base = world.base().commit
    checkout = world.open(base)
    for lock in ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"):
        (checkout.tree / ".git" / lock).write_text("")
    subprocess.run(["git", "config", "-f", ".git/other", "core.worktree", str(tmp_path)], cwd=checkout.tree, check=True)
    (checkout.tree / ".git/other").replace(checkout.tree / ".git/config")
    (checkout.tree / "a.txt").write_text("changed\n")
    other = world.open(base, 5)
    all_that_follows(world, checkout, base)
    assert git(other.tree, "status", "--porcelain") == ""


def test_other_attempts_and_the_store_are_not_to_be_seen_from_its_git(world: World) -> None:
    base = world.base().commit
    world.attempted({"a.txt": "the rejected one\n"}, base, 1)
    checkout = world.open(base, 2)
    everything = git(checkout.tree, "cat-file", "--batch-all-objects", "--batch")
    assert "the rejected one" not in everything
    assert "the secret of history" not in everything
    assert git(checkout.tree, "worktree", "list").count("\n") == 1
    assert git(checkout.tree, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/base", "refs/heads/work"]
    assert not (checkout.tree / ".git/objects/info/alternates").exists()
    assert str(world.store) not in "".join(
        path.read_text(errors="replace") for path in (checkout.tree / ".git").rglob("*") if path.is_file()
    )


def test_git_variables_of_a_hook_do_not_reach_our_git(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, payload: Path
) -> None:
    before = fingerprint(world.repository / ".git")
    trap = tmp_path / "trap"
    trap.mkdir()
    git(trap, "init", "-q")
    empty = fingerprint(trap)
    named = {
        "GIT_DIR": f"{trap}/.git", "GIT_WORK_TREE": str(trap), "GIT_INDEX_FILE": f"{trap}/.git/index",
        "GIT_OBJECT_DIRECTORY": f"{trap}/.git/objects", "GIT_PREFIX": "x/", "GIT_EXTERNAL_DIFF": str(payload),
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": str(payload),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={payload}'", "GIT_NAMESPACE": "x", "GIT_QUARANTINE_PATH": "x",
    }  # fmt: skip
    with monkeypatch.context() as patch:
        for name, value in named.items():
            patch.setenv(name, value)
        started = make_world(tmp_path / "hooked", world.repository)
        environ = dict(os.environ)
    assert environ["GIT_DIR"] == f"{trap}/.git"
    with started.workspaces:
        base = started.base().commit
        checkout = started.open(base)
        write(checkout.tree, {"a.txt": "changed\n"})
        started.snapshot(checkout, base)
        started.workspaces.import_base(worktree=True)
    assert fingerprint(trap) == empty
    assert fingerprint(world.repository / ".git") == before
    assert not (payload.parent / "ran").exists()
