"""The private bare store: its creation, refs, locks, and repair after a power loss.

Rule: only Interlock writes here. Refs are created once and never move. A ref is a file that is linked to its path, so
exactly one writer wins, and a kill leaves neither half a ref nor a lock. Refs keep objects; the journal decides what is
accepted.

Rule: waiting for a lock is bounded. The kernel frees a lock when its holder ends; a stopped process keeps it.

Rule: the file `shallow` (commits whose parents are not in the store) can be rebuilt from the store, so it is rewritten
if a power loss left it empty or lost it. git does not sync it; we sync it before we create a ref.

Rule: only empty files are deleted from a damaged store. A pack that git cannot verify is renamed, for people to
inspect.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError, as_infrastructure, disk
from interlock.ports.disk import disk_error
from interlock.workspaces.checkout_git import ATTRIBUTES
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects

BASES = "refs/bases"
CONTENTS = "refs/contents"
RECORDS = "refs/records"
HELD_OUT = "held-out"  # of runs of other machines, in a folder of our own
_OWN = "interlock"  # the folder in the store for files that are not git's
_FOLDERS = ("objects/pack", "objects/info", "refs", "info", f"{_OWN}/tmp")


def own(store: Path, name: str) -> Path:
    """A folder in the store that git does not use, such as the one for packs of checkouts."""
    return store / _OWN / name


def create(store: Path, algorithm: str) -> None:
    """Make the store if it does not exist, and repair it if a power loss left empty files. Raises InfrastructureError
    if the disk fails."""
    try:
        if store.is_dir():
            _repair(store, algorithm)
            return
        disk.make_folder(store.parent)
        made = Path(tempfile.mkdtemp(prefix=f".{store.name}-", dir=store.parent))
        for folder in _FOLDERS:
            (made / folder).mkdir(parents=True)
        for name, content in _own_files(algorithm).items():
            (made / name).write_text(content)
        disk.sync_tree(made)
        try:
            disk.rename(made, store)
        except OSError:
            if not store.is_dir():
                raise
            shutil.rmtree(made)  # another process was faster
            disk.sync_files([store.parent])
    except OSError as error:
        raise disk_error(store, error) from error


def is_whole(store: Path) -> bool:
    """Whether the files of `create` are complete and unchanged."""
    algorithms = ("sha1", "sha256")
    found = {name: _text(store / name) for name in _own_files(algorithms[0])}
    return found in [_own_files(algorithm) for algorithm in algorithms]


def exists(store: Path) -> bool:
    return store.is_dir()


def algorithm_of(store: Path) -> str:
    """sha1 or sha256. Raises InfrastructureError if there is no store."""
    try:
        config = (store / "config").read_text()
    except OSError as error:
        raise _trouble(store, store / "config", error) from error
    return "sha256" if "objectFormat = sha256" in config else "sha1"


def create_ref(store: Path, ref: str, oid: str) -> None:
    """Keep `oid` by `ref`. Repeating it with the same value is no error. Another value raises InfrastructureError,
    since a ref never moves."""
    path = store / ref
    try:
        disk.make_folder(path.parent)
        temporary = disk.write_temporary(own(store, "tmp"), [f"{oid}\n".encode()], prefix="ref-", mode=0o644, sync=True)
        if read_ref(store, ref) == "":
            path.unlink()  # a power loss left it empty: it was never complete
        try:
            os.link(temporary, path)
        except FileExistsError:
            os.utime(path)  # in use again, for gc
        finally:
            temporary.unlink()
        disk.sync_files([path.parent])
    except OSError as error:
        raise disk_error(path, error) from error
    there = read_ref(store, ref)
    if there != oid:
        raise InfrastructureError(f"{ref} is {there}, not {oid}: refs never move", permanent=True)


def read_ref(store: Path, ref: str) -> str | None:
    """The value of a ref; None if it does not exist."""
    try:
        return (store / ref).read_text().strip()
    except OSError:
        return None


def flush(folder: Path) -> None:
    """Sync everything below `folder`. git syncs the contents of what it writes, not the folders that name it. Raises
    InfrastructureError."""
    try:
        disk.sync_tree(folder)
    except OSError as error:
        raise disk_error(folder, error) from error


def base_ref(commit: str) -> str:
    """The ref that keeps an imported commit."""
    return f"{BASES}/{commit}"


def contents_ref(sha256: str) -> str:
    """The ref that keeps the content of an LFS pointer."""
    return f"{CONTENTS}/{sha256}"


def record_ref(run: str, sha256: str) -> str:
    """The ref that keeps the record of a handoff."""
    return f"{RECORDS}/{run}/{sha256}"


@contextlib.contextmanager
def locked(store: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of the store: shared for writers, exclusive for import and gc."""
    path = own(store, "lock")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _trouble(store, path, error) from error
    try:
        lock_file(fd, path, shared=shared)
        yield
    finally:
        os.close(fd)


def _trouble(store: Path, path: Path, error: OSError) -> InfrastructureError:
    if exists(store):
        return disk_error(path, error)
    return InfrastructureError(
        f"{store}: the store is missing, with the work of all runs: restore it from a backup, or start the run again",
        permanent=True,
    )


def _config(algorithm: str) -> str:
    if algorithm == "sha1":
        return "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
    return (
        "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n"
        f"[extensions]\n\tobjectFormat = {algorithm}\n"
    )


def _own_files(algorithm: str) -> dict[str, str]:
    """The files that git needs to recognise a repository. They never change."""
    return {"HEAD": "ref: refs/heads/none\n", "config": _config(algorithm), "info/attributes": ATTRIBUTES}


def _repair(store: Path, algorithm: str) -> None:
    for folder in _FOLDERS:
        disk.make_folder(store / folder)
    for name, content in _own_files(algorithm).items():
        if _text(store / name) != content:
            disk.put_file(store / name, [content.encode()], mode=0o644)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""


# --- locks -----------------------------------------------------------------------------------


WAIT_MAX_S = 4 * 3600.0  # longer than any setup is made or anything is imported
_FIRST_S = 0.002
_LAST_S = 0.1


def lock_file(fd: int, path: Path, *, shared: bool = False, wait_max_s: float = WAIT_MAX_S) -> None:
    """Lock the open file `fd`. Raises InfrastructureError if another process holds it too long, or locking fails."""
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    until, pause = time.monotonic() + wait_max_s, _FIRST_S
    while True:
        try:
            with as_infrastructure():
                return _try(fd, mode)
        except _Held:
            if time.monotonic() >= until:
                raise InfrastructureError(
                    f"{path}: held by another process for {wait_max_s / 3600:g} hours: find that process (lsof), and"
                    " end or continue it"
                ) from None
        time.sleep(pause)
        pause = min(_LAST_S, pause * 2)


class _Held(Exception):
    """Another process holds the lock."""


def _try(fd: int, mode: int) -> None:
    try:
        fcntl.flock(fd, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _Held from None


# --- after a power loss ----------------------------------------------------------------------


_LINES = re.compile(r"(?:(?:[0-9a-f]{40}|[0-9a-f]{64})\n)+")


def repair_shallow(store: Path, objects: Objects) -> None:
    """Rewrite the file `shallow` if it is unreadable, or missing although it is needed. Raises InfrastructureError."""
    path = store / "shallow"
    try:
        if path.exists() and _LINES.fullmatch(path.read_text("ascii", "replace")):
            return
        path.unlink(missing_ok=True)  # git fails if it cannot read this file
        if found := sorted(set(_cut(store, objects))):
            disk.put_file(path, [f"{oid}\n".encode() for oid in found], mode=0o644)
    except OSError as error:
        raise disk_error(path, error) from error


def _cut(store: Path, objects: Objects) -> Iterator[str]:
    """Imported commits whose parents are not in the store."""
    for ref in (store / BASES).glob("*"):
        try:
            commit = objects.commit(ref.name)
        except UsageError:  # a damaged ref or object: reported when it is needed
            continue
        if any(objects.lookup(parent) is None for parent in commit.parents):
            yield commit.oid


# --- damaged ---------------------------------------------------------------------------------


def rename_damaged(git: Git, store: Path) -> None:
    """Rename damaged packs and remove empty objects, so that they can be imported again: git does not write a pack that
    exists. Raises OSError."""
    packs = store / "objects/pack"
    for pack in packs.glob("*.pack"):
        index = pack.with_suffix(".idx")
        if index.exists() and git.call("verify-pack", str(index), codes=range(256)).code:
            for path in (index, pack.with_suffix(".rev"), pack):
                if path.exists():
                    path.rename(path.with_name(f"{path.name}.damaged"))
    for path in (store / "objects").glob("??/*"):
        if path.stat().st_size == 0:
            path.unlink()
    disk.sync_files([packs])
