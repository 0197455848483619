"""Delivery: the accepted tree becomes a branch of the user's repository, and nothing else there changes.

Rule: objects are written and synced first; then the branch is created, with zero as its old value. Hooks and
configuration are off, except where the user's own are needed (identity, signing). Delivery is idempotent.

Rule: new objects are first written to a quarantine folder beside the user's objects, and moved among them when all are
complete, so a failure leaves nothing. After a kill that folder stays; its name lets `git gc` remove it. An object that
exists by name may still be empty after a power loss.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.ports import DeliveryRefused, InfrastructureError, Stamp, disk
from interlock.ports.disk import disk_error
from interlock.process import Captured
from interlock.text.names import is_branch
from interlock.workspaces import storage, trees
from interlock.workspaces.base import Origin
from interlock.workspaces.commits import COMMITTER, identity, write_commit
from interlock.workspaces.git import Git, Trust, complaint, filters_off, identities_in
from interlock.workspaces.objects import CHUNK, Commit, Objects, commit_object
from interlock.workspaces.snapshot import ARTIFACTS
from interlock.workspaces.trees import Entry

_LOCK_S = 1.0  # git holds a lock file with our commit in it for milliseconds
_EMPTY_LOCK_S = 600.0  # the caller of `update-ref --stdin` holds an empty one between `prepare` and `commit`
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEEP_PACK = 500  # objects; this many or more stay in a pack


@dataclass(frozen=True, slots=True)
class Delivery:
    """What to deliver. `series` are the accepted commits in order; if it is empty, the delivery is a single commit.
    `export` writes files that are needed besides the objects, before these become visible."""

    commit: str
    base: str
    branch: str
    stamp: Stamp
    series: Sequence[str] = ()
    sign: bool = False
    export: Callable[[], None] = lambda: None


def send(git: Git, objects: Objects, origin: Origin, environ: Mapping[str, str], delivery: Delivery) -> str:
    """Write the objects that the branch needs, and return its commit. Raises DeliveryRefused."""
    if not is_branch(delivery.branch):
        words = "is not a valid branch name (`git help check-ref-format`): deliver under another name"
        raise DeliveryRefused(f"deliver.branch: {delivery.branch!r} {words}")
    user = Git(environ, origin.common_dir)
    state = _state(user, delivery.branch)
    planned = _planned(git, objects, delivery)
    own = identities_in(origin.git_dir, environ) if not delivery.stamp.author else ("", "")
    commits = _written(objects, planned, delivery, own)
    if state.commit:
        tip = _the_same(user, state, commits, delivery)
        delivery.export()
        return tip
    with _undone():
        _refuse_checked_out(delivery.branch, state)
        wanted = _wanted(user, objects, commits, delivery.base)
        pack = git.call("pack-objects", "-q", "--stdout", stdin="".join(f"{oid}\n" for oid in wanted).encode()).out
        with quarantine(origin.common_dir / "objects") as quarantined:
            taking = ["unpack-objects", "-q"] if len(wanted) < _KEEP_PACK else ["index-pack", "--stdin"]
            user.call(*taking, stdin=pack, extra=quarantined)
            tip = _signed(origin, environ, commits, quarantined) if delivery.sign else commits[-1].oid
            delivery.export()
        _read_back(Objects(user, objects.algorithm), [*wanted, tip])
        return tip


def create_branch(origin: Origin, environ: Mapping[str, str], branch: str, commit: str) -> None:
    """Create the branch for the objects that were sent. If git fails, the state of the branch decides. A branch with
    commits on top of ours counts as delivered."""
    user = Git(environ, origin.common_dir)
    state = _state(user, branch)
    if not _shows(user, state, commit):
        if not state.commit:
            _refuse_checked_out(branch, state)
        done = _created(user, branch, commit)
        if done.code and _removed_stale_lock(origin.common_dir / f"refs/heads/{branch}.lock", commit):
            done = _created(user, branch, commit)
        state = _state(user, branch)
        if not _shows(user, state, commit):
            raise _not_created(branch, state, complaint(done))
    storage.flush(origin.common_dir)


def require_delivered(origin: Origin, environ: Mapping[str, str], branch: str, commit: str) -> None:
    """Raises InfrastructureError unless the branch is here, and has the commit."""
    if not is_branch(branch) or _COMMIT.fullmatch(commit) is None:
        raise InfrastructureError(f"{branch!r:.200} at {commit!r:.80} is no branch that was delivered", permanent=True)
    user = Git(environ, origin.common_dir)
    if not _shows(user, _state(user, branch), commit):
        raise InfrastructureError(
            f"branch {branch} is not here with commit {commit[:12]}: make it again (git branch {branch} {commit[:12]})",
            permanent=True,
        )


@dataclass(frozen=True, slots=True)
class _BranchState:
    """The state of the branch: its commit, and the worktree where it is checked out. Each may be empty."""

    commit: str = ""
    worktree: str = ""


def _state(user: Git, branch: str) -> _BranchState:
    """The state of `branch`, which may be checked out and have no commit yet."""
    ref = f"refs/heads/{branch}"
    found = user.call("rev-parse", "--verify", "-q", ref, codes=(0, 1)).out.decode().strip()
    worktree = ""
    for record in os.fsdecode(user.call("worktree", "list", "--porcelain", "-z").out).split("\0\0"):
        lines = record.split("\0")
        if f"branch {ref}" in lines:
            worktree = lines[0].removeprefix("worktree ")
    return _BranchState(found, worktree)


def _shows(user: Git, state: _BranchState, commit: str) -> bool:
    if not state.commit or state.commit == commit:
        return state.commit == commit
    return not user.call("merge-base", "--is-ancestor", commit, state.commit, codes=(0, 1, 128)).code


@contextlib.contextmanager
def _undone() -> Iterator[None]:
    """The branch did not exist: an error within leaves nothing of the delivery."""
    try:
        yield
    except InfrastructureError as error:
        error.undone = True
        raise


def _refuse_checked_out(branch: str, state: _BranchState) -> None:
    if state.worktree:
        raise DeliveryRefused(f"branch {branch} is checked out in {state.worktree}: switch it to another branch")


def planned_trees(git: Git, objects: Objects, commit: str, base: str, series: Sequence[str]) -> tuple[str, ...]:
    """The tree of each commit on `base` that a branch of `commit` has, in order."""
    request = Delivery(commit, base, "", Stamp("", 0), series)
    return tuple(tree for tree, _, _ in _planned(git, objects, request))


def _planned(git: Git, objects: Objects, delivery: Delivery) -> list[tuple[str, str, str]]:
    """Tree, message and author of each commit, in order. The last tree is the accepted tree."""
    wanted = without_artifacts(objects, objects.commit(delivery.commit).tree, delivery.base)
    planned: list[tuple[str, str, str]] = []
    tree = objects.commit(delivery.base).tree
    for oid in delivery.series:
        handoff = objects.commit(oid)
        applied = without_artifacts(objects, _applied(git, objects, tree, handoff), delivery.base)
        if applied != tree:
            planned.append((applied, handoff.message, handoff.author.partition("> ")[0] + ">"))
            tree = applied
    if tree != wanted or not planned:
        planned.append((wanted, delivery.stamp.message, ""))
    return planned


def without_artifacts(objects: Objects, tree: str, base: str) -> str:
    """The tree with `.interlock/artifacts` as in the base."""
    listing = objects.listing(tree)
    then = objects.listing(objects.commit(base).tree)
    edits: dict[bytes, Entry | None] = {}
    for path, (_, old) in trees.differences(listing, then).items():
        if path.startswith(ARTIFACTS + b"/"):
            edits[path] = old
    return objects.write_edited(tree, edits)


def _applied(git: Git, objects: Objects, tree: str, handoff: Commit) -> str:
    """The handoff's changes on top of `tree`. If they conflict, `tree` itself: the last commit corrects it."""
    if not handoff.parents:
        return handoff.tree
    before = objects.commit(handoff.parents[0]).tree
    if before == tree:
        return handoff.tree
    at = Stamp("interlock: series", 0)
    root = write_commit(objects, before, (), at)
    ours = write_commit(objects, tree, (root,), at)
    theirs = write_commit(objects, handoff.tree, (root,), at)
    done = git.call("merge-tree", "--write-tree", "--no-messages", ours, theirs, codes=(0, 1))
    return tree if done.code else done.out.decode().strip()


def _written(
    objects: Objects, planned: list[tuple[str, str, str]], delivery: Delivery, own: tuple[str, str]
) -> list[Commit]:
    """Write the commits on the base into the store. `own` is the user's identity as author and as committer."""
    commits: list[Commit] = []
    parent = delivery.base
    date = f"{delivery.stamp.at} +0000"
    for tree, message, who in planned:
        theirs = who if who and not who.startswith("Interlock ") else own[0]
        author = identity(delivery.stamp.author or theirs or COMMITTER)
        committer = author if delivery.stamp.author else identity(own[1] or COMMITTER)
        content = commit_object(tree, (parent,), f"{author} {date}", f"{committer} {date}", message)
        parent = objects.write("commit", content)
        commits.append(objects.commit(parent))
    return commits


def _the_same(user: Git, state: _BranchState, commits: list[Commit], delivery: Delivery) -> str:
    """The commit of a branch that exists, if it is what we would create, apart from a signature."""
    if state.commit == commits[-1].oid:
        return state.commit
    if delivery.sign and _unsigned(user, state.commit, len(commits)) == [_signed_content(commit) for commit in commits]:
        return state.commit
    raise DeliveryRefused(
        f"branch {delivery.branch} exists at {state.commit[:12]} and would become {commits[-1].oid[:12]}: "
        f"{_in_the_way(delivery.branch, state)}"
    )


def _in_the_way(branch: str, state: _BranchState) -> str:
    """What to do with a branch that exists. One that is checked out must first be left."""
    first = f"it is checked out in {state.worktree}: switch to another one there, then " if state.worktree else ""
    return f"{first}delete or rename it (git branch -m {branch} NEW)"


def _unsigned(user: Git, commit: str, count: int) -> list[tuple[str, str]]:
    format_ = "--format=%T%x00%B%x00%x00"
    out = user.call("log", "--first-parent", f"-{count}", "--no-show-signature", format_, commit).out
    records = [record.strip("\n").partition("\0") for record in out.decode(errors="replace").split("\0\0")]
    return [(tree, message.strip("\n")) for tree, _, message in reversed(records) if tree]


def _signed_content(commit: Commit) -> tuple[str, str]:
    return commit.tree, commit.message.strip("\n")


def _wanted(user: Git, objects: Objects, commits: list[Commit], base: str) -> list[str]:
    """The objects that the user's repository lacks, given that it has the base."""
    wanted = _new_objects(objects, commits, base)
    known = user.call("cat-file", "--batch-check", stdin=f"{base}\n".encode()).out
    if known.rstrip().endswith(b"missing"):  # the base is a snapshot of the working tree, or was removed there
        snapshot = objects.commit(base)
        if not snapshot.parents or objects.lookup(snapshot.parents[0]) is None:
            raise DeliveryRefused(f"the base {base[:12]} is no longer in the repository: fetch it again")
        wanted |= _new_objects(objects, [snapshot], snapshot.parents[0])
    return sorted(wanted)


def _new_objects(objects: Objects, commits: list[Commit], base: str) -> set[str]:
    tree = objects.commit(base).tree
    known = trees.oids(objects.listing(tree), tree)
    wanted = {commit.oid for commit in commits}
    for commit in commits:
        wanted |= trees.oids(objects.listing(commit.tree), commit.tree) - known
    return wanted


def _signed(origin: Origin, environ: Mapping[str, str], commits: list[Commit], quarantined: Mapping[str, str]) -> str:
    """The same commits, signed under the user's configuration."""
    git = Git(environ, origin.git_dir, trust=Trust.USER)
    quarantined = {**quarantined, **alternates(origin.common_dir / "objects")}
    parent = commits[0].parents[0]
    for commit in commits:
        extra = {**quarantined, **_who("AUTHOR", commit.author), **_who("COMMITTER", commit.committer)}
        message = commit.message.encode("utf-8", "replace")
        done = git.call("commit-tree", "-S", commit.tree, "-p", parent, stdin=message, codes=range(256), extra=extra)
        if done.code:
            raise DeliveryRefused(f"signing failed: {complaint(done)}: fix `git commit -S`, or deliver without `sign`")
        parent = done.out.decode().strip()
    return parent


def _read_back(theirs: Objects, oids: Sequence[str]) -> None:
    """Read the objects as a checkout of the branch will read them. Raises InfrastructureError."""
    with contextlib.closing(theirs):
        try:
            theirs.verify(oids)
        except InfrastructureError as error:
            words = "the delivered objects cannot be read back: check the repository with `git fsck`"
            raise InfrastructureError(f"{words}: {error}") from error


def _who(role: str, identity_line: str) -> dict[str, str]:
    name, _, rest = identity_line.partition(" <")
    mail, _, date = rest.partition("> ")
    return {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": mail, f"GIT_{role}_DATE": f"@{date}"}


def _created(user: Git, branch: str, commit: str) -> Captured:
    user = replace(user, environ={**user.environ, "HOME": "/nonexistent"})
    who = {"GIT_COMMITTER_NAME": "Interlock", "GIT_COMMITTER_EMAIL": "interlock@localhost"}
    words = ("update-ref", "-m", "interlock: delivered", f"refs/heads/{branch}", commit, "0" * len(commit))
    return user.call(*words, codes=range(256), extra={**who, **filters_off(user)})


def _removed_stale_lock(lock: Path, commit: str) -> bool:
    """Remove the lock of a git of ours that died while it created this branch. Nobody else would write this commit, or
    hold an empty lock that long for a branch that does not exist."""
    with contextlib.suppress(OSError):
        before = lock.stat()
        content = lock.read_text("ascii", "replace").strip()
        if content == commit or (not content and time.time() - before.st_mtime > _EMPTY_LOCK_S):
            time.sleep(_LOCK_S)
            after = lock.stat()
            if (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
                lock.unlink()
                return True
    return False


def _not_created(branch: str, state: _BranchState, reason: str) -> DeliveryRefused | InfrastructureError:
    if state.commit:
        return DeliveryRefused(
            f"branch {branch} is at {state.commit[:12]}, which is not what is delivered: {_in_the_way(branch, state)}"
        )
    if "cannot lock ref" in reason and "exists" in reason and ".lock" not in reason:
        return DeliveryRefused(f"branch {branch} cannot be created: {reason}: rename the conflicting branch")
    return InfrastructureError(f"branch {branch} cannot be created: {reason}", undone=True)


# --- quarantine ------------------------------------------------------------------------------


_PREFIX = "tmp_objdir-interlock-"  # as git names its own


@contextlib.contextmanager
def quarantine(objects: Path) -> Iterator[dict[str, str]]:
    """Variables for git calls that write objects. These calls see no existing objects, so they write each one. Raises
    InfrastructureError."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=objects))
    except OSError as error:
        raise disk_error(objects, error) from error
    try:
        yield {"GIT_OBJECT_DIRECTORY": str(folder)}
        disk.sync_tree(folder)
        _release(folder, objects)
        disk.sync_tree(objects)
    except OSError as error:
        raise disk_error(objects, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alternates(objects: Path) -> dict[str, str]:
    """A variable with which a git call also reads the repository's objects."""
    return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates_entry(objects)}


def alternates_entry(folder: Path) -> str:
    """A folder as an entry of git's list of alternates. It is quoted, since a colon would end it."""
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'


def _release(folder: Path, objects: Path) -> None:
    """Move the objects out of quarantine. Packs move before their indexes, so that nothing is visible before it is
    complete. A new folder moves as git made it, with its permissions."""
    for path in sorted(folder.iterdir()):
        target = objects / path.name
        with contextlib.suppress(OSError):  # the target does not exist, or is empty
            path.rename(target)
            continue
        for file in sorted(path.iterdir(), key=_is_index):
            if not _is_whole(target / file.name, file):
                file.rename(target / file.name)


def _is_whole(existing: Path, fresh: Path) -> bool:
    """Whether the existing object has the same content."""
    with contextlib.suppress(OSError, zlib.error):
        return filecmp.cmp(existing, fresh, shallow=False) or _inflated(existing) == _inflated(fresh) != ""
    return False


def _inflated(path: Path) -> str:
    """The digest of a loose object's content, however it is compressed; empty if it is not a complete object."""
    reader, digest = zlib.decompressobj(), hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(reader.decompress(chunk))
    return digest.hexdigest() if reader.eof else ""


def _is_index(path: Path) -> bool:
    return path.suffix == ".idx"
