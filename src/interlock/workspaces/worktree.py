"""The user's working tree: imported as a commit of the store, and notes about its state.

Rule: no filter program runs. A changed file with a filter is rejected, except for Git LFS, whose pointers we write.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from interlock.ports import UsageError
from interlock.ports.disk import disk_error
from interlock.workspaces import contents, storage, trees
from interlock.workspaces.base import Origin, keep_commit
from interlock.workspaces.git import PLAIN, Git, Trust, add_all, complaint, filtered_paths, filters_off
from interlock.workspaces.objects import Objects, commit_object

_IDENTITY = "Interlock <interlock@localhost>"


def base_notes(origin: Origin, environ: Mapping[str, str], *, head: bool) -> tuple[str, ...]:
    """Notes for people about the base. `head`: the base is HEAD, so uncommitted changes are not in it."""
    found = []
    if origin.shallow:
        found.append("the repository is a shallow clone")
    if head and not origin.branch:
        found.append("HEAD is detached")
    if head and origin.worktree is not None:
        found += _uncommitted(origin, Git(environ, cwd=origin.worktree, trust=Trust.USER))
    return tuple(found)


def _uncommitted(origin: Origin, git: Git) -> Iterator[str]:
    """Notes about uncommitted changes. git cannot tell without its filter whether a file with a filter has changed."""
    extra = filters_off(git)
    words = ("--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames")
    lines = git.call("status", *words, extra=extra).out.split(b"\0")
    changed = [line[3:] for line in lines if line[2:3] == b" "]
    unsure = filtered_paths(git, changed, extra)
    rest = "uncommitted changes that are not included"
    if certain := len(changed) - len(unsure):
        yield f"{'1 file has' if certain == 1 else f'{certain} files have'} {rest}: --base worktree includes them"
    if large := sum(name == "lfs" for name in unsure.values()):
        these = f"{'1 file' if large == 1 else f'{large} files'} in Git LFS may have"
        yield f"{these} {rest}: --base worktree includes them"
    if filtered := len(unsure) - large:
        those = f"{'1 file with a filter' if filtered == 1 else f'{filtered} files with a filter'} may have"
        yield f"{those} {rest}: commit them first, since filters never run, not even with --base worktree"


def import_worktree(store: Path, objects: Objects, origin: Origin, environ: Mapping[str, str]) -> tuple[str, str]:
    """Import the working tree (tracked files, and untracked files that are not ignored) as a commit on HEAD.

    Returns the ids of the commit and its tree. The same files give the same commit. Raises UsageError if there is no
    working tree.
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
    keep_commit(store, storage.base_ref(commit), commit)
    return commit, tree


def _written(store: Path, objects: Objects, origin: Origin, environ: Mapping[str, str], folder: Path) -> str:
    """Write the tree of the working tree and all its objects into the store, with a copy of the user's index.

    The store has no alternate to the user's objects: git would update the times of those that it finds there.
    """
    git = Git(environ, cwd=origin.worktree, trust=Trust.USER)
    index = folder / "index"
    if (origin.git_dir / "index").exists():
        shutil.copy2(origin.git_dir / "index", index)  # with its time: git uses it to decide which files to read again
    extra = {
        "GIT_DIR": str(origin.git_dir),
        "GIT_WORK_TREE": str(origin.worktree),
        "GIT_INDEX_FILE": str(index),
        "GIT_OBJECT_DIRECTORY": str(store / "objects"),
        **filters_off(git),
    }
    done = add_all(git, Path(origin.worktree or ""), extra)
    if done.code:
        reason = complaint(done)
        raise UsageError(f"the working tree cannot be imported: {reason}: correct it, or commit and use --base HEAD")
    tree = git.call(*PLAIN, "write-tree", "--missing-ok", extra=extra).out.decode().strip()
    changed = trees.differences(objects.listing(origin.tree), objects.listing(tree))
    _refuse_embedded(changed, Path(origin.worktree or "") / ".gitmodules")
    tree, changed = _cleaned(store, objects, (origin.tree, tree), filtered_paths(git, changed, extra))
    wanted = {new.oid for _, new in changed.values() if new is not None and new.mode != trees.SUBMODULE}
    staged = sorted(oid for oid in wanted if objects.lookup(oid) is None)  # only in the user's index
    if staged:
        names = "".join(f"{oid}\n" for oid in staged)
        user = Git(environ, origin.git_dir)
        pack = user.call("pack-objects", "-q", "--stdout", stdin=names.encode()).out
        Git(environ, store).call("unpack-objects", "-q", stdin=pack)
    return tree


def _cleaned(
    store: Path, objects: Objects, compared: tuple[str, str], through: Mapping[bytes, str]
) -> tuple[str, dict[bytes, tuple[trees.Entry | None, trees.Entry | None]]]:
    """The tree with LFS pointers in place of contents, and its differences from `head`. Raises UsageError."""
    head, tree = compared
    listing = objects.listing(tree)
    files = {path: entry for path in through if (entry := trees.get(listing, path)) and entry.mode in trees.REGULAR}
    others = sorted(path for path in files if through[path] != "lfs")
    if others:
        raise UsageError(
            f"the working tree cannot be imported: {os.fsdecode(others[0])} has the filter {through[others[0]]!r}, and"
            " filters never run: commit it first (or run `git status`, if it is not changed)"
        )
    pointers = contents.write_pointers(store, objects, {path: entry.oid for path, entry in files.items()})
    tree = objects.write_edited(tree, {path: trees.Entry(files[path].mode, oid) for path, oid in pointers.items()})
    return tree, trees.differences(objects.listing(head), objects.listing(tree))


def _refuse_embedded(changed: Mapping[bytes, tuple[trees.Entry | None, trees.Entry | None]], modules: Path) -> None:
    """Reject repositories inside the tree: git would record each as a submodule that nobody can fetch."""
    declared = modules.read_bytes() if modules.is_file() else b""
    for path, (old, new) in changed.items():
        is_new = new is not None and new.mode == trees.SUBMODULE and (old is None or old.mode != trees.SUBMODULE)
        if is_new and path not in declared:
            name = os.fsdecode(path)
            raise UsageError(
                f"the working tree cannot be imported: {name} is a repository of its own: ignore it, or make it a"
                f" submodule with `git submodule add`"
            )
