"""Collecting what nobody needs any more, and telling what is on the disk.

Rule: everything younger than a day stays, and whatever a live ref reaches.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interlock.workspaces import storage
from interlock.workspaces.checkout import remove
from interlock.workspaces.git import Git

YOUNG_S = 86_400.0
_TEMPORARY = re.compile(r"tmp_|worktree-|ref-")


@dataclass(frozen=True, slots=True)
class Wish:
    """What to spare. A live ref that ends in a slash stands for all below it: refs/interlock/RUN/ for a run.

    A live `refs/bases/COMMIT` spares an imported base.
    """

    live_refs: tuple[str, ...]
    older_than_s: float
    now: float

    @property
    def before(self) -> float:
        return self.now - max(self.older_than_s, YOUNG_S)

    def spares(self, ref: str) -> bool:
        return any(ref == live or (live.endswith("/") and ref.startswith(live)) for live in self.live_refs)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed: bytes on the disk, objects, refs, and places with their folders."""

    bytes: int = 0
    objects: int = 0
    refs: int = 0
    places: int = 0


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Bytes on the disk: objects of the store, packs for throw-away repositories, what setup made, places."""

    objects: int
    kits: int
    setups: int
    places: int


def collect(git: Git, store: Path, places: Path, wish: Wish) -> Collected:
    """Remove refs, objects, kits, setups and places that are old and not live."""
    if not storage.exists(store):
        return Collected()
    before = sum(_all(usage(store, places)))
    gone = _places(places, wish)
    with storage.locked(store):
        refs = _refs(store, wish)
        _old(storage.own(store, "kits"), wish)
        _old(storage.own(store, "setup"), wish)
        _old(storage.own(store, "tmp"), wish)
        objects = _count(git)
        _prune(git, store, wish)
        left = _count(git)
    after = sum(_all(usage(store, places)))
    return Collected(max(0, before - after), max(0, objects - left), refs, gone)


def usage(store: Path, places: Path) -> DiskUsage:
    """Bytes on the disk; 0 for what is not there."""
    own = (storage.own(store, name) for name in ("kits", "setup"))
    kits, setups = (_size(folder) for folder in own)
    return DiskUsage(_size(store / "objects"), kits, setups, _size(places))


def _all(used: DiskUsage) -> tuple[int, ...]:
    return used.objects, used.kits, used.setups, used.places


def _refs(store: Path, wish: Wish) -> int:
    """Remove refs that are old and not live. Bases of live refs are parents of theirs, and stay as objects."""
    removed = 0
    for path in [path for path in (store / "refs").rglob("*") if path.is_file()]:
        if not wish.spares(str(path.relative_to(store))) and path.stat().st_mtime < wish.before:
            path.unlink()
            removed += 1
    for folder in sorted((path for path in (store / "refs").rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return removed


def _places(places: Path, wish: Wish) -> int:
    """Places of runs are folders of attempts; gates and setups lie beside them."""
    removed = 0
    for root in [*places.glob("*/*-*.*-*"), *places.glob("gate-*"), *places.glob("setup-*")]:
        run = root.parent.name if root.parent != places else ""
        if run and wish.spares(f"refs/interlock/{run}/x"):
            continue
        if root.lstat().st_mtime < wish.before:
            remove(root)
            removed += 1
    for folder in places.glob("*"):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return removed


def _old(folder: Path, wish: Wish) -> None:
    for path in folder.glob("*"):
        if path.lstat().st_mtime < wish.before:
            remove(path)


def _prune(git: Git, store: Path, wish: Wish) -> None:
    for lock in ("shallow.lock", "gc.pid"):
        (store / lock).unlink(missing_ok=True)  # nobody else is at work while we hold the store
    expire = f"@{int(wish.before)}"
    git.call("repack", "-q", "-A", "-d", f"--unpack-unreachable={expire}")
    git.call("prune", f"--expire={expire}")


def _count(git: Git) -> int:
    words = git.call("count-objects", "-v").out.decode().split()
    return int(words[words.index("count:") + 1]) + int(words[words.index("in-pack:") + 1])


def _size(folder: Path) -> int:
    return sum(status.st_blocks * 512 for status in _statuses(folder))


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
