"""Garbage collection, and the disk usage.

Rule: everything younger than a day stays, and everything that a live ref reaches.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from interlock.ports import InfrastructureError, disk
from interlock.process import end_supervised
from interlock.workspaces import layers, storage, templates
from interlock.workspaces.git import Git
from interlock.workspaces.layout import remove

YOUNG_S = 86_400.0
_ROOTS = ("*/*-*.*-*", "room-*", "gate-*", "setup-*")
_OWN = ("kits", "setup", "templates", "tmp", storage.HELD_OUT)


@dataclass(frozen=True, slots=True)
class GcPolicy:
    """What to keep. A live ref that ends in a slash stands for all refs below it: refs/interlock/RUN/ for a run.

    A live `refs/bases/COMMIT` keeps an imported base. While any ref is live, so are the contents of LFS pointers. The
    records of handoffs stay, as the history does.
    """

    live_refs: tuple[str, ...]
    older_than_s: float
    now: float

    @property
    def before(self) -> float:
        return self.now - max(self.older_than_s, YOUNG_S)

    def spares(self, ref: str) -> bool:
        if ref.startswith(f"{storage.RECORDS}/"):
            return True
        if ref.startswith(f"{storage.CONTENTS}/"):
            return bool(self.live_refs)
        return any(ref == live or (live.endswith("/") and ref.startswith(live)) for live in self.live_refs)


def sweep(folders: Sequence[Path]) -> int:
    """Remove all checkouts in these folders, and end what still runs in them: their owner is dead. Returns how many
    there were. What cannot be removed stays."""
    roots = [root for folder in folders for pattern in _ROOTS for root in folder.glob(pattern)]
    for root in roots:
        end_supervised(root)
        layers.unmount(root)
        with suppress(InfrastructureError):
            remove(root)
    return len(roots)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed: bytes on the disk, objects, refs, checkouts, and copies of blobs. `stays` says what could not
    be removed, and why."""

    bytes: int = 0
    objects: int = 0
    refs: int = 0
    checkouts: int = 0
    stays: tuple[str, ...] = ()
    blobs: int = 0


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Bytes on the disk: objects of the store, packs for checkouts, output of setup, checkouts, and what overlays are
    made over."""

    objects: int
    packs: int
    setups: int
    checkouts: int
    templates: int = 0


def collect(git: Git, store: Path, folders: Sequence[Path], policy: GcPolicy) -> Collected:
    """Remove refs, objects, packs, setups and checkouts that are old and not live. `folders` hold the checkouts."""
    if not storage.exists(store):
        return Collected()
    before = sum(_total(usage(store, folders)))
    gone, stays = _checkouts(folders, policy)
    with storage.locked(store):
        refs = _refs(store, policy)
        for name in ("kits", "setup", "tmp", storage.HELD_OUT):
            old = sorted(_old(storage.own(store, name), policy), key=_says_that_another_is_whole, reverse=True)
            stays += _removed(old)
        stays += _remove_templates(store, policy)
        disk.sync_tree(store)  # else a removed ref could come back and name a pruned object
        objects = _count(git)
        _prune(git, store, policy)
        remaining = _count(git)
    after = sum(_total(usage(store, folders)))
    return Collected(max(0, before - after), max(0, objects - remaining), refs, gone, tuple(stays))


def preview(git: Git, store: Path, folders: Sequence[Path], policy: GcPolicy) -> Collected:
    """What `collect` would remove; nothing is removed. Bytes and objects are upper bounds: an object in a pack counts
    as old if the pack is old."""
    if not storage.exists(store):
        return Collected()
    old = [path for name in _OWN for path in _old(storage.own(store, name), policy)]
    roots = list(_old_checkouts(folders, policy))
    refs = list(_old_refs(store, policy))
    objects, size = _unneeded(git, store, {str(path.relative_to(store)) for path in refs}, policy)
    files = sum(size_of(path) for path in (*old, *roots))
    return Collected(size + files, objects, len(refs), len(roots))


def usage(store: Path, folders: Sequence[Path]) -> DiskUsage:
    """Bytes on the disk; 0 for what does not exist. `folders` hold the checkouts."""
    own = (storage.own(store, name) for name in ("kits", "setup", "templates"))
    kits, setups, made = (size_of(folder) for folder in own)
    return DiskUsage(size_of(store / "objects"), kits, setups, sum(map(size_of, folders)), made)


def size_of(folder: Path) -> int:
    """The bytes on the disk of what is in it; 0 if there is none. What is removed meanwhile counts nothing."""
    return sum(status.st_blocks * 512 for status in _statuses(folder))


def _says_that_another_is_whole(path: Path) -> bool:
    """Whether the file says that another one is complete. It is removed before that one."""
    return path.suffix in (".whole", ".idx")


def _total(used: DiskUsage) -> tuple[int, ...]:
    return used.objects, used.packs, used.setups, used.checkouts, used.templates


def _refs(store: Path, policy: GcPolicy) -> int:
    """Remove refs that are old and not live. Bases of live refs are parents of their commits: the objects stay."""
    removed = 0
    for path in _old_refs(store, policy):
        path.unlink()
        removed += 1
    for folder in sorted((path for path in (store / "refs").rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return removed


def _old_refs(store: Path, policy: GcPolicy) -> Iterator[Path]:
    for path in [path for path in (store / "refs").rglob("*") if path.is_file()]:
        if not policy.spares(str(path.relative_to(store))) and path.stat().st_mtime < policy.before:
            yield path


def _checkouts(folders: Sequence[Path], policy: GcPolicy) -> tuple[int, list[str]]:
    """Remove old checkouts. Returns how many were removed, and why others were not."""
    roots = list(_old_checkouts(folders, policy))
    for root in roots:
        end_supervised(root)
    stays = _removed(roots)
    for folder in [*(below for one in folders for below in one.glob("*")), *folders[1:]]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return len(roots) - len(stays), stays


def _remove_templates(store: Path, policy: GcPolicy) -> list[str]:
    """Remove templates that were not used for long, but none that an overlay is mounted over. Returns messages about
    those that cannot be removed."""
    stays = []
    for folder in _old(storage.own(store, "templates"), policy):
        try:
            templates.remove_unused(folder)
        except InfrastructureError as error:
            stays.append(str(error))
    return stays


def _removed(paths: Sequence[Path]) -> list[str]:
    """Remove each of the paths. Returns messages about those that cannot be removed."""
    stays = []
    for path in paths:
        try:
            layers.unmount(path)
            remove(path)
        except InfrastructureError as error:
            stays.append(str(error))
    return stays


def _old_checkouts(folders: Sequence[Path], policy: GcPolicy) -> Iterator[Path]:
    """Checkouts of attempts are in a folder for each run. Those of gates (`gate-` in earlier versions) and setups are
    beside these folders."""
    for root in [root for folder in folders for glob in _ROOTS for root in folder.glob(glob)]:
        run = root.parent.name if root.parent not in folders else ""
        if not (run and policy.spares(f"refs/interlock/{run}/x")) and root.lstat().st_mtime < policy.before:
            yield root


def _old(folder: Path, policy: GcPolicy) -> list[Path]:
    return [path for path in folder.glob("*") if path.lstat().st_mtime < policy.before]


def _unneeded(git: Git, store: Path, gone: set[str], policy: GcPolicy) -> tuple[int, int]:
    """The number and bytes of old objects that only the refs in `gone` reach, or none."""
    listed = git.call("for-each-ref", "--format=%(refname)").out.decode("utf-8", "surrogateescape").split("\n")
    kept = "".join(f"{ref}\n" for ref in listed if ref and ref not in gone)
    walk = ("rev-list", "--objects", "--no-object-names", "--stdin")
    needed = set(git.call(*walk, stdin=os.fsencode(kept)).out.decode().split()) if kept else set()
    format_ = "--batch-check=%(objectname) %(objectsize:disk)"
    known = git.call("cat-file", "--batch-all-objects", format_).out.decode().splitlines()
    sizes = [int(size) for oid, size in map(str.split, known) if oid not in needed and _is_old(store, oid, policy)]
    return len(sizes), sum(sizes)


def _is_old(store: Path, oid: str, policy: GcPolicy) -> bool:
    try:
        return (store / "objects" / oid[:2] / oid[2:]).stat().st_mtime < policy.before
    except OSError:  # in a pack
        packs = [pack.stat().st_mtime for pack in (store / "objects" / "pack").glob("*.pack")]
        return min(packs, default=0.0) < policy.before


def _prune(git: Git, store: Path, policy: GcPolicy) -> None:
    for lock in ("shallow.lock", "gc.pid"):
        (store / lock).unlink(missing_ok=True)  # stale: we hold the lock of the store
    expire = f"@{int(policy.before)}"
    git.call("repack", "-q", "-A", "-d", f"--unpack-unreachable={expire}")
    git.call("prune", f"--expire={expire}")


def _count(git: Git) -> int:
    """The number of objects in the store."""
    return git.call("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)").out.count(b"\n")


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            yield status
            if stat.S_ISDIR(status.st_mode):
                waiting.append(Path(entry.path))
