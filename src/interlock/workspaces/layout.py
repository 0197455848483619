"""The files of a checkout: write and restore a tree's files, place the paths of setup among them, and remove folders
with any content (read-only folders, deep ones, odd names).

Rule: contents are written byte for byte, without filters.

Rule: the output of setup replaces the tree's files at its paths and is never merged with them, so a tool never comes
from a candidate. Nothing is written, moved or removed through a symbolic link.

Rule: a path that cannot be removed does not stop the removal of others. Mounted files are not removed.
"""

# Paths are bytes here, which pathlib cannot hold.
# ruff: noqa: PTH101, PTH102, PTH108, PTH120, PTH211

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from interlock.core.pipeline import Setup
from interlock.ports import InfrastructureError
from interlock.ports.disk import disk_error
from interlock.process import capture
from interlock.workspaces import trees
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry, Listing

_TICK_NS = 20_000_000  # the coarsest clock of common file systems, except those that store whole seconds
_COARSE_NS = 2_000_000_000

FileStat = tuple[int, int, int, int, int]  # mode, size, mtime, ctime (ns), inode


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of a checkout that is an overlay: what it was made from, and what was changed since."""

    lower: Path
    upper: Path


@dataclass(slots=True)
class CheckoutIndex:
    """The state of a checkout when it was handed over, to find changes cheaply.

    A file is unchanged if its mode, size, times and inode are. An agent can reset the mtime but not the ctime; files
    whose ctime is too close to `until_ns` are always read.
    """

    stats: dict[bytes, FileStat] = field(default_factory=dict)
    until_ns: int = 0
    inner: dict[bytes, str] = field(default_factory=dict)  # files of submodules, with their blobs
    setup_files: frozenset[bytes] = frozenset()  # paths of setup and carried files, relative to the root
    replaced: frozenset[bytes] = frozenset()  # paths where the output of setup replaces the tree's files
    layers: Layers | None = None  # if it is an overlay
    above: frozenset[bytes] = frozenset()  # files of the input that only the upper layer has: no whiteout replaces them

    def unchanged(self, path: bytes, now: os.stat_result) -> bool:
        return self.stats.get(path) == file_stat(now) and now.st_ctime_ns < self.until_ns

    def is_replaced(self, path: bytes) -> bool:
        """Whether setup replaces the tree's file at this path, or it does not exist because of that."""
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
    """Write files again as the tree has them, whatever exists at their paths."""
    root = os.fsencode(tree)
    wanted = list(paths)
    for path, _ in wanted:
        _make_way(root, path)
    _write_files(objects, root, [item for item in wanted if item[1].mode != trees.LINK], index)
    _write_links(objects, root, [item for item in wanted if item[1].mode == trees.LINK], index)


def hand_over(index: CheckoutIndex) -> None:
    """Call this before an agent or gate may write. Files written within the last clock tick must be read to compare
    them."""
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


def write_all(fd: int, content: bytes | memoryview) -> None:
    """Write all of `content`."""
    written = os.write(fd, content)
    while written < len(content):
        written += os.write(fd, content[written:])


# --- paths in a checkout ---------------------------------------------------------------------


class MisplacedPath(Exception):
    """A path of setup, or of a carried file, is not allowed. The text says why."""


def setup_paths(setups: Sequence[Setup]) -> frozenset[bytes]:
    """The paths of setup, relative to the root."""
    return frozenset(os.fsencode(path.strip("/")) for setup in setups for path in setup.paths)


def clear_path(tree: Path, path: str) -> Path:
    """Remove whatever exists at `path` in the checkout `tree`, and return its full path. Raises MisplacedPath."""
    target = path_within(tree, path)
    remove(target)
    return target


def path_within(tree: Path, path: str) -> Path:
    """`tree/path`. Each folder above it is a real folder or does not exist. Raises MisplacedPath."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or parts[0] == ".git":
        raise MisplacedPath(f"{path!r} is not a path below the root of the checkout: correct `paths`")
    at = tree
    for part in parts[:-1]:
        at /= part
        try:
            mode = at.lstat().st_mode
        except FileNotFoundError:
            break
        if not stat.S_ISDIR(mode):
            what = "a symbolic link" if stat.S_ISLNK(mode) else "not a folder"
            where = at.relative_to(tree)
            raise MisplacedPath(f"{where} is {what}, and {path} must be below it: make {where} a folder")
    return tree.joinpath(*parts)


def take_path(tree: Path, path: str, into: Path) -> None:
    """Move the output of setup at `path` to the same path below `into`. Raises MisplacedPath and OSError."""
    source, target = path_within(tree, path), into / path
    if not source.exists() and not source.is_symlink():
        raise MisplacedPath(f"the command did not create {source.name}, which `paths` names")
    if source.is_symlink() and not source.resolve().is_relative_to(tree.resolve()):
        raise MisplacedPath(f"{path} is a symbolic link out of the checkout: let setup create a file or a folder there")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


def put_path(made: Path, path: str, tree: Path, environ: Mapping[str, str]) -> None:
    """Replace `path` in the checkout with the output of setup. Raises MisplacedPath, InfrastructureError."""
    if (made / path).exists() or (made / path).is_symlink():
        copy_tree(made / path, clear_path(tree, path), environ)


def copy_tree(source: Path, target: Path, environ: Mapping[str, str]) -> None:
    """Copy with modes, times and symlinks. The copy shares no file with the source; `target` must not exist. Raises
    InfrastructureError."""
    clone = ["-cRp"] if sys.platform == "darwin" else ["-a", "--reflink=auto", "-T"]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(target, error) from error
    done = capture(["cp", *clone, "--", str(source), str(target)], env=environ, timeout_s=1800)
    if done.code:
        raise InfrastructureError(f"{target}: cannot be copied: {done.err.decode(errors='replace').strip()[-500:]}")


# --- removal ------------------------------------------------------------------------------------


_DEPTH_MAX = 64  # deeper folders are moved up, so that no path becomes too long


def remove(path: Path | bytes) -> None:
    """Remove a folder or a file. It is no error if it does not exist.

    Raises InfrastructureError if something cannot be removed; everything else is removed then.
    """
    root = os.fsencode(path)
    work = _Removal(root, _mounts_below(root))
    work.run()
    if work.first is not None:
        stays, why = work.first
        more = f" (and {work.stays - 1} more)" if work.stays > 1 else ""
        raise InfrastructureError(f"{os.fsdecode(stays)}: cannot be removed: {why}{more}: unmount or remove it by hand")


def is_folder(path: bytes) -> bool:
    """Whether the path is a folder. A link to a folder is none."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


@dataclass(slots=True)
class _Removal:
    """The state of one removal. `first` is the first path that cannot be removed, and why."""

    root: bytes
    mounts: frozenset[bytes]
    stays: int = 0
    first: tuple[bytes, str] | None = None
    _moved: list[bytes] = field(default_factory=list)

    def run(self) -> None:
        """Depth first. Folders deeper than `_DEPTH_MAX` are moved beside the root and removed later."""
        with self._noting(self.root):
            if not is_folder(self.root):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.root)
                return
        waiting = [self.root]
        while waiting:
            self._empty(waiting.pop(), waiting)

    def _empty(self, top: bytes, waiting: list[bytes]) -> None:
        stack = [(top, self._strip(top))]
        while stack:
            folder, below = stack[-1]
            if not below:
                stack.pop()
                self._try(folder, partial(os.rmdir, folder))
            elif len(stack) < _DEPTH_MAX:
                child = below.pop()
                stack.append((child, self._strip(child)))
            else:
                child = below.pop()
                aside = self.root + b".deep-%d" % (len(self._moved) + 1)
                self._moved.append(aside)
                if self._try(child, partial(os.rename, child, aside)):
                    waiting.append(aside)

    def _strip(self, folder: bytes) -> list[bytes]:
        """Remove the files in `folder` and return its folders. Mounted files stay."""
        if folder in self.mounts:
            self._note(folder, os.strerror(errno.EBUSY))
            return []
        below: list[bytes] = []
        with self._noting(folder):
            for entry in _entries(folder):
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                else:
                    self._try(entry.path, partial(os.unlink, entry.path))
        return below

    def _try(self, path: bytes, act: Callable[[], None]) -> bool:
        """Do `act`. If the parent folder forbids it, change that folder's mode and repeat. Whether it worked."""
        before = self.stays
        with self._noting(path):
            try:
                act()
            except FileNotFoundError:
                pass
            except PermissionError:
                os.chmod(os.path.dirname(path), 0o700)
                act()
        return self.stays == before

    @contextlib.contextmanager
    def _noting(self, path: bytes) -> Iterator[None]:
        """Note errors of the system. A path that does not exist is no error."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or self.first is None:  # not empty because of a path noted before
                self._note(path, error.strerror or str(error))

    def _note(self, path: bytes, why: str) -> None:
        self.first = self.first or (path, why)
        self.stays += 1


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        os.chmod(folder, 0o700)
        with os.scandir(folder) as entries:
            return list(entries)


def _mounts_below(root: bytes) -> frozenset[bytes]:
    """The mount points below `root`, if the system lists them."""
    try:
        with open("/proc/self/mountinfo", "rb") as table:  # noqa: PTH123
            points = [line.split(b" ", 5)[4] for line in table if line.count(b" ") > 4]
    except OSError:
        return frozenset()
    plain = (re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), point) for point in points)
    real = os.path.realpath(root)
    return frozenset(root + point[len(real) :] for point in plain if point.startswith(real + b"/"))
