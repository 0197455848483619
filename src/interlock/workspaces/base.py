"""Importing from the user's repository: a commit at depth 1, or the dirty working tree as a commit of ours.

Rule: the user's repository is read and nothing in it changes, not its index nor FETCH_HEAD. It is looked at under the
user's configuration (`safe.directory`, ignore files), and fetched from without it, and without fsck: old histories have
bad stamps. No program runs that any configuration names.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError, disk
from interlock.ports.disk import disk_error
from interlock.process import Captured
from interlock.workspaces import lfs, storage, trees
from interlock.workspaces.git import PLAIN, Git, Trust, add_all, complaint, filtered_paths, filters_off
from interlock.workspaces.objects import Objects, commit_object

WORKTREE = "worktree"
_HEX = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_IDENTITY = "Interlock <interlock@localhost>"
_UPLOAD = "--upload-pack=git -c 'safe.directory=*' upload-pack"  # whether it is trusted, `find` has asked git


@dataclass(frozen=True, slots=True)
class Base:
    """What a run starts from. `branch` is empty for a detached HEAD; `notes` are for people."""

    commit: str
    tree: str
    ref: str
    branch: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """The user's repository as found. `worktree` is None where it is bare."""

    git_dir: Path
    common_dir: Path
    worktree: Path | None
    algorithm: str
    shallow: bool
    commit: str = ""
    tree: str = ""
    branch: str = ""


def find(repository: Path, environ: Mapping[str, str], ref: str = "") -> Origin:
    """Look at the repository around `repository`, and at `ref` in it if given. Raises UsageError."""
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
    commit, tree, name, worktree = (*found, "", "", "", "")[:4]  # git stops at --show-toplevel where there is none
    if not name.startswith(("refs/", "HEAD")):
        name, worktree = "", name  # a plain commit has no name, and prints none
    branch = name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else ""
    top = Path(worktree) if worktree else None
    return Origin(Path(lines[3]), Path(lines[4]), top, lines[0], lines[1] == "true", commit, tree, branch)


def import_commit(store: Path, origin: Origin, environ: Mapping[str, str]) -> None:
    """Bring `origin.commit` into the store without its history, and keep it. Nothing where it is there."""
    ref = storage.base_ref(origin.commit)
    if storage.read_ref(store, ref) == origin.commit:
        with contextlib.suppress(OSError):
            os.utime(store / ref)  # in use again, for gc
            return
    _fetch(store, origin, environ)


def renew(store: Path, objects: Objects, origin: Origin, environ: Mapping[str, str]) -> None:
    """Bring `origin.commit` once more where something of it is missing or damaged in the store."""
    try:
        files = {entry.oid for _, entry in trees.leaves(objects.listing(origin.tree)) if entry.mode != trees.SUBMODULE}
        objects.sizes([origin.commit, *files])
    except (KeyError, InfrastructureError):
        try:
            storage.set_aside_damaged(Git(environ, store), store)
        except OSError as error:
            raise disk_error(store, error) from error
        _fetch(store, origin, environ, "--refetch")


def _fetch(store: Path, origin: Origin, environ: Mapping[str, str], *more: str) -> None:
    with storage.locked(store):
        (store / "shallow.lock").unlink(missing_ok=True)  # nobody else fetches while we hold the lock: a dead one's
        git = Git(environ, store)
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")
        options = ("-c", "protocol.version=2", "-c", "protocol.file.allow=always", "-c", "fetch.unpackLimit=1")
        unchecked = ("-c", "transfer.fsckObjects=false", "-c", "fetch.fsckObjects=false")
        source = f"file://{origin.common_dir}"
        words = ("fetch", *quiet, *more, _UPLOAD, "--depth=1", source, origin.commit)
        done = git.call(*options, *unchecked, *words, codes=range(256), extra={"GIT_ALLOW_PROTOCOL": "file"})
        if done.code:
            raise _not_imported(origin, environ, complaint(done))
        _keep(store, storage.base_ref(origin.commit), origin.commit)


def _keep(store: Path, ref: str, commit: str) -> None:
    """The ref says that all of it is there: objects, and that the commit has no past. So it comes last."""
    try:
        disk.sync_tree(store)
    except OSError as error:
        raise disk_error(store, error) from error
    storage.create_ref(store, ref, commit)


def import_worktree(store: Path, objects: Objects, origin: Origin, environ: Mapping[str, str]) -> tuple[str, str]:
    """The working tree (tracked, and untracked but not ignored) as a commit on HEAD in the store: its id and tree.

    The same files give the same commit. Raises UsageError where there is no working tree.
    """
    if origin.worktree is None:
        raise UsageError(f"{origin.git_dir} is a bare repository: it has no working tree to start from; give a commit")
    try:
        folder = Path(tempfile.mkdtemp(prefix="worktree-", dir=storage.own(store, "tmp")))
    except OSError as error:
        raise disk_error(store, error) from error
    try:
        tree = _written(store, objects, origin, environ, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if tree == origin.tree:
        return origin.commit, tree
    stamp = objects.commit(origin.commit).author.rpartition("> ")[2]
    who = f"{_IDENTITY} {stamp}"
    commit = objects.write("commit", commit_object(tree, (origin.commit,), who, who, "interlock: the working tree"))
    _keep(store, storage.base_ref(commit), commit)
    return commit, tree


def notes(origin: Origin, environ: Mapping[str, str], *, head: bool) -> tuple[str, ...]:
    """What a person should know of the base. `head`: it is HEAD, so that uncommitted changes stay behind."""
    said = []
    if origin.shallow:
        said.append("the repository is a shallow clone")
    if head and not origin.branch:
        said.append("HEAD is detached")
    if head and origin.worktree is not None:
        said += _uncommitted(origin, Git(environ, cwd=origin.worktree, trust=Trust.USER))
    return tuple(said)


def _uncommitted(origin: Origin, git: Git) -> Iterator[str]:
    """Of a file that goes through a filter, only what git sees without it can be told."""
    extra = filters_off(git)
    words = ("--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames")
    lines = git.call("status", *words, extra=extra).out.split(b"\0")
    changed = [line[3:] for line in lines if line[2:3] == b" "]
    unsure = filtered_paths(git, changed, extra)
    rest = "uncommitted changes that do not come along"
    if certain := len(changed) - len(unsure):
        yield f"{'1 file has' if certain == 1 else f'{certain} files have'} {rest}: --base worktree takes them"
    if large := sum(name == "lfs" for name in unsure.values()):
        these = f"{'1 file' if large == 1 else f'{large} files'} in Git LFS may have"
        yield f"{these} {rest}: --base worktree takes them"
    if filtered := len(unsure) - large:
        those = f"{'1 file that goes' if filtered == 1 else f'{filtered} files that go'} through a filter may have"
        yield f"{those} {rest}: commit them first, for no filter is started, also not by --base worktree"


def _written(store: Path, objects: Objects, origin: Origin, environ: Mapping[str, str], folder: Path) -> str:
    """Write the working tree's tree and all its objects into the store, by a copy of the user's index.

    The user's objects are no alternate of the store meanwhile: git would make those that it meets young again.
    """
    git = Git(environ, cwd=origin.worktree, trust=Trust.USER)
    index = folder / "index"
    if (origin.git_dir / "index").exists():
        shutil.copy2(origin.git_dir / "index", index)  # with its time: by it git knows what it must read again
    extra = {
        "GIT_DIR": str(origin.git_dir),
        "GIT_WORK_TREE": str(origin.worktree),
        "GIT_INDEX_FILE": str(index),
        "GIT_OBJECT_DIRECTORY": str(store / "objects"),
        **filters_off(git),
    }
    done = add_all(git, Path(origin.worktree or ""), extra)
    if done.code:
        raise UsageError(f"the working tree cannot be taken: {complaint(done)}: mend it, or commit and use --base HEAD")
    tree = git.call(*PLAIN, "write-tree", "--missing-ok", extra=extra).out.decode().strip()
    changed = trees.differences(objects.listing(origin.tree), objects.listing(tree))
    _refuse_embedded(changed, Path(origin.worktree or "") / ".gitmodules")
    tree, changed = _cleaned(store, objects, (origin.tree, tree), filtered_paths(git, changed, extra))
    wanted = {new.oid for _, new in changed.values() if new is not None and new.mode != trees.SUBMODULE}
    staged = sorted(oid for oid in wanted if objects.look(oid) is None)  # in the index and nowhere else
    if staged:
        names = "".join(f"{oid}\n" for oid in staged)
        user = Git(environ, origin.git_dir)
        pack = user.call("pack-objects", "-q", "--stdout", stdin=names.encode()).out
        Git(environ, store).call("unpack-objects", "-q", stdin=pack)
    return tree


def _cleaned(
    store: Path, objects: Objects, compared: tuple[str, str], through: Mapping[bytes, str]
) -> tuple[str, dict[bytes, tuple[trees.Entry | None, trees.Entry | None]]]:
    """The tree with pointers where Git LFS keeps the content, and how it differs from `head`. Raises UsageError."""
    head, tree = compared
    listing = objects.listing(tree)
    files = {path: entry for path in through if (entry := trees.get(listing, path)) and entry.mode in trees.REGULAR}
    others = sorted(path for path in files if through[path] != "lfs")
    if others:
        raise UsageError(
            f"the working tree cannot be taken: {os.fsdecode(others[0])} goes through the filter {through[others[0]]!r}"
            ", and no filter is started: commit it first (or run `git status`, if it is not changed)"
        )
    pointers = lfs.write_pointers(store, objects, {path: entry.oid for path, entry in files.items()})
    tree = objects.write_edited(tree, {path: trees.Entry(files[path].mode, oid) for path, oid in pointers.items()})
    return tree, trees.differences(objects.listing(head), objects.listing(tree))


def _refuse_embedded(changed: Mapping[bytes, tuple[trees.Entry | None, trees.Entry | None]], modules: Path) -> None:
    """git would take a repository inside the tree for a submodule that nobody can get."""
    declared = modules.read_bytes() if modules.is_file() else b""
    for path, (old, new) in changed.items():
        is_new = new is not None and new.mode == trees.SUBMODULE and (old is None or old.mode != trees.SUBMODULE)
        if is_new and path not in declared:
            name = os.fsdecode(path)
            raise UsageError(
                f"the working tree cannot be taken: {name} is a repository of its own: ignore it, or make it a"
                f" submodule with `git submodule add`"
            )


def _not_imported(origin: Origin, environ: Mapping[str, str], said: str) -> UsageError | InfrastructureError:
    user = Git(environ, origin.git_dir)
    if user.call("config", "--get-regexp", r"^remote\..*\.promisor$", codes=range(256)).code == 0:
        return UsageError(
            f"{origin.common_dir} is a partial clone that lacks objects of {origin.commit[:12]}, and runs fetch none:"
            f" check that commit out once, or run `git archive {origin.commit[:12]} > /dev/null`, which fetches them"
        )
    return InfrastructureError(f"cannot import {origin.commit[:12]} from {origin.common_dir}: {said}")


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
    return f"base {ref!r} is no commit of this repository: give a branch, a tag or a commit (see `git branch -a`)"
