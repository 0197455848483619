"""Delivery: a branch in the user's repository, created once, and nothing else there."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, commit_all, fingerprint, git, make_world, write

from interlock.ports import DeliveryRefused, InfrastructureError, Stamp
from interlock.workspaces import GitWorkspaces

DONE = Stamp("Make it so\n\nAll of it.", 1_700_000_000, "")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Who the user is stands in the repository alone."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


@pytest.fixture
def accepted(world: World) -> str:
    files: dict[str, str | bytes] = {"a.txt": "delivered\n", ".interlock/artifacts/code/plan.md": "p"}
    return world.attempted(files, world.base().commit, 1).commit


def deliver(world: World, commit: str, branch: str = "interlock/run1", **more: object) -> str:
    stamp = more.get("stamp", DONE)
    series = more.get("series", ())
    assert isinstance(stamp, Stamp)
    assert isinstance(series, tuple | list)
    base = world.workspaces.import_base("main").commit
    return world.deliver(commit, base, branch, stamp, series, sign=bool(more.get("sign")))


def test_one_commit_on_the_base_without_artifacts(world: World, accepted: str) -> None:
    tip = deliver(world, accepted)
    assert git(world.repository, "rev-parse", "interlock/run1").strip() == tip
    assert git(world.repository, "log", "--format=%an <%ae> %at %s", "main..interlock/run1").splitlines() == [
        "Ursula User <ursula@example.invalid> 1700000000 Make it so"
    ]
    assert git(world.repository, "diff", "--name-only", "main", tip).split() == ["a.txt"]
    assert git(world.repository, "fsck", "--full", "--strict", "--no-dangling") == ""


def test_nothing_but_the_branch_and_its_objects_changes(world: World, accepted: str) -> None:
    world.base()
    before = fingerprint(world.repository)
    deliver(world, accepted)
    after = fingerprint(world.repository)
    new = {path for path in after if path not in before and "folder" not in after[path]}
    assert {path for path in new if not path.startswith(".git/objects/")} == {
        ".git/refs/heads/interlock/run1",
        ".git/logs/refs/heads/interlock/run1",
    }
    assert all(after[path] == said for path, said in before.items() if "folder" not in said)


FAILING = """\
#!/bin/sh
case " $* " in
*" $FAILING "*)
    echo half > "${GIT_OBJECT_DIRECTORY:-$OBJECTS}/tmp_obj_x"
    echo "error: fsync error on loose object file: Input/output error" >&2
    exit 128 ;;
esac
exec "$GIT" "$@"
"""


@pytest.mark.parametrize("failing", ["unpack-objects", "index-pack", "commit-tree"])
def test_a_git_that_fails_leaves_nothing_in_the_users_repository(
    world: World, tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its temporary files it leaves where it was."""
    monkeypatch.setattr("interlock.workspaces.delivery._KEEP_PACK", 0 if failing == "index-pack" else 500)
    accepted = world.attempted({"a.txt": "delivered\n"}, world.base().commit, 1).commit
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(FAILING)
    (tmp_path / "bin/git").chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "FAILING": failing,
        "GIT": str(shutil.which("git")),
        "OBJECTS": str(world.repository / ".git/objects"),
    }
    before = sorted(fingerprint(world.repository))
    with (
        GitWorkspaces(world.store, world.places, world.repository, environ) as workspaces,
        pytest.raises((InfrastructureError, DeliveryRefused), match="Input/output error"),
    ):
        workspaces.send(accepted, world.base().commit, "b", DONE, (), sign=failing == "commit-tree")
    assert sorted(fingerprint(world.repository)) == before


@pytest.mark.parametrize(
    ("left", "age_s", "dead"),
    [("COMMIT\n", 0, True), ("", 3600, True), ("", 60, False), ("", -3600, False), ("0" * 40, 3600, False)],
)
def test_a_lock_that_a_dead_git_left_at_the_branch(
    world: World, accepted: str, left: str, age_s: float, dead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one is also what a git at work holds, from `prepare` to `commit` of `git update-ref --stdin`."""
    monkeypatch.setattr("interlock.workspaces.delivery._LOCK_S", 0.01)
    tip = world.workspaces.send(accepted, world.base().commit, "a/b", DONE, (), sign=False)
    lock = world.repository / ".git/refs/heads/a/b.lock"
    lock.parent.mkdir()
    lock.write_text(left.replace("COMMIT", tip))
    at = time.time() - age_s
    os.utime(lock, (at, at))
    if not dead:
        with pytest.raises(InfrastructureError, match=r"Unable to create '.*/a/b\.lock': File exists"):
            world.workspaces.create_branch("a/b", tip)
        assert lock.exists(), "somebody else's"
        return
    world.workspaces.create_branch("a/b", tip)
    assert git(world.repository, "rev-parse", "a/b").strip() == tip
    assert not lock.exists()


def test_a_branch_that_somebody_has_built_upon_was_delivered(world: World, accepted: str) -> None:
    tip = deliver(world, accepted, "b")
    git(world.repository, "checkout", "-q", "b")
    git(world.repository, "commit", "-q", "--allow-empty", "-m", "on top")
    world.workspaces.create_branch("b", tip)
    assert git(world.repository, "rev-parse", "b^").strip() == tip
    git(world.repository, "commit", "-q", "--allow-empty", "--amend", "-m", "on top")
    git(world.repository, "reset", "-q", "--hard", "main")
    with pytest.raises(DeliveryRefused, match="which is not what is delivered"):
        world.workspaces.create_branch("b", tip)


@pytest.mark.parametrize("said", ["+", "", "+COMMIT", "OTHER"])
def test_what_was_not_delivered_here_is_not_pushed(world: World, accepted: str, tmp_path: Path, said: str) -> None:
    """A history that a server tells may name anything as delivered; `+` would delete or replace a branch there."""
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(world.repository, "remote", "add", "there", str(tmp_path / "remote.git"))
    git(world.repository, "push", "-q", "there", "main")
    before = git(tmp_path / "remote.git", "for-each-ref")
    tip = deliver(world, accepted, "b")
    commit = said.replace("COMMIT", tip).replace("OTHER", accepted)
    for branch in ("main", "b", "new"):
        with pytest.raises(InfrastructureError, match=r"no branch that was delivered|is not here with commit"):
            world.workspaces.propose(commit, "there", branch)
    assert git(tmp_path / "remote.git", "for-each-ref") == before
    world.workspaces.propose(tip, "there", "b")
    assert git(tmp_path / "remote.git", "rev-parse", "b").strip() == tip


@pytest.mark.parametrize("keep", [0, 500])
def test_what_is_there_already_is_not_written_again(world: World, keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.workspaces.delivery._KEEP_PACK", keep)
    accepted = world.attempted({"a.txt": "delivered\n"}, world.base().commit, 1).commit
    base = world.base().commit
    for _ in range(2):
        assert world.workspaces.send(accepted, base, "b", DONE, (), sign=False)
        assert git(world.repository, "fsck", "--full", "--strict", "--no-dangling", "--unreachable")
    assert not [path for path in (world.repository / ".git/objects").rglob("*") if path.name.startswith("tmp_")]
    (world.repository / ".git/objects/tmp_objdir-interlock-dead").mkdir()
    git(world.repository, "prune", "--expire=now")
    assert not (world.repository / ".git/objects/tmp_objdir-interlock-dead").exists(), "what a kill leaves, gc removes"


@pytest.mark.parametrize("left", [0, 20])
@pytest.mark.parametrize("keep", [0, 500])
def test_what_is_there_by_name_alone_is_replaced(
    world: World, accepted: str, keep: int, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a power loss leaves it. What is whole stays the same file, however it is compressed."""
    monkeypatch.setattr("interlock.workspaces.delivery._KEEP_PACK", keep)
    base = world.base().commit
    objects = world.repository / ".git/objects"
    before = {path for path in objects.rglob("*") if path.is_file()}
    world.workspaces.send(accepted, base, "b", DONE, (), sign=False)
    made = sorted(path for path in objects.rglob("*") if path.is_file() and path not in before)
    damaged, whole = made[:-1], made[-1]
    if keep:
        whole.chmod(0o644)
        whole.write_bytes(zlib.compress(zlib.decompress(whole.read_bytes()), 0))
    kept = whole.stat().st_ino, whole.read_bytes()
    for path in damaged:
        path.chmod(0o644)
        os.truncate(path, left)
    tip = deliver(world, accepted, "b")
    assert git(world.repository, "fsck", "--full", "--strict", "--no-dangling") == ""
    git(world.repository, "checkout", "-q", "b")
    assert git(world.repository, "rev-parse", "HEAD").strip() == tip
    assert (whole.stat().st_ino, whole.read_bytes()) == kept


def test_what_cannot_be_read_back_is_not_delivered(
    world: World, accepted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.workspaces.delivery._is_whole", lambda *_: True)
    (world.root / "blob").write_text("delivered\n")
    blob = git(world.repository, "hash-object", "-w", str(world.root / "blob")).strip()
    loose = world.repository / ".git/objects" / blob[:2] / blob[2:]
    loose.chmod(0o644)
    for damaged in (b"", zlib.compress(b"blob 10\0delivereD\n")):
        loose.write_bytes(damaged)
        with pytest.raises(InfrastructureError, match=r"cannot be read back: check .* `git fsck`") as raised:
            world.workspaces.send(accepted, world.base().commit, "b", DONE, (), sign=False)
        assert raised.value.undone
    assert git(world.repository, "branch", "--list", "b") == ""


def test_doing_it_again_is_doing_it_once(world: World, accepted: str) -> None:
    tip = deliver(world, accepted)
    git(world.repository, "checkout", "-q", "interlock/run1")
    before = fingerprint(world.repository)
    assert deliver(world, accepted) == tip
    assert fingerprint(world.repository) == before


def test_an_author_of_the_pipelines_choice(world: World, accepted: str) -> None:
    tip = deliver(world, accepted, stamp=replace(DONE, author="Bot <bot@example.invalid>"))
    assert git(world.repository, "log", "-1", "--format=%an <%ae>", tip).strip() == "Bot <bot@example.invalid>"


def test_a_branch_that_is_elsewhere_is_refused(world: World, accepted: str) -> None:
    git(world.repository, "branch", "taken")
    with pytest.raises(DeliveryRefused, match="git branch -m taken NEW"):
        deliver(world, accepted, "taken")
    assert git(world.repository, "rev-parse", "taken") == git(world.repository, "rev-parse", "main")


def test_nobody_is_sent_to_rename_what_is_checked_out(world: World, accepted: str) -> None:
    with pytest.raises(DeliveryRefused, match=r"is checked out in \S+: switch to another one there, then delete"):
        deliver(world, accepted, "main")


def test_a_branch_that_is_checked_out_is_refused_even_unborn(world: World, accepted: str, tmp_path: Path) -> None:
    git(world.repository, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    git(tmp_path / "linked", "checkout", "-q", "--orphan", "unborn")
    with pytest.raises(DeliveryRefused, match=r"checked out in .*linked"):
        deliver(world, accepted, "unborn")


def test_a_branch_in_the_way_of_the_name_is_refused(world: World, accepted: str) -> None:
    git(world.repository, "branch", "interlock")
    with pytest.raises(DeliveryRefused, match="rename the conflicting branch"):
        deliver(world, accepted)


@pytest.mark.parametrize("name", ["", "-x", "a..b", "a b", "a/.b", "x.lock", "/a", "a/", "a//b", "@", "a~1", "a\nb"])
def test_a_bad_name_is_for_a_person_to_mend(world: World, accepted: str, name: str) -> None:
    with pytest.raises(DeliveryRefused, match=r"deliver\.branch"):
        deliver(world, accepted, name)


def test_a_locked_branch_can_be_tried_again(world: World, accepted: str) -> None:
    lock = world.repository / ".git/refs/heads/locked.lock"
    lock.write_text("1" * 40)
    with pytest.raises(InfrastructureError, match="locked"):
        deliver(world, accepted, "locked")
    lock.unlink()
    deliver(world, accepted, "locked")


def test_into_a_shallow_clone(world: World, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{world.repository}", "shallow")
    shallow = make_world(tmp_path / "w", tmp_path / "shallow")
    with shallow.workspaces:
        base = shallow.base().commit
        candidate = shallow.attempted({"a.txt": "s\n"}, base, 1).commit
        tip = shallow.deliver(candidate, base, "out", DONE, [], sign=False)
    assert git(tmp_path / "shallow", "show", f"{tip}:a.txt") == "s\n"
    assert git(tmp_path / "shallow", "fsck", "--no-dangling") == ""


def test_from_a_linked_worktree(world: World, tmp_path: Path) -> None:
    git(world.repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    linked = make_world(tmp_path / "w", tmp_path / "linked")
    with linked.workspaces:
        base = linked.base().commit
        candidate = linked.attempted({"a.txt": "l\n"}, base, 1).commit
        tip = linked.deliver(candidate, base, "out", DONE, [], sign=False)
    assert git(world.repository, "rev-parse", "out").strip() == tip


def test_many_objects(world: World) -> None:
    base = world.base().commit
    candidate = world.attempted({f"n/{number}": str(number) for number in range(700)}, base, 1).commit
    tip = deliver(world, candidate)
    assert git(world.repository, "ls-tree", "-r", "--name-only", tip).count("n/") == 700
    assert git(world.repository, "fsck", "--full", "--no-dangling") == ""


def test_a_series_has_a_commit_for_each_handoff(world: World) -> None:
    base = world.base().commit
    plan = world.attempted({".interlock/artifacts/plan/plan.md": "p"}, base, 1, "plan").commit
    left = world.attempted({"left": "l\n"}, plan, 1, "left").commit
    right = world.attempted({"a.txt": "right\n"}, plan, 1, "right").commit
    joined = world.workspaces.merge([left, right], DONE, "refs/interlock/run1/join/1.0").commit
    last = world.attempted({"last": "z\n"}, joined, 1, "last").commit
    tip = deliver(world, last, series=[plan, left, right, last])
    names = git(world.repository, "log", "--reverse", "--name-only", "--format=", f"main..{tip}").split()
    assert names == ["left", "a.txt", "last"]
    assert git(world.repository, "rev-list", "--count", f"main..{tip}").strip() == "3"
    assert deliver(world, last, series=[plan, left, right, last]) == tip


def test_signed_by_the_users_own_key(world: World, accepted: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    made = subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=False)
    if made.returncode:
        pytest.skip("no ssh-keygen here")
    (tmp_path / "allowed").write_text(f"ursula@example.invalid {key.with_suffix('.pub').read_text()}")
    git(world.repository, "config", "gpg.format", "ssh")
    git(world.repository, "config", "user.signingKey", str(key))
    git(world.repository, "config", "gpg.ssh.allowedSignersFile", str(tmp_path / "allowed"))
    tip = deliver(world, accepted, sign=True)
    git(world.repository, "verify-commit", tip)
    assert git(world.repository, "log", "-1", "--format=%at %cn %s", tip) == "1700000000 Ursula User Make it so\n"
    assert deliver(world, accepted, sign=True) == tip


def test_a_failing_signature_is_refused_and_leaves_no_branch(world: World, accepted: str) -> None:
    git(world.repository, "config", "gpg.program", "/bin/false")
    with pytest.raises(DeliveryRefused, match="signing failed"):
        deliver(world, accepted, sign=True)
    assert git(world.repository, "branch", "--list", "interlock/*") == ""


def test_a_base_that_moved_does_not_matter(world: World, accepted: str) -> None:
    base = world.base().commit
    write(world.repository, {"a.txt": "moved on\n"})
    commit_all(world.repository)
    tip = world.deliver(accepted, base, "out", DONE, [], sign=False)
    assert git(world.repository, "rev-parse", f"{tip}^").strip() == base


def test_an_identity_that_nobody_configured(world: World, accepted: str, tmp_path: Path) -> None:
    git(world.repository, "config", "--unset", "user.name")
    git(world.repository, "config", "--unset", "user.email")
    git(world.repository, "config", "user.useConfigOnly", "true")
    environ = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1"}
    assert environ["HOME"] != "/root"
    tip = deliver(world, accepted)
    assert git(world.repository, "log", "-1", "--format=%an", tip).strip()
