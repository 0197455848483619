"""Read the files that an agent left, with our own walk and never with git.

Rule: no link is followed and nothing is executed. The walk opens folders relative to each other with O_NOFOLLOW. A file
that cannot be part of a commit is a finding. Files that the accepted input ignores stay out, and so do caches.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.core import pipeline
from interlock.core.events import Finding
from interlock.ports import InfrastructureError, UnfitTree
from interlock.ports.disk import disk_error
from interlock.workspaces import layers, trees
from interlock.workspaces.ignores import Ignores, is_cache
from interlock.workspaces.layout import CheckoutIndex, file_stat, is_folder
from interlock.workspaces.links import FINDINGS_MAX, printable
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry, Listing

ARTIFACTS = pipeline.ARTIFACTS.encode()
LEFT_OUT_MAX = 1000
ENTRIES_MAX = 2_000_000
DEPTH_MAX = 200
FILE_BYTES_MAX = 2 << 30

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the files are compared with: the accepted input, its ignore rules, and the index of the checkout.

    `pointers` are files in Git LFS, with the sha256 of the content that the checkout has in place of the pointer.
    """

    listing: Listing
    ignores: Ignores
    index: CheckoutIndex
    pointers: Mapping[bytes, str] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """The differences from the accepted input: new entries (None for removed ones), and paths that were left out."""

    edits: dict[bytes, Entry | None] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def refuse(self, rule: str, message: str, path: bytes) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(f"workspace.{rule}", message, file=printable(path)))

    def leave_out(self, path: bytes) -> None:
        if len(self.left_out) < LEFT_OUT_MAX:
            self.left_out.append(os.fsdecode(path))
        elif len(self.left_out) == LEFT_OUT_MAX:
            self.left_out.append("… and more")


def read_changes(objects: Objects, tree: Path, known: Baseline) -> Found:
    """Everything in `tree` that differs from the accepted input. Contents are stored as blobs.

    Raises UnfitTree if the folder is gone, and InfrastructureError if it cannot be read.
    """
    over = known.index.layers
    try:
        root = os.open(tree, _FOLDER_FLAGS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnfitTree((Finding("workspace.gone", "the agent removed its own workspace"),)) from error
    except OSError as error:
        raise disk_error(tree, error) from error
    try:
        upper = os.open(over.upper, _FOLDER_FLAGS) if over else layers.WHOLE
    except OSError as error:
        os.close(root)
        raise disk_error(tree, error) from error
    return _Walk(objects, known).run(root, upper)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of the walk. `ignored`: it is ignored or below an ignored folder, so new files in it stay out. `upper`:
    the same folder in the upper layer of the checkout, which says where to look; layers.WHOLE means everywhere."""

    path: bytes
    fd: int
    ignored: bool
    depth: int
    upper: int

    def close(self) -> None:
        os.close(self.fd)
        if self.upper != layers.WHOLE:
            os.close(self.upper)

    def entries(self) -> Iterator[tuple[bytes, os.stat_result | None]]:
        """What may differ from the lower layer; None stands for what does not exist."""
        with os.scandir(self.fd if self.upper == layers.WHOLE else self.upper) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = os.fsencode(entry.name)
                if self.upper == layers.WHOLE:
                    yield name, entry.stat(follow_symlinks=False)
                    continue
                try:
                    yield name, os.lstat(name, dir_fd=self.fd)
                except FileNotFoundError:
                    yield name, None


class _Walk:
    """Owns the open folders of one walk."""

    def __init__(self, objects: Objects, known: Baseline) -> None:
        self._objects = objects
        self._baseline = known
        self._found = Found()
        self._waiting: list[_Folder] = []
        self._met: set[bytes] = set()  # tracked leaves that exist, or that a finding is about
        self._whole: list[bytes] = []  # folders that are read in whole: what was not met there does not exist
        self._entries = 0

    def run(self, root: int, upper: int) -> Found:
        tree = os.dup(root)
        self._add(_Folder(b"", root, False, 0, upper))
        try:
            while self._waiting:
                folder = self._waiting.pop()
                try:
                    self._walk(folder)
                finally:
                    folder.close()
            if upper != layers.WHOLE:
                self._leave_out_setup(tree)
        except OSError as error:
            raise InfrastructureError(f"a workspace cannot be read: {error.strerror}") from error
        finally:
            for folder in self._waiting:
                folder.close()
            os.close(tree)
        for path in (*self._whole, *self._baseline.index.above):
            self._gone(path)
        return self._found

    def _add(self, folder: _Folder) -> None:
        self._waiting.append(folder)
        if folder.upper == layers.WHOLE:
            self._whole.append(folder.path)

    def _gone(self, path: bytes) -> None:
        """All tracked leaves at or below `path` are deleted, but those that were met."""
        for leaf in trees.leaves_at(self._baseline.listing, path):
            if leaf not in self._met and not self._baseline.index.is_replaced(leaf):
                self._found.edits[leaf] = None

    def _leave_out_setup(self, tree: int) -> None:
        """What setup left is in the lower layer, where nobody looked."""
        listed = {path.rstrip("/") for path in self._found.left_out}
        for path in sorted(self._baseline.index.setup_files):
            with contextlib.suppress(OSError):
                is_folder = stat.S_ISDIR(os.lstat(path, dir_fd=tree).st_mode)
                if os.fsdecode(path) not in listed:
                    self._found.leave_out(path + b"/" if is_folder else path)

    def _walk(self, folder: _Folder) -> None:
        for name, status in folder.entries():
            if not folder.path and name == b".git":
                continue  # the agent's own throw-away repository: never read
            self._entries += 1
            if self._entries > ENTRIES_MAX:
                raise UnfitTree((Finding("workspace.too_many", f"more than {ENTRIES_MAX:,} files were left"),))
            if status is None:
                self._gone(trees.joined(folder.path, name))
            else:
                self._entry(folder, name, status)

    def _entry(self, folder: _Folder, name: bytes, status: os.stat_result) -> None:
        path = trees.joined(folder.path, name)
        tracked = self._baseline.listing.get(folder.path, {}).get(name)
        is_folder = stat.S_ISDIR(status.st_mode)
        if tracked is not None and tracked.mode == trees.SUBMODULE and is_folder:
            self._submodule(folder, path, name)
        elif path in self._baseline.index.replaced or (
            tracked is None and self._is_left_out(folder, path, name, is_folder)
        ):
            self._found.leave_out(path + b"/" if is_folder else path)
        elif trees.is_git_name(name):
            self._found.refuse("nested_repository", f"{printable(path)}: a repository inside the tree", path)
        elif is_folder:
            self._enter(folder, path, name)
        elif tracked is None or tracked.mode == trees.FOLDER or not self._baseline.index.unchanged(path, status):
            self._leaf(folder, path, status, None if tracked is None or tracked.mode == trees.FOLDER else tracked)
        else:
            self._met.add(path)

    def _is_left_out(self, folder: _Folder, path: bytes, name: bytes, is_folder: bool) -> bool:
        if path in self._baseline.index.setup_files:
            return True
        if _leads_to_artifacts(path, is_folder):
            return False
        if folder.ignored or self._baseline.ignores.matches(path, is_folder=is_folder):
            return True
        return is_cache(folder.fd, name, is_folder=is_folder)

    def _enter(self, folder: _Folder, path: bytes, name: bytes) -> None:
        if folder.depth >= DEPTH_MAX:
            self._found.refuse(
                "too_deep", f"{printable(path)[:40]}…: folders nested deeper than {DEPTH_MAX}", path[:200]
            )
            return
        try:
            fd = os.open(name, _FOLDER_FLAGS, dir_fd=folder.fd)
        except PermissionError:
            os.chmod(name, 0o700, dir_fd=folder.fd)
            fd = os.open(name, _FOLDER_FLAGS, dir_fd=folder.fd)
        ignored = folder.ignored or self._baseline.ignores.matches(path, is_folder=True)
        upper = layers.WHOLE
        if folder.upper != layers.WHOLE and self._is_in_lower(path):
            upper = layers.folder_over_lower(name, folder.upper)
        self._add(_Folder(path, fd, ignored, folder.depth + 1, upper))

    def _is_in_lower(self, path: bytes) -> bool:
        known = self._baseline.index.layers
        return known is not None and is_folder(os.fsencode(known.lower) + b"/" + path)

    def _leaf(self, folder: _Folder, path: bytes, status: os.stat_result, tracked: Entry | None) -> None:
        if tracked is None and folder.upper != layers.WHOLE:
            self._gone(path)  # a folder that was here
        self._met.add(path)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(trees.split(path)[1], dir_fd=folder.fd)
            now = Entry(trees.LINK, self._objects.write("blob", target))
        elif not stat.S_ISREG(status.st_mode):
            self._found.refuse("special", f"{printable(path)}: {_kind(status)}, which no commit can hold", path)
            return
        elif status.st_size > FILE_BYTES_MAX:
            message = f"{printable(path)}: {status.st_size:,} bytes, and the maximum is {FILE_BYTES_MAX:,}"
            self._found.refuse("too_large", message, path)
            return
        else:
            now = self._file(folder, path, status, tracked)
        if now != tracked:
            self._found.edits[path] = now

    def _file(self, folder: _Folder, path: bytes, status: os.stat_result, tracked: Entry | None) -> Entry:
        mode = trees.PROGRAM if status.st_mode & 0o100 else trees.FILE
        if tracked is not None and tracked.mode == "100664" and mode == trees.FILE:
            mode = tracked.mode  # of old histories; git takes it for a plain file
        fd = _open(folder.fd, trees.split(path)[1])
        try:
            size = os.fstat(fd).st_size
            pointer = self._baseline.pointers.get(path)
            if pointer is not None and tracked is not None:
                return self._pointer(fd, path, Entry(mode, tracked.oid), pointer)
            known = "" if tracked is None else tracked.oid
            return Entry(mode, self._objects.write_file(fd, size, known))
        finally:
            os.close(fd)

    def _pointer(self, fd: int, path: bytes, entry: Entry, sha256: str) -> Entry:
        """A file in Git LFS: if it is unchanged, its pointer stays; a changed one is refused, as we cannot store it."""
        with open(fd, "rb", closefd=False) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != sha256:
            self._found.refuse("lfs", f"{printable(path)}: changed, but it is kept in Git LFS: leave it as it is", path)
        return entry

    def _submodule(self, folder: _Folder, path: bytes, name: bytes) -> None:
        """The files of a submodule: a change of them is refused, as the commit cannot hold it."""
        self._met.add(path)
        prefix = path + b"/"
        expected = {inner for inner in self._baseline.index.stats if inner.startswith(prefix)}
        fd = os.open(name, _FOLDER_FLAGS, dir_fd=folder.fd)
        changed = _Submodule(self._objects, self._baseline.index, path, expected).first_change(fd)
        if changed is not None:
            message = (
                f"{printable(changed)}: changed inside the submodule {printable(path)}: change it in its own repository"
            )
            self._found.refuse("submodule", message, changed)


class _Submodule:
    """Compares the files of a submodule with those that were written into the checkout."""

    def __init__(self, objects: Objects, index: CheckoutIndex, path: bytes, expected: set[bytes]) -> None:
        self._objects = objects
        self._index = index
        self._path = path
        self._expected = expected

    def first_change(self, fd: int) -> bytes | None:
        if not self._expected:
            os.close(fd)
            return None
        changed = self._below(self._path, fd, 0)
        return changed or next(iter(sorted(self._expected)), None)

    def _below(self, folder: bytes, fd: int, depth: int) -> bytes | None:
        try:
            with os.scandir(fd) as found:
                entries = list(found)
            for entry in entries:
                path = trees.joined(folder, os.fsencode(entry.name))
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    inner = os.open(entry.name, _FOLDER_FLAGS, dir_fd=fd)
                    changed = path if depth > DEPTH_MAX else self._below(path, inner, depth + 1)
                    if changed:
                        return changed
                elif path not in self._expected or self._differs(fd, path, status):
                    return path
                self._expected.discard(path)
        finally:
            os.close(fd)
        return None

    def _differs(self, folder: int, path: bytes, status: os.stat_result) -> bool:
        if self._index.unchanged(path, status):
            return False
        if self._index.stats[path] != file_stat(status) or not stat.S_ISREG(status.st_mode):
            return self._index.stats[path] != file_stat(status)
        fd = _open(folder, trees.split(path)[1])  # written shortly before the handover: times cannot tell
        try:
            return self._objects.name_of(fd, status.st_size) != self._index.inner[path]
        finally:
            os.close(fd)


def ignore_files(objects: Objects, listing: Listing) -> dict[bytes, bytes]:
    """The content of each `.gitignore`, by its folder."""
    files = {folder: entries[b".gitignore"] for folder, entries in listing.items() if b".gitignore" in entries}
    return {folder: objects.read(entry.oid) for folder, entry in files.items() if entry.mode in trees.REGULAR}


def _leads_to_artifacts(path: bytes, is_folder: bool) -> bool:
    """Whether the path is an artifact, or a folder above them. Artifacts are included even if they are ignored."""
    if path == ARTIFACTS or path.startswith(ARTIFACTS + b"/"):
        return True
    return is_folder and ARTIFACTS.startswith(path + b"/")


def _open(folder: int, name: bytes) -> int:
    try:
        return os.open(name, _FILE_FLAGS, dir_fd=folder)
    except PermissionError:
        os.chmod(name, 0o600, dir_fd=folder)
        return os.open(name, _FILE_FLAGS, dir_fd=folder)


def _kind(status: os.stat_result) -> str:
    kinds = {stat.S_IFIFO: "a fifo", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}
    return kinds.get(stat.S_IFMT(status.st_mode), "a special file")
