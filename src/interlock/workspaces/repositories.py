"""The two repositories of `GitWorkspaces`: the private store, and the user's, from which bases are imported into it.

Rule: each is opened, and the store is repaired, when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from interlock.ports import UsageError
from interlock.workspaces import base, storage, trees
from interlock.workspaces.base import Base, Origin
from interlock.workspaces.contents import Contents
from interlock.workspaces.git import Git, Trust, check_version
from interlock.workspaces.manifest import LocalBlobs
from interlock.workspaces.objects import Commit, Objects
from interlock.workspaces.worktree import base_notes, import_worktree


class UserRepository:
    """The user's repository, by a folder in it. A worker has none: what asks for it raises UsageError."""

    def __init__(self, folder: Path | None, environ: Mapping[str, str]) -> None:
        self.is_here = folder is not None
        self._folder = folder
        self._environ = environ

    @cached_property
    def origin(self) -> Origin:
        """Where it is, and the commit that was last imported as a base, if any."""
        return self.find()

    @property
    def git(self) -> Git:
        """The user's own git, in the user's folder: the address of a remote can be a relative path."""
        return Git(self._environ, self.origin.common_dir, self._folder, Trust.USER, transport=True)

    def find(self, ref: str = "") -> Origin:
        """Where it is, and `ref` in it. Raises UsageError."""
        if self._folder is None and ref:
            raise UsageError(f"commit {ref[:12]} did not come with the run, and workers have no repository")
        if self._folder is None:
            raise UsageError(
                "a worker has no repository: it reads no working tree, pushes nothing and delivers nothing"
            )
        return base.find(self._folder, self._environ, ref)


class Store:
    """The private store in `folder`. Threads may share it. `close` ends its git programs."""

    def __init__(
        self, folder: Path, user: UserRepository, environ: Mapping[str, str], blobs: LocalBlobs | None
    ) -> None:
        self.folder = folder
        self.git = Git(environ, folder)
        self._user = user
        self._environ = environ
        self._blobs = blobs

    def close(self) -> None:
        """End the git programs. Later calls start them again."""
        if "objects" in self.__dict__:
            self.objects.close()

    @cached_property
    def objects(self) -> Objects:
        self.repair()
        objects = Objects(self.git, storage.algorithm_of(self.folder))
        storage.repair_shallow(self.folder, objects)
        return objects

    @cached_property
    def contents(self) -> Contents:
        """What its trees only point to."""

        def origin() -> Origin | None:
            return self._user.origin if self._user.is_here else None

        return Contents(self.folder, self.objects, origin, self._environ, self._blobs)

    def has(self, commit: str) -> bool:
        """Whether it holds the commit. It need not have been made."""
        found = self.objects.lookup(commit) if storage.exists(self.folder) else None
        return found is not None and found[0] == "commit"

    def commit(self, commit: str) -> Commit:
        return self.objects.commit(commit)

    def tree(self, name: str) -> str:
        """The tree of a commit, or the tree itself. Raises UsageError if `name` is neither."""
        found = self.objects.lookup(name)
        return name if found is not None and found[0] == "tree" else self.commit(name).tree

    def with_submodules(self, commit: str, *, is_base: bool) -> tuple[str, ...]:
        """The commit, and those of its submodules. No folder below the root is read for others than bases, unless
        `.gitmodules` is there: a new submodule is in it."""
        tree = self.commit(commit).tree
        whole = is_base or b".gitmodules" in trees.parse(self.objects.read(tree), self.objects.oid_bytes)
        return (commit, *self.contents.submodules(tree)) if whole else (commit,)

    def import_base(self, ref: str | None, worktree: bool) -> Base:
        """Import `ref`, or HEAD, or with `worktree` the working tree on HEAD, from the user's repository. Raises
        UsageError (no git, no repository, no commits, no such commit)."""
        check_version(self._environ)
        name = "HEAD" if worktree or ref is None else ref
        if not name:
            raise UsageError("base: it is empty: export a commit, a branch or a tag, or leave it out for HEAD")
        origin = self._user.find(name)
        self._user.origin = origin
        storage.create(self.folder, origin.algorithm)
        self._bring(origin)
        notes = base_notes(origin, self._environ, head=ref is None and not worktree)
        if not worktree:
            return Base(origin.commit, origin.tree, name, origin.branch, notes)
        commit, tree = import_worktree(self.folder, self.objects, origin, self._environ)
        return Base(commit, tree, base.WORKTREE, origin.branch, notes)

    def import_commit(self, commit: str) -> None:
        """Import a commit of the user's repository. Raises UsageError."""
        self._bring(self._user.find(commit))

    def repair(self) -> None:
        """Repair it if a power loss left empty files."""
        if storage.exists(self.folder) and not storage.is_whole(self.folder):
            known = self._user.origin.algorithm if self._user.is_here else storage.algorithm_of(self.folder)
            storage.create(self.folder, known)

    def _bring(self, origin: Origin) -> None:
        base.import_commit(self.folder, origin, self._environ)
        base.reimport_damaged(self.folder, self.objects, origin, self._environ)
