"""The temporary `.git` of a checkout: one commit, or two for a gate, without history and without access to the store.

Rule: nothing is written through a link: `settle` runs in the checkout before its repository is complete.

It is a convenience for agents and gates; Interlock never reads it. It is written as files: a pack of the nearest tree
that has one (packs are kept in the store), further objects, and an index that agrees with the files, so that the first
`git status` is fast.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import re
import shutil
import struct
import threading
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock.ports import disk
from interlock.ports.disk import disk_error
from interlock.workspaces import trees
from interlock.workspaces.git import Git
from interlock.workspaces.layout import CheckoutIndex, write_all
from interlock.workspaces.objects import Commit, Objects
from interlock.workspaces.trees import Listing

BRANCH = "work"
ATTRIBUTES = "* -text !eol -ident -filter !working-tree-encoding\n"
_LOOSE_MAX = 200  # objects that are not in the pack; above, a new pack is made
_ANCESTORS_MAX = 64
_ASSUME_VALID = 0x8000  # git does not check the file
_BEFORE_OID = 40  # bytes of an entry of the index
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

Offsets = Sequence[int]  # where each entry of an index begins, and where the last one ends


class TreePacks:
    """Packs of complete trees, by the tree's id, in one folder."""

    def __init__(self, git: Git, objects: Objects, folder: Path) -> None:
        self._git = git
        self._objects = objects
        self._folder = folder

    def nearest(self, commit: Commit) -> str:
        """The tree of `commit`, or of an ancestor, that has a pack. If there is none, make a pack of its own tree."""
        at: Commit | None = commit
        wanted: set[str] | None = None
        for _ in range(_ANCESTORS_MAX):
            if at is None:
                break
            if self._is_there(at.tree):
                if at.tree == commit.tree:
                    return at.tree
                wanted = wanted or self.objects_of(commit.tree)
                if len(wanted - self.objects_of(at.tree)) <= _LOOSE_MAX:
                    return at.tree
            at = self._parent(at)
        self._make(commit.tree)
        return commit.tree

    def objects_of(self, tree: str) -> set[str]:
        return trees.oids(self._objects.listing(tree), tree)

    def copy(self, tree: str, into: Path) -> None:
        """Copy the pack of `tree` into the folder `into`."""
        for suffix in (".pack", ".idx"):
            source = self._pack(tree).with_suffix(suffix)
            copy_file(source, into / f"pack-{tree}{suffix}")
        os.utime(source)  # its last use, for gc

    def _pack(self, tree: str) -> Path:
        return self._folder / f"{tree}.pack"

    def _is_there(self, tree: str) -> bool:
        return all(self._pack(tree).with_suffix(suffix).exists() for suffix in (".pack", ".idx"))

    def _parent(self, commit: Commit) -> Commit | None:
        if not commit.parents or self._objects.lookup(commit.parents[0]) is None:
            return None
        return self._objects.commit(commit.parents[0])

    def _make(self, tree: str) -> None:
        wanted = "\n".join(sorted(self.objects_of(tree))) + "\n"
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = (
            self._folder / f"new-{os.getpid()}-{threading.get_ident()}-{tree}"
        )  # several threads may make the same one
        done = self._git.call("pack-objects", "-q", "--window=0", "--threads=1", str(stem), stdin=wanted.encode())
        made = f"{stem}-{done.out.decode().strip()}"
        for suffix in (".pack", ".idx"):  # the index last: it says that the pack is complete
            Path(made + suffix).replace(self._pack(tree).with_suffix(suffix))
            disk.sync_files([self._folder])
        with contextlib.suppress(FileNotFoundError):
            Path(made + ".rev").unlink()


def write_repository(objects: Objects, packs: TreePacks, tree: Path, commits: Sequence[Commit]) -> None:
    """Make `tree/.git`: HEAD at the last of `commits`, the branch `base` at the first. `write_index` adds the index."""
    root = tree / ".git"
    try:
        for folder in ("objects/pack", "objects/info", "refs/heads", "info"):
            (root / folder).mkdir(parents=True)
        _objects(objects, packs, tree, commits)
        _file(root / "HEAD", f"ref: refs/heads/{BRANCH}\n")
        _point(root, commits)
        _file(root / "config", _config(objects.algorithm))
        _file(root / "info/attributes", ATTRIBUTES)
    except OSError as error:
        raise disk_error(root, error) from error


def point_at(objects: Objects, tree: Path, commits: Sequence[Commit], wanted: Iterable[str], former: str) -> None:
    """Make `tree/.git`, which was written for the commit `former`, one of `commits`. Their objects that it does not
    have are `wanted`."""
    root, oids = tree / ".git", {commit.oid for commit in commits}
    try:
        _loose(objects, tree, {*wanted, *oids} - {former})
        if oids != {former}:
            _point(root, commits)
    except OSError as error:
        raise disk_error(root, error) from error


def _point(root: Path, commits: Sequence[Commit]) -> None:
    refs = {f"refs/heads/{BRANCH}": commits[-1].oid, "refs/heads/base": commits[0].oid}
    _file(root / "packed-refs", _PACKED + "".join(f"{oid} {ref}\n" for ref, oid in sorted(refs.items())))
    _file(root / "shallow", "".join(f"{oid}\n" for oid in _shallow(commits)))


def add_branches(objects: Objects, tree: Path, beside: Commit, branches: Mapping[str, str]) -> None:
    """Add branches to `tree/.git`, each a commit without its history. The objects of `beside` are there already."""
    if not branches:
        return
    commits = {name: objects.commit(oid) for name, oid in branches.items()}
    wanted = {commit.oid for commit in commits.values()} - {beside.oid}
    for commit in commits.values():
        wanted |= trees.oids(objects.listing(commit.tree), commit.tree)
    wanted -= trees.oids(objects.listing(beside.tree), beside.tree)
    _loose(objects, tree, wanted)
    cut = {*_shallow([beside]), *({commit.oid for commit in commits.values()} - {beside.oid})}
    lines = {f"refs/heads/{name}": [commit.oid] for name, commit in commits.items()} | {"shallow": sorted(cut)}
    for name, oids in lines.items():
        with _written_anew(tree, name) as file:
            write_all(file, "".join(f"{oid}\n" for oid in oids).encode())


def write_index(objects: Objects, listing: Listing, index: CheckoutIndex, tree: Path) -> Offsets:
    """Write `tree/.git/index`, in agreement with the files of the checkout (git's index-format, version 2). Returns
    where each entry begins, and where the last one ends."""
    entries = sorted(trees.leaves(listing))
    parts = [_index_head(len(entries))]
    offsets = array("Q", [len(parts[0])])
    for path, entry in entries:
        parts.append(_index_entry(path, entry, index))
        offsets.append(offsets[-1] + len(parts[-1]))
    _write_signed(objects, tree, [b"".join(parts)])
    return offsets


@dataclass(frozen=True, slots=True)
class Indexed:
    """The `.git/index` of the checkout `tree`: where each entry begins, and where the last one ends."""

    tree: Path
    offsets: Offsets


def splice_index(
    objects: Objects, edits: Mapping[bytes, trees.Entry | None], index: CheckoutIndex, former: Indexed, tree: Path
) -> None:
    """Write `tree/.git/index`: that of `former` with these entries in place of those with the same paths; None removes
    one. Nothing but what is written is copied, since the index of a large tree has megabytes."""
    try:
        with (former.tree / ".git/index").open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise disk_error(former.tree, error) from error
    view, offsets = memoryview(content), former.offsets
    before_path = _BEFORE_OID + objects.oid_bytes + 2

    def path_at(offset: int) -> bytes:
        return content[offset + before_path : content.find(b"\0", offset + before_path)]

    parts: list[bytes | memoryview] = [b""]
    begin, count = offsets[0], len(offsets) - 1
    for path, entry in sorted(edits.items()):
        at = bisect_left(offsets, path, hi=len(offsets) - 1, key=path_at)
        is_there = at < len(offsets) - 1 and path_at(offsets[at]) == path
        parts.append(view[begin : offsets[at]])
        begin = offsets[at + 1] if is_there else offsets[at]
        if entry is not None:
            parts.append(_index_entry(path, entry, index))
        count += (entry is not None) - is_there
    parts.append(view[begin : offsets[-1]])
    parts[0] = _index_head(count)
    _write_signed(objects, tree, parts)


def _index_head(count: int) -> bytes:
    return b"DIRC" + struct.pack(">II", 2, count)


def _write_signed(objects: Objects, tree: Path, parts: Iterable[bytes | memoryview]) -> None:
    digest = hashlib.new(objects.algorithm)
    with _written_anew(tree, "index") as file:
        for part in parts:
            digest.update(part)
            write_all(file, part)
        write_all(file, digest.digest())


@contextlib.contextmanager
def _written_anew(tree: Path, name: str) -> Iterator[int]:
    """A new file `tree/.git/NAME`, in place of what is there: a program of setup may have left a link. Raises
    InfrastructureError."""
    fd = os.open(tree, _FOLDER_FLAGS)
    try:
        for folder in (".git", *name.split("/")[:-1]):
            if folder != ".git":
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=fd)
            below = os.open(folder, _FOLDER_FLAGS, dir_fd=fd)
            os.close(fd)
            fd = below
        leaf = name.rpartition("/")[2]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(leaf, dir_fd=fd)
        file = os.open(leaf, _NEW_FLAGS, 0o644, dir_fd=fd)
        try:
            yield file
        finally:
            os.close(file)
    except OSError as error:
        raise disk_error(tree / ".git" / name, error) from error
    finally:
        os.close(fd)


def exclude(tree: Path, left: Iterable[bytes]) -> None:
    """Make git in the checkout `tree` ignore these paths, relative to its root: they are not the agent's work."""
    escaped = (re.sub(rb"([\\*?\[ ])", rb"\\\1", path) for path in left if b"\n" not in path)
    with _written_anew(tree, "info/exclude") as file:
        write_all(file, b"".join(b"/" + path + b"\n" for path in sorted(escaped)))


def copy_file(source: Path, target: Path) -> None:
    """Copy a file. A writer of the copy cannot change the source."""
    shutil.copyfile(source, target)


_PACKED = "# pack-refs with: peeled fully-peeled sorted \n"


def _config(algorithm: str) -> str:
    plain = algorithm == "sha1"
    return (
        f"[core]\n\trepositoryformatversion = {0 if plain else 1}\n\tfilemode = true\n\tbare = false\n"
        "\tlogallrefupdates = true\n\ttrustctime = false\n\tcheckStat = minimal\n"
        "[gc]\n\tauto = 0\n"
        "[user]\n\tname = Agent\n\temail = agent@localhost\n"
        + ("" if plain else f"[extensions]\n\tobjectFormat = {algorithm}\n")
    )


def _shallow(commits: Sequence[Commit]) -> Iterable[str]:
    """The commits whose parents are not in the repository."""
    there = {commit.oid for commit in commits}
    return sorted(commit.oid for commit in {c.oid: c for c in commits}.values() if not set(commit.parents) <= there)


def _objects(objects: Objects, packs: TreePacks, tree: Path, commits: Sequence[Commit]) -> None:
    pack = packs.nearest(commits[-1])
    packs.copy(pack, tree / ".git/objects/pack")
    have = packs.objects_of(pack)
    wanted = {commit.oid for commit in commits}
    for each in {commit.tree for commit in commits} - {pack}:
        wanted |= packs.objects_of(each) - have
    _loose(objects, tree, wanted)


def _loose(objects: Objects, tree: Path, wanted: Iterable[str]) -> None:
    beyond = sorted(wanted)
    for oid, (kind, chunks) in zip(beyond, objects.stream(beyond), strict=True):
        content = b"".join(chunks)
        with _written_anew(tree, f"objects/{oid[:2]}/{oid[2:]}") as file:
            write_all(file, zlib.compress(f"{kind} {len(content)}\0".encode() + content, 1))


def _index_entry(path: bytes, entry: trees.Entry, index: CheckoutIndex) -> bytes:
    mode, size, mtime, ctime, inode = index.stats.get(path, (0, 0, 0, 0, 0))
    del mode
    head = struct.pack(
        ">10I",
        *(ctime // 10**9 & 0xFFFFFFFF, ctime % 10**9, mtime // 10**9 & 0xFFFFFFFF, mtime % 10**9),
        *(0, inode & 0xFFFFFFFF, int(entry.mode, 8), 0, 0, size & 0xFFFFFFFF),
    )
    oid = bytes.fromhex(entry.oid)
    flags = min(len(path), 0xFFF) | (_ASSUME_VALID if index.is_replaced(path) else 0)
    body = head + oid + struct.pack(">H", flags) + path
    return body + b"\0" * (8 - len(body) % 8)


def _file(path: Path, text: str) -> None:
    path.write_text(text)
