"""Contents that a tree only points to: submodules and Git LFS files, copied from the user's checkout without git-lfs.

Rule: a checkout gets exactly the content that the tree names, whatever the user has changed. Missing content is
reported before the run starts. A submodule's commit is imported into the store, like a base.

Rule: the store keeps the content of LFS files of the working tree, since these may change. Delivery copies it to the
folder of git-lfs; otherwise nobody could check out or push the branch.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from itertools import chain
from pathlib import Path

from interlock.ports import Blobs, InfrastructureError, UsageError, disk
from interlock.ports.disk import disk_error
from interlock.workspaces import base, layout, manifest, storage, trees
from interlock.workspaces.base import Origin
from interlock.workspaces.git import Git, Trust
from interlock.workspaces.layout import CheckoutIndex
from interlock.workspaces.links import printable
from interlock.workspaces.manifest import LocalBlobs
from interlock.workspaces.objects import CHUNK, Objects
from interlock.workspaces.trees import Listing

_POINTER_MAX = 1024
_MISSING_MAX = 20
_NESTED_MAX = 8


class Contents:
    """Finds the contents that trees of one repository point to, and writes them into checkouts."""

    def __init__(
        self, store: Path, objects: Objects, repository: Callable[[], Origin | None], environ: Mapping[str, str],
        blobs: LocalBlobs | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        self._objects = objects
        self._repository = repository
        self._environ = environ
        self._blobs = blobs
        self._pointers: dict[str, dict[bytes, str]] = {}

    def check(self, tree: str) -> None:
        """Raises UsageError that lists what is missing, with the command that gets it."""
        listing = self._objects.listing(tree)
        missing = [*self._missing_submodules(listing, self._worktree, b"", 0)]
        for path, sha256 in self.pointers(tree).items():
            if self._content(path, sha256) is None:
                missing.append(self._not_here(path, sha256))
        if missing:
            more = "" if len(missing) <= _MISSING_MAX else f"\n  … and {len(missing) - _MISSING_MAX} more"
            raise UsageError("the base is not complete here:\n  " + "\n  ".join(missing[:_MISSING_MAX]) + more)

    def pointers(self, tree: str) -> dict[bytes, str]:
        """Files in Git LFS, with the sha256 of their content. Empty if no attribute says filter=lfs."""
        if tree not in self._pointers:
            self._pointers[tree] = self._find_pointers(self._objects.listing(tree))
        return self._pointers[tree]

    def write_into(self, tree: str, into: Path, index: CheckoutIndex) -> None:
        """Write the contents into a checkout of `tree`. Raises UsageError if any is missing."""
        listing = self._objects.listing(tree)
        for path, sha256 in self.pointers(tree).items():
            self._write_pointer(path, sha256, into, index, trees.get(listing, path))
        self._write_submodules(listing, into, b"", index, 0)

    def submodules(self, tree: str, depth: int = 0) -> tuple[str, ...]:
        """The commits of submodules that are in the store, with those in them."""
        found = [oid for _, oid in _submodules(self._objects.listing(tree)) if self._objects.lookup(oid)]
        below = [self.submodules(self._objects.commit(oid).tree, depth + 1) for oid in found if depth < _NESTED_MAX]
        return tuple(dict.fromkeys([*found, *chain.from_iterable(below)]))

    def lfs_bytes(self, tree: str, blobs: Blobs) -> int:
        """The bytes of LFS contents that are not among `blobs`, as far as they are in files."""
        missing = {sha256: path for path, sha256 in self.pointers(tree).items() if blobs.size(sha256) is None}
        files = (self._lfs_file(path, sha256) for sha256, path in missing.items())
        return sum(file.stat().st_size for file in files if file is not None)

    def share(self, tree: str, blobs: Blobs) -> None:
        """Put the LFS contents among `blobs`. Raises UsageError if any is missing."""
        for path, sha256 in self.pointers(tree).items():
            if blobs.size(sha256) is not None:
                continue
            file, blob = self._lfs_file(path, sha256), content_blob(self._store, sha256)
            if file is None and not blob:
                raise UsageError(self._not_here(path, sha256))
            with self._as_file(blob) if file is None else nullcontext(file) as source:
                if blobs.put_file(source)[0] != sha256:
                    raise UsageError(f"{printable(path)}: its content is damaged: run `git lfs fsck`")

    @contextmanager
    def _as_file(self, blob: str) -> Iterator[Path]:
        path = disk.write_temporary(
            storage.own(self._store, "tmp"), blob_chunks(self._objects, blob), prefix="content-", mode=0o600
        )
        try:
            yield path
        finally:
            path.unlink()

    def export_lfs(self, tree: str) -> None:
        """Copy LFS contents that the store or the blobs have to the user's git-lfs folder. Raises
        InfrastructureError."""
        assert self._lfs is not None
        for name, sha256 in self.pointers(tree).items():
            path, content = lfs_path(self._lfs, sha256), self._kept(name, sha256)
            if content is not None and not path.exists():
                put_content(content, path)

    @property
    def _worktree(self) -> Path | None:
        origin = self._repository()
        return origin.worktree if origin is not None else None

    @cached_property
    def _lfs(self) -> Path | None:
        """The user's folder of git-lfs; None if there is no repository on this machine."""
        origin = self._repository()
        if origin is None:
            return None
        return lfs_folder(Git(self._environ, origin.git_dir, trust=Trust.USER), origin.common_dir)

    def _not_here(self, path: bytes, sha256: str) -> str:
        if self._lfs is None:
            return f"{printable(path)}: its content is not among the blobs ({sha256}): start the run again where it is"
        return f"{printable(path)}: its content is not here: run `git lfs pull`"

    def _write_submodules(self, listing: Listing, into: Path, prefix: bytes, index: CheckoutIndex, depth: int) -> None:
        for path, oid in _submodules(listing):
            if self._objects.lookup(oid) is None:
                if self._repository() is None:
                    raise UsageError(f"{printable(prefix + path)}: commit {oid[:12]} of it did not come with the run")
                self.check_submodule(prefix + path, oid, self._worktree, depth)
            inner = self._objects.listing(self._objects.commit(oid).tree)
            below = into / os.fsdecode(path)
            found = layout.write_tree(self._objects, inner, below)
            inside = {prefix + path + b"/" + name: entry.oid for name, entry in trees.leaves(inner)}
            index.inner.update({name: blob for name, blob in inside.items() if name not in index.inner})
            index.stats.update({prefix + path + b"/" + name: status for name, status in found.stats.items()})
            self._write_submodules(inner, below, prefix + path + b"/", index, depth + 1)

    def check_submodule(self, path: bytes, oid: str, worktree: Path | None, depth: int) -> None:
        """Import a submodule's commit. Raises UsageError if it is not available."""
        problem = self._import(path, oid, worktree)
        if problem or depth > _NESTED_MAX:
            raise UsageError(problem or f"{printable(path)}: submodules nested deeper than {_NESTED_MAX}")

    def _missing_submodules(self, listing: Listing, worktree: Path | None, prefix: bytes, depth: int) -> list[str]:
        missing: list[str] = []
        for path, oid in _submodules(listing):
            problem = self._import(prefix + path, oid, worktree)
            if problem:
                missing.append(problem)
            elif depth < _NESTED_MAX:
                inner = self._objects.listing(self._objects.commit(oid).tree)
                missing += self._missing_submodules(inner, worktree, prefix + path + b"/", depth + 1)
        return missing

    def _import(self, path: bytes, oid: str, worktree: Path | None) -> str:
        """Import a submodule's commit. Returns what is wrong, empty if nothing is."""
        mend = f"run `git submodule update --init --recursive -- {printable(path)}`"
        if worktree is None:
            return f"{printable(path)}: a submodule, and the repository is bare: run from a checkout"
        folder = worktree / os.fsdecode(path)
        if not (folder / ".git").exists():
            return f"{printable(path)}: the submodule is not checked out: {mend}"
        try:
            origin = base.find(folder, self._environ, oid)
            base.import_commit(self._store, origin, self._environ)
        except UsageError:
            return f"{printable(path)}: the submodule does not have commit {oid[:12]}: {mend}"
        return ""

    def _find_pointers(self, listing: Listing) -> dict[bytes, str]:
        attributes = [entries[b".gitattributes"].oid for entries in listing.values() if b".gitattributes" in entries]
        if not any(b"filter=lfs" in self._objects.read(oid) for oid in attributes):
            return {}
        files = {path: entry.oid for path, entry in trees.leaves(listing) if entry.mode in trees.REGULAR}
        small = {oid for oid, size in self._objects.sizes(set(files.values())).items() if size <= _POINTER_MAX}
        found = {}
        for path, oid in files.items():
            match = POINTER.fullmatch(self._objects.read(oid)) if oid in small else None
            if match:
                found[path] = match[1].decode()
        return found

    def _lfs_file(self, path: bytes, sha256: str) -> Path | None:
        """The file with the content, in the user's LFS folder or checkout; None if there is none."""
        if self._lfs is None:
            return None
        there = lfs_path(self._lfs, sha256)
        if there.is_file():
            return there
        worktree = self._worktree
        if worktree is None:
            return None
        file = worktree / os.fsdecode(path)
        if file.is_symlink() or not file.is_file() or _sha256(file) != sha256:
            return None
        return file

    def _content(self, path: bytes, sha256: str) -> Iterator[bytes] | None:
        """The content of a pointer; None if it is not available."""
        file = self._lfs_file(path, sha256)
        return _chunks(file) if file is not None else self._kept(path, sha256)

    def _kept(self, path: bytes, sha256: str) -> Iterator[bytes] | None:
        """The content from the store or the blobs, whose names are those of LFS too; None if it is in neither."""
        if blob := content_blob(self._store, sha256):
            return blob_chunks(self._objects, blob)
        if self._blobs is None or self._blobs.size(sha256) is None:
            return None
        return manifest.contents(self._blobs, sha256, printable(path))

    def _write_pointer(
        self, path: bytes, sha256: str, into: Path, index: CheckoutIndex, entry: trees.Entry | None
    ) -> None:
        content = self._content(path, sha256)
        if content is None:
            raise UsageError(self._not_here(path, sha256))
        target = into / os.fsdecode(path)
        mode = 0o777 if entry is not None and entry.mode == trees.PROGRAM else 0o666
        digest = hashlib.sha256()
        try:
            target.unlink()
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                for chunk in content:
                    digest.update(chunk)
                    file.write(chunk)
            index.stats[path] = layout.file_stat(target.lstat())
        except OSError as error:
            raise disk_error(target, error) from error
        if digest.hexdigest() != sha256:
            raise InfrastructureError(f"{printable(path)}: its content is damaged: run `git lfs fsck`", permanent=True)


def _submodules(listing: Listing) -> list[tuple[bytes, str]]:
    return sorted((path, entry.oid) for path, entry in trees.leaves(listing) if entry.mode == trees.SUBMODULE)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while chunk := content.read(CHUNK):
            yield chunk


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- Git LFS ---------------------------------------------------------------------------------


_VERSION = b"version https://git-lfs.github.com/spec/v1"
POINTER = re.compile(  # the specification of Git LFS, version 1
    re.escape(_VERSION) + rb"\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)


def write_pointers(store: Path, objects: Objects, oids: Mapping[bytes, str]) -> dict[bytes, str]:
    """Write the pointer of each file and keep its content in the store. Returns the pointers' blobs by path. A file
    that is a pointer already stays as it is. Raises InfrastructureError."""
    found = {path: _pointer_digest(objects, oid) for path, oid in oids.items()}
    contents = {sha256: oids[path] for path, (sha256, _) in found.items() if sha256}
    if contents:
        storage.flush(store / "objects")
    for sha256, oid in contents.items():
        storage.create_ref(store, storage.contents_ref(sha256), oid)
    return {path: _pointer_blob(objects, *found[path]) if found[path][0] else oid for path, oid in oids.items()}


def content_blob(store: Path, sha256: str) -> str:
    """The blob of the store with this content; empty if there is none."""
    return storage.read_ref(store, storage.contents_ref(sha256)) or ""


def blob_chunks(objects: Objects, oid: str) -> Iterator[bytes]:
    """The content of a blob, in chunks."""
    for _, chunks in objects.stream([oid]):
        yield from chunks


def lfs_folder(git: Git, common_dir: Path) -> Path:
    """The folder of the user's git-lfs. `git` uses the user's configuration, which may name another folder."""
    storage_path = git.call("config", "-z", "--get", "lfs.storage", codes=range(256)).out.partition(b"\0")[0]
    return common_dir / (os.fsdecode(storage_path) or "lfs") / "objects"


def lfs_path(folder: Path, sha256: str) -> Path:
    """The path of a content in the folder of git-lfs."""
    return folder / sha256[:2] / sha256[2:4] / sha256


def put_content(content: Iterator[bytes], path: Path) -> None:
    """Write a content to a path of git-lfs. Raises InfrastructureError."""
    try:
        disk.make_folder(path.parent)
        disk.put_file(path, content, mode=0o644)
    except OSError as error:
        raise disk_error(path, error) from error


def _pointer_digest(objects: Objects, oid: str) -> tuple[str, int]:
    """The sha256 and size of a blob. The digest is empty if the blob is a pointer or empty."""
    digest, size, begin = hashlib.sha256(), 0, b""
    for _, chunks in objects.stream([oid]):
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            begin = begin or chunk[: len(_VERSION)]
    return ("" if begin == _VERSION or not size else digest.hexdigest()), size


def _pointer_blob(objects: Objects, sha256: str, size: int) -> str:
    return objects.write("blob", _VERSION + f"\noid sha256:{sha256}\nsize {size}\n".encode())
