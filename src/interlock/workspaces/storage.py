"""The private bare store: made once, its refs created once and never moved.

Rule: only Interlock writes here. A ref is a file linked into place, so that exactly one writer wins and a kill
leaves neither half a ref nor a lock behind. Refs keep objects alive; what is accepted, the journal says.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from interlock.ports import InfrastructureError, disk
from interlock.ports.disk import disk_error
from interlock.workspaces.locking import lock_file
from interlock.workspaces.throwaway import ATTRIBUTES

BASES = "refs/bases"
CONTENTS = "refs/contents"
_OWN = "interlock"  # the folder in the store for what is not git's
_FOLDERS = ("objects/pack", "objects/info", "refs", "info", f"{_OWN}/tmp")


def own(store: Path, name: str) -> Path:
    """A folder of ours in the store, such as for kits; git does not look into it."""
    return store / _OWN / name


def create(store: Path, algorithm: str) -> None:
    """Make the store where there is none, and mend it where a power loss left empty files of what we wrote into it.
    Raises InfrastructureError where the disk fails."""
    try:
        if store.is_dir():
            _mend(store, algorithm)
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
            shutil.rmtree(made)  # somebody else was quicker
            disk.sync_files([store.parent])
    except OSError as error:
        raise disk_error(store, error) from error


def is_whole(store: Path) -> bool:
    """Whether what `create` wrote is there as it wrote it."""
    algorithms = ("sha1", "sha256")
    found = {name: _text(store / name) for name in _own_files(algorithms[0])}
    return found in [_own_files(algorithm) for algorithm in algorithms]


def exists(store: Path) -> bool:
    return store.is_dir()


def algorithm_of(store: Path) -> str:
    """sha1 or sha256. Raises InfrastructureError where there is no store."""
    try:
        config = (store / "config").read_text()
    except OSError as error:
        raise _trouble(store, store / "config", error) from error
    return "sha256" if "objectFormat = sha256" in config else "sha1"


def create_ref(store: Path, ref: str, oid: str) -> None:
    """Keep `oid` by `ref`. Doing it again with the same value is no error; another value raises
    InfrastructureError, for a ref never moves."""
    path = store / ref
    try:
        disk.make_folder(path.parent)
        temporary = disk.write_temporary(own(store, "tmp"), [f"{oid}\n".encode()], prefix="ref-", mode=0o644, sync=True)
        if read_ref(store, ref) == "":
            path.unlink()  # what a power loss left of it: it was never whole
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
        raise InfrastructureError(f"{ref} is {there} and was to become {oid}: refs never move", permanent=True)


def read_ref(store: Path, ref: str) -> str | None:
    """The value of a ref, None where there is none."""
    try:
        return (store / ref).read_text().strip()
    except OSError:
        return None


def base_ref(commit: str) -> str:
    """What keeps an imported commit."""
    return f"{BASES}/{commit}"


def contents_ref(sha256: str) -> str:
    """What keeps the content that a pointer stands for."""
    return f"{CONTENTS}/{sha256}"


@contextlib.contextmanager
def locked(store: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the store's lock, which the kernel frees with the process: shared by writers, alone for import and gc."""
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
        f"{store}: the store is gone, and with it what runs kept there: put it back from a copy, or start the run anew",
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
    """All that is needed for git to see a repository. It never changes."""
    return {"HEAD": "ref: refs/heads/none\n", "config": _config(algorithm), "info/attributes": ATTRIBUTES}


def _mend(store: Path, algorithm: str) -> None:
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
