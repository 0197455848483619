"""Delivery: the accepted tree becomes a branch of the user's repository, and nothing else there changes.

Rule: objects first, and onto the disk; then the branch, created with its old value as zero; hooks and configuration
are off but where the user's own is asked for (identity, signing). Doing it again is the same as doing it once.

New objects of the user's repository: written beside its own, and put in among them once all are there.

Rule: whatever fails leaves nothing. After a kill the folder stays, under a name by which `git gc` removes it. What is
there by name need not be there: a power loss leaves empty files.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.core.branches import is_branch
from interlock.ports import DeliveryRefused, InfrastructureError, Stamp, disk
from interlock.ports.disk import disk_error
from interlock.process import Captured
from interlock.workspaces import storage, trees
from interlock.workspaces.base import Origin
from interlock.workspaces.commits import COMMITTER, identity, write_commit
from interlock.workspaces.git import Git, Trust, complaint, filters_off, identities_in
from interlock.workspaces.objects import CHUNK, Commit, Objects, commit_object
from interlock.workspaces.snapshot import ARTIFACTS
from interlock.workspaces.trees import Entry

_LOCK_S = 1.0  # git holds a lock with our commit in it for milliseconds
_EMPTY_LOCK_S = 600.0  # and an empty one as long as who calls `update-ref --stdin` takes between `prepare` and `commit`
_KEEP_PACK = 500  # objects; from here on they stay in a pack


@dataclass(frozen=True, slots=True)
class Parcel:
    """What to deliver. `series`: the accepted commits in their order; empty: one commit in all. `give` brings what
    lies beside the objects, before these are put in."""

    commit: str
    base: str
    branch: str
    stamp: Stamp
    series: Sequence[str] = ()
    sign: bool = False
    export: Callable[[], None] = lambda: None


def send(git: Git, objects: Objects, origin: Origin, environ: Mapping[str, str], parcel: Parcel) -> str:
    """Bring what the branch is to show, and return its commit. Raises DeliveryRefused where a person must decide."""
    if not is_branch(parcel.branch):
        words = "is no name of a branch (`git help check-ref-format`): deliver under another name"
        raise DeliveryRefused(f"deliver.branch: {parcel.branch!r} {words}")
    user = Git(environ, origin.common_dir)
    there = _there(user, parcel.branch)
    planned = _planned(git, objects, parcel)
    own = identities_in(origin.git_dir, environ) if not parcel.stamp.author else ("", "")
    commits = _written(objects, planned, parcel, own)
    if there.commit:
        tip = _the_same(user, there, commits, parcel)
        parcel.export()
        return tip
    with _undone():
        _refuse_checked_out(parcel.branch, there)
        wanted = _wanted(user, objects, commits, parcel.base)
        pack = git.call("pack-objects", "-q", "--stdout", stdin="".join(f"{oid}\n" for oid in wanted).encode()).out
        with quarantine(origin.common_dir / "objects") as quarantined:
            taking = ["unpack-objects", "-q"] if len(wanted) < _KEEP_PACK else ["index-pack", "--stdin"]
            user.call(*taking, stdin=pack, extra=quarantined)
            tip = _signed(origin, environ, commits, quarantined) if parcel.sign else commits[-1].oid
            parcel.export()
        _read_back(Objects(user, objects.algorithm), [*wanted, tip])
        return tip


def create_branch(origin: Origin, environ: Mapping[str, str], branch: str, commit: str) -> None:
    """Let the branch show what was sent. Where git fails, it is looked at what came of it. What somebody has built upon
    was delivered."""
    user = Git(environ, origin.common_dir)
    there = _there(user, branch)
    if not _shows(user, there, commit):
        if not there.commit:
            _refuse_checked_out(branch, there)
        done = _created(user, branch, commit)
        if done.code and _unlocked(origin.common_dir / f"refs/heads/{branch}.lock", commit):
            done = _created(user, branch, commit)
        there = _there(user, branch)
        if not _shows(user, there, commit):
            raise _not_created(branch, there, complaint(done))
    storage.flush(origin.common_dir)


@dataclass(frozen=True, slots=True)
class _There:
    """The branch as it is now: its commit, and where it is checked out; empty for neither."""

    commit: str = ""
    worktree: str = ""


def _there(user: Git, branch: str) -> _There:
    """One call tells both, even for a branch that is checked out and has no commit yet."""
    ref = f"refs/heads/{branch}"
    found = user.call("rev-parse", "--verify", "-q", ref, codes=(0, 1)).out.decode().strip()
    worktree = ""
    for record in os.fsdecode(user.call("worktree", "list", "--porcelain", "-z").out).split("\0\0"):
        lines = record.split("\0")
        if f"branch {ref}" in lines:
            worktree = lines[0].removeprefix("worktree ")
    return _There(found, worktree)


def _shows(user: Git, there: _There, commit: str) -> bool:
    if not there.commit or there.commit == commit:
        return there.commit == commit
    return not user.call("merge-base", "--is-ancestor", commit, there.commit, codes=(0, 1, 128)).code


@contextlib.contextmanager
def _undone() -> Iterator[None]:
    """The branch was not there: what fails in here leaves none."""
    try:
        yield
    except InfrastructureError as error:
        error.undone = True
        raise


def _refuse_checked_out(branch: str, there: _There) -> None:
    if there.worktree:
        raise DeliveryRefused(f"branch {branch} is checked out in {there.worktree}: switch it to another branch")


def _planned(git: Git, objects: Objects, parcel: Parcel) -> list[tuple[str, str, str]]:
    """Tree, message and author of each commit, in order. The last tree is the accepted one."""
    wanted = _without_artifacts(objects, objects.commit(parcel.commit).tree, parcel.base)
    planned: list[tuple[str, str, str]] = []
    tree = objects.commit(parcel.base).tree
    for oid in parcel.series:
        handoff = objects.commit(oid)
        applied = _without_artifacts(objects, _applied(git, objects, tree, handoff), parcel.base)
        if applied != tree:
            planned.append((applied, handoff.message, handoff.author.partition("> ")[0] + ">"))
            tree = applied
    if tree != wanted or not planned:
        planned.append((wanted, parcel.stamp.message, ""))
    return planned


def _without_artifacts(objects: Objects, tree: str, base: str) -> str:
    """The tree with `.interlock/artifacts` as it is in the base, where it is not."""
    listing = objects.listing(tree)
    then = objects.listing(objects.commit(base).tree)
    edits: dict[bytes, Entry | None] = {}
    for path, (_, old) in trees.differences(listing, then).items():
        if path.startswith(ARTIFACTS + b"/"):
            edits[path] = old
    return objects.write_edited(tree, edits)


def _applied(git: Git, objects: Objects, tree: str, handoff: Commit) -> str:
    """What the handoff changed, on top of `tree`; `tree` itself where that conflicts, for the last commit mends it."""
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
    objects: Objects, planned: list[tuple[str, str, str]], parcel: Parcel, own: tuple[str, str]
) -> list[Commit]:
    """The commits on the base, in the store. `own` is the user as author and as committer."""
    commits: list[Commit] = []
    parent = parcel.base
    date = f"{parcel.stamp.at} +0000"
    for tree, message, who in planned:
        theirs = who if who and not who.startswith("Interlock ") else own[0]
        author = identity(parcel.stamp.author or theirs or COMMITTER)
        committer = author if parcel.stamp.author else identity(own[1] or COMMITTER)
        content = commit_object(tree, (parent,), f"{author} {date}", f"{committer} {date}", message)
        parent = objects.write("commit", content)
        commits.append(objects.commit(parent))
    return commits


def _the_same(user: Git, there: _There, commits: list[Commit], parcel: Parcel) -> str:
    """The branch exists: done where it is what we would create, but for a signature."""
    if there.commit == commits[-1].oid:
        return there.commit
    if parcel.sign and _unsigned(user, there.commit, len(commits)) == [_said(commit) for commit in commits]:
        return there.commit
    raise DeliveryRefused(
        f"branch {parcel.branch} exists at {there.commit[:12]} and would become {commits[-1].oid[:12]}: "
        f"{_in_the_way(parcel.branch, there)}"
    )


def _in_the_way(branch: str, there: _There) -> str:
    """Nobody is sent to rename what somebody works on."""
    first = f"it is checked out in {there.worktree}: switch to another one there, then " if there.worktree else ""
    return f"{first}delete or rename it (git branch -m {branch} NEW)"


def _unsigned(user: Git, commit: str, count: int) -> list[tuple[str, str]]:
    format_ = "--format=%T%x00%B%x00%x00"
    out = user.call("log", "--first-parent", f"-{count}", "--no-show-signature", format_, commit).out
    records = [record.strip("\n").partition("\0") for record in out.decode(errors="replace").split("\0\0")]
    return [(tree, message.strip("\n")) for tree, _, message in reversed(records) if tree]


def _said(commit: Commit) -> tuple[str, str]:
    return commit.tree, commit.message.strip("\n")


def _wanted(user: Git, objects: Objects, commits: list[Commit], base: str) -> list[str]:
    """The objects that the user's repository does not have with the base."""
    wanted = _new_objects(objects, commits, base)
    known = user.call("cat-file", "--batch-check", stdin=f"{base}\n".encode()).out
    if known.rstrip().endswith(b"missing"):  # the base is a snapshot of the working tree, or its commit is gone there
        snapshot = objects.commit(base)
        if not snapshot.parents or objects.look(snapshot.parents[0]) is None:
            raise DeliveryRefused(f"the base {base[:12]} is no longer in the repository: fetch it again")
        wanted |= _new_objects(objects, [snapshot], snapshot.parents[0])
    return sorted(wanted)


def _new_objects(objects: Objects, commits: list[Commit], base: str) -> set[str]:
    there = objects.commit(base).tree
    known = trees.oids(objects.listing(there), there)
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
            raise DeliveryRefused(f"signing failed: {complaint(done)}: mend `git commit -S`, or deliver without `sign`")
        parent = done.out.decode().strip()
    return parent


def _read_back(theirs: Objects, oids: Sequence[str]) -> None:
    """From where the branch will show them: who checks it out reads the same. Raises InfrastructureError."""
    with contextlib.closing(theirs):
        try:
            theirs.verify(oids)
        except InfrastructureError as error:
            words = "what was delivered cannot be read back: look at the repository with `git fsck`"
            raise InfrastructureError(f"{words}: {error}") from error


def _who(role: str, said: str) -> dict[str, str]:
    name, _, rest = said.partition(" <")
    mail, _, date = rest.partition("> ")
    return {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": mail, f"GIT_{role}_DATE": f"@{date}"}


def _created(user: Git, branch: str, commit: str) -> Captured:
    user = replace(user, environ={**user.environ, "HOME": "/nonexistent"})
    who = {"GIT_COMMITTER_NAME": "Interlock", "GIT_COMMITTER_EMAIL": "interlock@localhost"}
    words = ("update-ref", "-m", "interlock: delivered", f"refs/heads/{branch}", commit, "0" * len(commit))
    return user.call(*words, codes=range(256), extra={**who, **filters_off(user)})


def _unlocked(lock: Path, commit: str) -> bool:
    """Remove what a git of ours left that died at this very branch: nobody else would write this commit, or hold an
    empty lock of a branch that is not there for that long."""
    with contextlib.suppress(OSError):
        before = lock.stat()
        said = lock.read_text("ascii", "replace").strip()
        if said == commit or (not said and time.time() - before.st_mtime > _EMPTY_LOCK_S):
            time.sleep(_LOCK_S)
            after = lock.stat()
            if (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
                lock.unlink()
                return True
    return False


def _not_created(branch: str, there: _There, said: str) -> DeliveryRefused | InfrastructureError:
    if there.commit:
        return DeliveryRefused(
            f"branch {branch} is at {there.commit[:12]}, which is not what is delivered: {_in_the_way(branch, there)}"
        )
    if "cannot lock ref" in said and "exists" in said and ".lock" not in said:
        return DeliveryRefused(f"branch {branch} cannot be created: {said}: rename what is in its way")
    return InfrastructureError(f"branch {branch} cannot be created: {said}", undone=True)


# --- quarantine ------------------------------------------------------------------------------


_PREFIX = "tmp_objdir-interlock-"  # as git names its own


@contextlib.contextmanager
def quarantine(objects: Path) -> Iterator[dict[str, str]]:
    """Variables for the git calls that write. These see no other object, so that they write each one. Raises
    InfrastructureError."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=objects))
    except OSError as error:
        raise disk_error(objects, error) from error
    try:
        yield {"GIT_OBJECT_DIRECTORY": str(folder)}
        disk.sync_tree(folder)
        _let_out(folder, objects)
        disk.sync_tree(objects)
    except OSError as error:
        raise disk_error(objects, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alternates(objects: Path) -> dict[str, str]:
    """One more variable, for a git call that reads the repository's objects, too."""
    return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates_entry(objects)}


def alternates_entry(folder: Path) -> str:
    """A folder as git's list of alternates holds it: quoted, for a colon would end it."""
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'


def _let_out(folder: Path, objects: Path) -> None:
    """Packs before their indexes, so that nothing is seen before it is whole. A folder that is new is taken as git made
    it, with its rights."""
    for path in sorted(folder.iterdir()):
        target = objects / path.name
        with contextlib.suppress(OSError):  # not there yet, or empty
            path.rename(target)
            continue
        for file in sorted(path.iterdir(), key=_is_index):
            if not _is_whole(target / file.name, file):
                file.rename(target / file.name)


def _is_whole(there: Path, fresh: Path) -> bool:
    """Whether what has the name holds the same."""
    with contextlib.suppress(OSError, zlib.error):
        return filecmp.cmp(there, fresh, shallow=False) or _inflated(there) == _inflated(fresh) != ""
    return False


def _inflated(path: Path) -> str:
    """The digest of a loose object's content, however it is compressed; empty where it is none or not whole."""
    reader, digest = zlib.decompressobj(), hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(reader.decompress(chunk))
    return digest.hexdigest() if reader.eof else ""


def _is_index(path: Path) -> bool:
    return path.suffix == ".idx"
