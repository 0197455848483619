"""The base of a run: find a commit in the user's repository, import it at depth 1, or read it in place.

Rule: nothing in the user's repository changes, neither its index nor FETCH_HEAD. Interlock inspects it with the user's
configuration (`safe.directory`, ignore files). It fetches without that configuration, and without fsck, because old
histories have invalid dates. It starts no program that a configuration names.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError
from interlock.ports.disk import disk_error
from interlock.process import Captured
from interlock.workspaces import commits, storage, trees
from interlock.workspaces.git import Git, Trust, complaint
from interlock.workspaces.objects import Objects

WORKTREE = "worktree"
_HEX = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_UPLOAD = "--upload-pack=git -c 'safe.directory=*' upload-pack"  # `find` has checked that the user trusts it


@dataclass(frozen=True, slots=True)
class Base:
    """The commit that a run starts from. `branch` is empty for a detached HEAD; `notes` are for people."""

    commit: str
    tree: str
    ref: str
    branch: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """The user's repository. `worktree` is None if it is bare."""

    git_dir: Path
    common_dir: Path
    worktree: Path | None
    algorithm: str
    shallow: bool
    commit: str = ""
    tree: str = ""
    branch: str = ""


def find(repository: Path, environ: Mapping[str, str], ref: str = "") -> Origin:
    """Find the repository that contains the folder `repository`, and resolve `ref` if given. Raises UsageError."""
    if ref.startswith("-") or ".." in ref:
        raise UsageError(f"base {ref!r}: a commit, branch or tag was expected")
    git = Git(environ, cwd=repository, trust=Trust.USER)
    queries = ("--show-object-format", "--is-shallow-repository", "--is-bare-repository", "--absolute-git-dir")
    common = ("--path-format=absolute", "--git-common-dir")
    wanted = (f"{ref}^{{commit}}", f"{ref}^{{tree}}", "--symbolic-full-name", ref) if ref else ()
    done = git.call("rev-parse", *queries, *common, *wanted, "--show-toplevel", codes=range(256))
    lines = os.fsdecode(done.out).split("\n")[:-1]
    if len(lines) < 5:
        raise UsageError(_no_repository(repository, done))
    found = lines[5:] if ref else ["", "", "", *lines[5:]]
    if ref and not all(_HEX.fullmatch(oid) for oid in (*found, "", "")[:2]):
        raise UsageError(_no_commit(ref, git))
    commit, tree, name, worktree = (*found, "", "", "", "")[:4]  # git stops at --show-toplevel if there is no worktree
    if not name.startswith(("refs/", "HEAD")):
        name, worktree = "", name  # git prints no name for a plain commit
    branch = name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else ""
    top = Path(worktree) if worktree else None
    return Origin(Path(lines[3]), Path(lines[4]), top, lines[0], lines[1] == "true", commit, tree, branch)


def import_commit(store: Path, origin: Origin, environ: Mapping[str, str]) -> None:
    """Import `origin.commit` into the store, without its history, unless it is there. A ref keeps it."""
    ref = storage.base_ref(origin.commit)
    if storage.read_ref(store, ref) == origin.commit:
        with contextlib.suppress(OSError):
            os.utime(store / ref)  # in use again, for gc
            return
    _fetch(store, origin, environ)


def reimport_damaged(store: Path, objects: Objects, origin: Origin, environ: Mapping[str, str]) -> None:
    """Import `origin.commit` again if any of its objects is missing or damaged in the store."""
    try:
        files = {entry.oid for _, entry in trees.leaves(objects.listing(origin.tree)) if entry.mode != trees.SUBMODULE}
        objects.sizes([origin.commit, *files])
    except (KeyError, InfrastructureError):
        try:
            storage.rename_damaged(Git(environ, store), store)
        except OSError as error:
            raise disk_error(store, error) from error
        _fetch(store, origin, environ, "--refetch")


def _fetch(store: Path, origin: Origin, environ: Mapping[str, str], *more: str) -> None:
    with storage.locked(store):
        (store / "shallow.lock").unlink(
            missing_ok=True
        )  # left by a dead process: nobody else fetches while we hold the lock
        git = Git(environ, store)
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")
        options = ("-c", "protocol.version=2", "-c", "protocol.file.allow=always", "-c", "fetch.unpackLimit=1")
        unchecked = ("-c", "transfer.fsckObjects=false", "-c", "fetch.fsckObjects=false")
        source = f"file://{origin.common_dir}"
        words = ("fetch", *quiet, *more, _UPLOAD, "--depth=1", source, origin.commit)
        done = git.call(*options, *unchecked, *words, codes=range(256), extra={"GIT_ALLOW_PROTOCOL": "file"})
        if done.code:
            raise _not_imported(origin, environ, complaint(done))
        keep_commit(store, storage.base_ref(origin.commit), origin.commit)


def keep_commit(store: Path, ref: str, commit: str) -> None:
    """Keep a commit by a ref. The ref comes last: it says that all objects and the `shallow` entry are on the disk."""
    storage.flush(store)
    storage.create_ref(store, ref, commit)


def _not_imported(origin: Origin, environ: Mapping[str, str], reason: str) -> UsageError | InfrastructureError:
    user = Git(environ, origin.git_dir)
    if user.call("config", "--get-regexp", r"^remote\..*\.promisor$", codes=range(256)).code == 0:
        return UsageError(
            f"{origin.common_dir} is a partial clone that lacks objects of {origin.commit[:12]}, and runs fetch none:"
            f" check that commit out once, or run `git archive {origin.commit[:12]} > /dev/null`, which fetches them"
        )
    return InfrastructureError(f"cannot import {origin.commit[:12]} from {origin.common_dir}: {reason}")


def _no_repository(repository: Path, done: Captured) -> str:
    if b"dubious ownership" in done.err:
        return f"{repository}: it belongs to another user: run `git config --global --add safe.directory {repository}`"
    if not done.err or b"not a git repository" in done.err:
        return f"{repository} is not in a git repository: run `git init`, commit, and run again from there"
    return f"{repository}: git cannot read it: {complaint(done)}"


def _no_commit(ref: str, git: Git) -> str:
    head = git.call("rev-parse", "--verify", "-q", "HEAD^{commit}", codes=range(256))
    if head.code:
        return "the repository has no commits yet: commit something first, such as `git commit --allow-empty -m start`"
    return f"base {ref!r} is not a commit of this repository: give a branch, a tag or a commit (see `git branch -a`)"


# --- a commit read in place ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Committed:
    """The files of one commit. The methods are as in `ports.Workspaces`, without the argument `commit`."""

    objects: Objects
    tree: str

    def files(self, globs: Sequence[str]) -> tuple[str, ...]:
        return commits.files(self.objects, self.tree, globs)

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """Raises UsageError above `max_bytes`."""
        return commits.content(self.objects, self.tree, path, max_bytes)


@contextmanager
def committed(repository: Path, environ: Mapping[str, str], ref: str = "HEAD") -> Iterator[Committed]:
    """Read a commit of the user's repository in place, without importing it. Raises UsageError if it does not exist."""
    origin = find(repository, environ, ref)
    with closing(Objects(Git(environ, origin.common_dir), origin.algorithm)) as objects:
        yield Committed(objects, origin.tree)
