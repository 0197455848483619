"""Templates: complete checkouts that overlays are made over. No program ever gets one.

Each is a folder, named by what is in it: a tree, and the output of setup. It has `tree` (the files, a `.git` with its
index, what setup made) and what is known of them. A template is made once, under a lock, and read-only from then on.

Rule: a template counts only if the file that is written last is there. It was written since the machine started: after
a power loss, files can be empty. It is made again if a file of it was added, removed or replaced since.

Rule: while an overlay is mounted over a template, the template's lock is held, shared, so nobody removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock.ports import InfrastructureError
from interlock.ports.disk import disk_error
from interlock.workspaces.checkout_git import Offsets
from interlock.workspaces.layout import CheckoutIndex, FileStat, remove
from interlock.workspaces.storage import lock_file

_FORMAT = 1
KEPT_MAX = 6  # templates of a repository
_ABOUT, _LOCK, _OFFSETS, _TREE = "about.json", "lock", "offsets", "tree"


@dataclass(frozen=True, slots=True)
class Made:
    """What is known of the files of a template: its commit, what they were when it was complete (submodules and setup),
    and where each entry of its index begins."""

    commit: str
    index: CheckoutIndex
    offsets: Offsets


@dataclass(frozen=True, slots=True)
class Template:
    """A template, and the descriptor that holds its lock."""

    folder: Path
    made: Made
    lock: int

    @property
    def tree(self) -> Path:
        return self.folder / _TREE


def name_of(tree: str, setup: str) -> str:
    """The name of the template of a tree with the output of setup that has this digest."""
    return hashlib.sha256(f"{_FORMAT} {tree} {setup}".encode()).hexdigest()


class Templates:
    """The templates of a repository, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_there(self, name: str) -> bool:
        return _about(self.folder / name) is not None

    def take(self, name: str, make: Callable[[Path], Made]) -> Template:
        """The template with this name. If there is none, `make` fills an empty folder. Raises InfrastructureError, and
        what `make` raises."""
        folder = self.folder / name
        while True:
            if (found := self._held(folder)) is not None:
                return found
            self._make(folder, make)

    def _held(self, folder: Path) -> Template | None:
        """The template, with its lock; None if it is not complete."""
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(folder, error) from error
        try:
            lock_file(lock, folder / _LOCK, shared=True)
            made = _read(folder) if _is_at(lock, folder / _LOCK) else None
            if made is not None:
                os.utime(folder)  # its last use
                return Template(folder, made, lock)
            if _about(folder) is not None:  # damaged: overlays over it keep it, and another one gets its name
                folder.rename(folder.with_name(f"{folder.name}-{time.time_ns()}"))
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        return None

    def _make(self, folder: Path, make: Callable[[Path], Made]) -> None:
        lock = -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            lock_file(lock, folder / _LOCK)
            if not _is_at(lock, folder / _LOCK) or _read(folder) is not None:
                return
            (folder / _ABOUT).unlink(missing_ok=True)
            remove(folder / _TREE)
            (folder / _TREE).mkdir()
            _write(folder, make(folder / _TREE))
        except OSError as error:
            raise disk_error(folder, error) from error
        finally:
            if lock >= 0:
                os.close(lock)
        self._trim()

    def _trim(self) -> None:
        """Remove the templates that were not used for longest, so that few stay."""
        for _, folder in sorted(_used(self.folder), reverse=True)[KEPT_MAX:]:
            with suppress(InfrastructureError):
                remove_unused(folder)


def remove_unused(folder: Path) -> bool:
    """Remove a template, unless it is in use. Whether it was removed. Raises InfrastructureError."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise disk_error(folder, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / _ABOUT).unlink(missing_ok=True)
        remove(folder)
    except BlockingIOError:
        return False
    except OSError as error:
        raise disk_error(folder, error) from error
    finally:
        os.close(lock)
    return True


def _used(folder: Path) -> list[tuple[float, Path]]:
    found = []
    for path in folder.glob("*"):
        with suppress(OSError):
            found.append((path.lstat().st_mtime, path))
    return found


def _is_at(lock: int, path: Path) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(lock), path.lstat())
    except OSError:
        return False


# --- what is known of one --------------------------------------------------------------------


def _about(folder: Path) -> dict[str, Any] | None:
    """What was written when it was complete; None if it is not, or if the machine was started since."""
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return about if isinstance(about, dict) and about.get("boot") == _boot() else None


def _read(folder: Path) -> Made | None:
    about = _about(folder)
    if about is None:
        return None
    try:
        offsets = array("Q", (folder / _OFFSETS).read_bytes())
        if (folder / _TREE / ".git/index").stat().st_size != about["index_bytes"]:
            return None
        if _stamp(folder / _TREE, about["folders"]) != about["stamp"]:
            return None
    except (OSError, ValueError):
        return None
    index = CheckoutIndex()
    index.setup_files = frozenset(map(os.fsencode, about["setup_files"]))
    index.inner = {os.fsencode(path): blob for path, blob in about["inner"]}
    index.stats = {os.fsencode(path): _stat(status) for path, status in about["stats"]}
    index.until_ns = about["until_ns"]
    return Made(about["commit"], index, offsets)


def _write(folder: Path, made: Made) -> None:
    index = made.index
    tree = folder / _TREE
    folders = _folders_in(tree)
    about = {
        "boot": _boot(),
        "commit": made.commit,
        "folders": folders,
        "index_bytes": (tree / ".git/index").stat().st_size,
        "inner": [(os.fsdecode(path), blob) for path, blob in index.inner.items()],
        "setup_files": sorted(map(os.fsdecode, index.setup_files)),
        "stats": [(os.fsdecode(path), index.stats[path]) for path in index.inner if path in index.stats],
        "stamp": _stamp(tree, folders),
        "until_ns": index.until_ns,
    }
    (folder / _OFFSETS).write_bytes(array("Q", made.offsets).tobytes())
    with tempfile.NamedTemporaryFile("w", dir=folder, encoding="ascii", delete=False) as file:
        json.dump(about, file)
    Path(file.name).replace(folder / _ABOUT)


def _folders_in(tree: Path) -> list[str]:
    """All folders, relative to `tree`, however deep: os.walk of Python 3.11 ends at a thousand. Raises OSError."""
    found, waiting = [], ["."]
    while waiting:
        at = waiting.pop()
        found.append(at)
        with os.scandir(tree / at) as entries:
            waiting += [f"{at}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
    return found


def _stamp(tree: Path, folders: Sequence[str]) -> str:
    """Changes if a file of the template is added, removed or replaced, which changes its folder. Raises OSError."""
    digest, root = hashlib.sha256(), f"{tree}/"
    for name in folders:  # there are many: pathlib would take five times as long
        status = os.lstat(root + name)
        digest.update(b"%d %d %d\n" % (status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
    return digest.hexdigest()


def _stat(numbers: Sequence[int]) -> FileStat:
    mode, size, mtime, ctime, inode = numbers
    return mode, size, mtime, ctime, inode


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
