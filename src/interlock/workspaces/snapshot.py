"""Reading what an agent left: files only, with an own walker, never through git.

Rule: nothing is followed and nothing is executed. The walk opens folders relative to each other with
O_NOFOLLOW; what cannot be part of a commit is a finding. What the accepted input ignores stays out, and so do caches.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.core.events import Finding
from interlock.ports import InfrastructureError, UnfitTree
from interlock.ports.disk import disk_error
from interlock.workspaces import trees
from interlock.workspaces.ignores import Ignores, is_cache
from interlock.workspaces.layout import CheckoutIndex, file_stat
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry, Listing

ARTIFACTS = b".interlock/artifacts"
FINDINGS_MAX = 50
LEFT_OUT_MAX = 1000
ENTRIES_MAX = 2_000_000
DEPTH_MAX = 200
FILE_BYTES_MAX = 2 << 30

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Known:
    """What the tree is compared with: the accepted input, its ignore rules, and what was index out.

    `pointers` are files kept elsewhere (Git LFS): the sha256 of the content that stands for the entry.
    """

    listing: Listing
    ignores: Ignores
    index: CheckoutIndex
    pointers: Mapping[bytes, str] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """What differs from the accepted input: new entries, None for what is gone; and what did not come along."""

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


def printable(path: bytes) -> str:
    """A path for people: control characters and foreign bytes escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def read_changes(objects: Objects, tree: Path, known: Known) -> Found:
    """Everything in `tree` that differs from the accepted input, its content stored as blobs.

    Raises UnfitTree where the folder is gone, and InfrastructureError where it cannot be read.
    """
    try:
        root = os.open(tree, _FOLDER_FLAGS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnfitTree((Finding("workspace.gone", "the agent removed its own workspace"),)) from error
    except OSError as error:
        raise disk_error(tree, error) from error
    return _Walk(objects, known).run(root)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of the walk. `ignored`: it lies below an ignored one, so what is new in it stays out."""

    path: bytes
    fd: int
    ignored: bool
    depth: int


class _Walk:
    """Owns the open folders of one walk."""

    def __init__(self, objects: Objects, known: Known) -> None:
        self._objects = objects
        self._known = known
        self._found = Found()
        self._waiting: list[_Folder] = []
        self._met: set[bytes] = set()  # tracked leaves that are there, or that a finding is about
        self._entries = 0

    def run(self, root: int) -> Found:
        self._waiting.append(_Folder(b"", root, False, 0))
        try:
            while self._waiting:
                folder = self._waiting.pop()
                try:
                    self._walk(folder)
                finally:
                    os.close(folder.fd)
        except OSError as error:
            raise InfrastructureError(f"a workspace cannot be read: {error.strerror}") from error
        finally:
            for folder in self._waiting:
                os.close(folder.fd)
        for path, _ in trees.leaves(self._known.listing):
            if path not in self._met and not self._known.index.is_replaced(path):
                self._found.edits[path] = None
        return self._found

    def _walk(self, folder: _Folder) -> None:
        with os.scandir(folder.fd) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = os.fsencode(entry.name)
                if not folder.path and name == b".git":
                    continue  # the agent's own throw-away repository: never read
                self._entries += 1
                if self._entries > ENTRIES_MAX:
                    raise UnfitTree((Finding("workspace.too_many", f"more than {ENTRIES_MAX:,} files were left"),))
                self._entry(folder, name, entry.stat(follow_symlinks=False))

    def _entry(self, folder: _Folder, name: bytes, status: os.stat_result) -> None:
        path = trees.joined(folder.path, name)
        tracked = self._known.listing.get(folder.path, {}).get(name)
        is_folder = stat.S_ISDIR(status.st_mode)
        if tracked is not None and tracked.mode == trees.SUBMODULE and is_folder:
            self._submodule(folder, path, name)
        elif path in self._known.index.replaced or (
            tracked is None and self._is_left_out(folder, path, name, is_folder)
        ):
            self._found.leave_out(path + b"/" if is_folder else path)
        elif trees.is_git_name(name):
            self._found.refuse("nested_repository", f"{printable(path)}: a repository inside the tree", path)
        elif is_folder:
            self._enter(folder, path, name)
        elif tracked is None or tracked.mode == trees.FOLDER or not self._known.index.unchanged(path, status):
            self._leaf(folder, path, status, None if tracked is None or tracked.mode == trees.FOLDER else tracked)
        else:
            self._met.add(path)

    def _is_left_out(self, folder: _Folder, path: bytes, name: bytes, is_folder: bool) -> bool:
        if path in self._known.index.setup_files:
            return True
        if _leads_to_artifacts(path, is_folder):
            return False
        if folder.ignored or self._known.ignores.matches(path, is_folder=is_folder):
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
        ignored = folder.ignored or self._known.ignores.matches(path, is_folder=True)
        self._waiting.append(_Folder(path, fd, ignored, folder.depth + 1))

    def _leaf(self, folder: _Folder, path: bytes, status: os.stat_result, tracked: Entry | None) -> None:
        self._met.add(path)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(trees.split(path)[1], dir_fd=folder.fd)
            now = Entry(trees.LINK, self._objects.write("blob", target))
        elif not stat.S_ISREG(status.st_mode):
            self._found.refuse("special", f"{printable(path)}: {_kind(status)}, which no commit can hold", path)
            return
        elif status.st_size > FILE_BYTES_MAX:
            said = f"{printable(path)}: {status.st_size:,} bytes, and {FILE_BYTES_MAX:,} is the most"
            self._found.refuse("too_large", said, path)
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
            pointer = self._known.pointers.get(path)
            if pointer is not None and tracked is not None:
                return self._pointer(fd, path, Entry(mode, tracked.oid), pointer)
            known = "" if tracked is None else tracked.oid
            return Entry(mode, self._objects.write_file(fd, size, known))
        finally:
            os.close(fd)

    def _pointer(self, fd: int, path: bytes, entry: Entry, sha256: str) -> Entry:
        """A file kept in Git LFS: unchanged it stays its pointer; a change of it has nowhere to go."""
        with open(fd, "rb", closefd=False) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != sha256:
            self._found.refuse("lfs", f"{printable(path)}: changed, but it is kept in Git LFS: leave it as it is", path)
        return entry

    def _submodule(self, folder: _Folder, path: bytes, name: bytes) -> None:
        """Its files were index in as they are; a change of them has nowhere to go."""
        self._met.add(path)
        prefix = path + b"/"
        expected = {inner for inner in self._known.index.stats if inner.startswith(prefix)}
        fd = os.open(name, _FOLDER_FLAGS, dir_fd=folder.fd)
        changed = _Submodule(self._objects, self._known.index, path, expected).first_change(fd)
        if changed is not None:
            said = (
                f"{printable(changed)}: changed inside the submodule {printable(path)}: change it in its own repository"
            )
            self._found.refuse("submodule", said, changed)


class _Submodule:
    """Compares a submodule's files with what was index in."""

    def __init__(self, objects: Objects, index: CheckoutIndex, path: bytes, expected: set[bytes]) -> None:
        self._objects = objects
        self._laid = index
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
        if self._laid.unchanged(path, status):
            return False
        if self._laid.stats[path] != file_stat(status) or not stat.S_ISREG(status.st_mode):
            return self._laid.stats[path] != file_stat(status)
        fd = _open(folder, trees.split(path)[1])  # index in a moment before it was handed over: times cannot tell
        try:
            return self._objects.name_of(fd, status.st_size) != self._laid.inner[path]
        finally:
            os.close(fd)


def leaving(links: Mapping[bytes, bytes]) -> set[bytes]:
    """The symlinks of a tree (path and target) that lead out of it, through other symlinks or not."""
    return {path for path in links if _leaves(path, links)}


def ignore_files(objects: Objects, listing: Listing) -> dict[bytes, bytes]:
    """The content of each `.gitignore`, by its folder."""
    files = {folder: entries[b".gitignore"] for folder, entries in listing.items() if b".gitignore" in entries}
    return {folder: objects.read(entry.oid) for folder, entry in files.items() if entry.mode in trees.REGULAR}


def refuse_links(objects: Objects, tree: str, parent: str) -> None:
    """Raises UnfitTree for symlinks that leave the tree, and did not in its parent."""
    paths = unfit_links(objects.listing(tree), objects.listing(parent), objects.read)
    if paths:
        raise UnfitTree(tuple(_link_finding(path) for path in paths[:FINDINGS_MAX]))


def _link_finding(path: bytes) -> Finding:
    return Finding("workspace.link", f"{printable(path)}: a symlink that leads out of the tree", file=printable(path))


def unfit_links(listing: Listing, base: Listing, target_of: Callable[[str], bytes]) -> list[bytes]:
    """Symlinks of `listing` that leave the tree, but for those that are the same and left it in `base` too."""
    now = _links(listing, target_of)
    if not now:
        return []
    out = leaving(now)
    before = leaving(_links(base, target_of)) if out else set()
    return sorted(path for path in out if path not in before or trees.get(base, path) != trees.get(listing, path))


def _links(listing: Listing, target_of: Callable[[str], bytes]) -> dict[bytes, bytes]:
    return {path: target_of(entry.oid) for path, entry in trees.leaves(listing) if entry.mode == trees.LINK}


def _leaves(path: bytes, links: Mapping[bytes, bytes]) -> bool:
    """Resolve one symlink by the tree's own entries. A loop stays inside, wherever it turns."""
    at: list[bytes] = trees.split(path)[0].split(b"/") if b"/" in path else []
    target = links[path]
    if target.startswith(b"/"):
        return True
    todo = list(reversed(target.split(b"/")))
    for _ in range(10_000):
        if not todo:
            return bool(at) and trees.is_git_name(at[0])
        part = todo.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not at:
                return True
            at.pop()
            continue
        at.append(part)
        if at and trees.is_git_name(at[0]):
            return True
        inner = links.get(b"/".join(at))
        if inner is not None:
            if inner.startswith(b"/"):
                return True
            at.pop()
            todo += reversed(inner.split(b"/"))
    return False


def _leads_to_artifacts(path: bytes, is_folder: bool) -> bool:
    """Artifacts come along even where they are ignored, and so the folders that lead to them are entered."""
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
