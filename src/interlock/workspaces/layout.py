"""Plain checkouts: lay a tree's files out, and put them back.

Another kind of checkout (an overlay over a template) would replace this, and `removal`. Rule: content goes byte
for byte, without filters, in both directions.

The paths that setup leaves: cleared of what the tree has there, so that a tool never comes from a candidate.

Rule: what setup made replaces, it is never merged. Nothing is written, moved or removed through a symbolic link.
"""

# Paths are bytes here, which pathlib cannot hold.
# ruff: noqa: PTH102, PTH108, PTH211

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interlock.core.pipeline import Setup
from interlock.ports import InfrastructureError
from interlock.ports.disk import disk_error
from interlock.process import capture
from interlock.workspaces import trees
from interlock.workspaces.objects import Objects
from interlock.workspaces.removal import is_folder, remove
from interlock.workspaces.trees import Entry, Listing

_TICK_NS = 20_000_000  # coarsest clock of a file system in use, but for those that keep whole seconds only
_COARSE_NS = 2_000_000_000

FileStat = tuple[int, int, int, int, int]  # mode, size, mtime, ctime (ns), inode


@dataclass(slots=True)
class CheckoutIndex:
    """What a checkout looked like when it was handed over, to see cheaply what has changed since.

    A file is unchanged where mode, size, times and inode are. An agent can set the mtime back but not the
    ctime; files whose ctime is too close to `until_ns` are read in any case.
    """

    stats: dict[bytes, FileStat] = field(default_factory=dict)
    until_ns: int = 0
    inner: dict[bytes, str] = field(default_factory=dict)  # files of submodules, and the blobs that they are
    setup_files: frozenset[bytes] = frozenset()  # what setup and carry left, relative to the root
    replaced: frozenset[bytes] = frozenset()  # where what setup made stands in place of what the tree has

    def unchanged(self, path: bytes, now: os.stat_result) -> bool:
        return self.stats.get(path) == file_stat(now) and now.st_ctime_ns < self.until_ns

    def is_replaced(self, path: bytes) -> bool:
        """Whether a tracked file of this path is not the tree's here, but setup's or not there."""
        return bool(self.replaced) and any(path == at or path.startswith(at + b"/") for at in self.replaced)


def file_stat(status: os.stat_result) -> FileStat:
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def write_tree(objects: Objects, listing: Listing, tree: Path) -> CheckoutIndex:
    """Write the files of `listing` into the empty folder `tree`; submodules become empty folders.

    Raises InfrastructureError (disk full, an object is missing).
    """
    index = CheckoutIndex()
    root = os.fsencode(tree)
    try:
        for folder in sorted(listing):
            if folder:
                os.mkdir(root + b"/" + folder)
        files, links = [], []
        for path, entry in trees.leaves(listing):
            if entry.mode == trees.LINK:
                links.append((path, entry))
            elif entry.mode == trees.SUBMODULE:
                os.mkdir(root + b"/" + path)
            else:
                files.append((path, entry))
        _write_files(objects, root, files, index)
        _write_links(objects, root, links, index)
    except OSError as error:
        raise disk_error(tree, error) from error
    return index


def rewrite_files(objects: Objects, paths: Iterable[tuple[bytes, Entry]], tree: Path, index: CheckoutIndex) -> None:
    """Put files back as the tree has them, whatever lies there now."""
    root = os.fsencode(tree)
    wanted = list(paths)
    for path, _ in wanted:
        _make_way(root, path)
    _write_files(objects, root, [item for item in wanted if item[1].mode != trees.LINK], index)
    _write_links(objects, root, [item for item in wanted if item[1].mode == trees.LINK], index)


def hand_over(index: CheckoutIndex) -> None:
    """From here on somebody else may write. What was written within the last tick cannot be told by its times."""
    whole = all(status[3] % 1_000_000_000 == 0 for status in index.stats.values())
    index.until_ns = time.time_ns() - (_COARSE_NS if whole else _TICK_NS)


def _make_way(root: bytes, path: bytes) -> None:
    parts = path.split(b"/")
    for depth in range(1, len(parts)):
        folder = root + b"/" + b"/".join(parts[:depth])
        if not is_folder(folder):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder)
            os.mkdir(folder)
    remove(root + b"/" + path)


def _write_files(objects: Objects, root: bytes, files: list[tuple[bytes, Entry]], index: CheckoutIndex) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    contents = objects.stream(entry.oid for _, entry in files)
    for (path, entry), (_, chunks) in zip(files, contents, strict=True):
        fd = os.open(root + b"/" + path, flags, 0o777 if entry.mode == trees.PROGRAM else 0o666)
        try:
            for chunk in chunks:
                write_all(fd, chunk)
            index.stats[path] = file_stat(os.fstat(fd))
        finally:
            os.close(fd)


def _write_links(objects: Objects, root: bytes, links: list[tuple[bytes, Entry]], index: CheckoutIndex) -> None:
    contents = objects.stream(entry.oid for _, entry in links) if links else ()
    for (path, _), (_, chunks) in zip(links, contents, strict=True):
        target = b"".join(chunks)
        os.symlink(target, root + b"/" + path)
        index.stats[path] = file_stat(os.lstat(root + b"/" + path))


def write_all(fd: int, content: bytes) -> None:
    """os.write until all of it is written."""
    written = os.write(fd, content)
    while written < len(content):
        written += os.write(fd, content[written:])


# --- paths in a checkout ---------------------------------------------------------------------


class MisplacedPath(Exception):
    """What setup is to leave, or what is carried in, cannot lie there. The text says why."""


def setup_paths(setups: Sequence[Setup]) -> frozenset[bytes]:
    """The paths that setup replaces, relative to the root."""
    return frozenset(os.fsencode(path.strip("/")) for setup in setups for path in setup.paths)


def clear_path(tree: Path, path: str) -> Path:
    """Remove whatever lies at `path` in the checkout `tree`, and return where that is. Raises MisplacedPath."""
    target = path_within(tree, path)
    remove(target)
    return target


def path_within(tree: Path, path: str) -> Path:
    """`tree/path`, of which every folder above is a real one or is not there. Raises MisplacedPath."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or parts[0] == ".git":
        raise MisplacedPath(f"{path!r} is no path below the root of the checkout: correct `paths`")
    at = tree
    for part in parts[:-1]:
        at /= part
        try:
            mode = at.lstat().st_mode
        except FileNotFoundError:
            break
        if not stat.S_ISDIR(mode):
            what = "a symbolic link" if stat.S_ISLNK(mode) else "no folder"
            where = at.relative_to(tree)
            raise MisplacedPath(f"{where} is {what}, and {path} is to lie below it: let {where} be a folder")
    return tree.joinpath(*parts)


def take_path(tree: Path, path: str, into: Path) -> None:
    """Move what setup left at `path` to the same place below `into`. Raises MisplacedPath and OSError."""
    source, target = path_within(tree, path), into / path
    if not source.exists() and not source.is_symlink():
        raise MisplacedPath(f"the command left no {source.name}, which `paths` names")
    if source.is_symlink() and not source.resolve().is_relative_to(tree.resolve()):
        raise MisplacedPath(f"{path} is a symbolic link out of the checkout: let setup leave a file or a folder there")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


def put_path(made: Path, path: str, tree: Path, environ: Mapping[str, str]) -> None:
    """What was made, in place of what the checkout has. Raises MisplacedPath, InfrastructureError."""
    if (made / path).exists() or (made / path).is_symlink():
        copy_tree(made / path, clear_path(tree, path), environ)


def copy_tree(source: Path, target: Path, environ: Mapping[str, str]) -> None:
    """A copy with modes, times and symlinks, sharing no file with the source. `target` is not there yet. Raises
    InfrastructureError."""
    clone = ["-cRp"] if sys.platform == "darwin" else ["-a", "--reflink=auto", "-T"]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(target, error) from error
    done = capture(["cp", *clone, "--", str(source), str(target)], env=environ, timeout_s=1800)
    if done.code:
        raise InfrastructureError(f"{target}: cannot be copied: {done.err.decode(errors='replace').strip()[-500:]}")
