"""What runs need that is in no commit, files to carry and held-out files: out of the user's working tree, or sent with
the run to machines that have none.

Rule: held-out files are laid into a folder of the store, of which no sandbox shows anything, when a gate asks for them.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

from interlock.ports import Blobs, InfrastructureError, UsageError, disk
from interlock.ports.disk import disk_error
from interlock.workspaces import layout, manifest, storage
from interlock.workspaces.base import Origin
from interlock.workspaces.manifest import Found, Item, LocalBlobs, Manifest

_KEPT_MAX = 8  # manifests in memory
HeldOutFiles = Mapping[str, tuple[Path, Sequence[Path]]]  # by name: the file or folder that the user has, and its files


# --- files to carry -------------------------------------------------------------------------


def check_carried(carry: Sequence[str], origin: Origin) -> None:
    """Raises UsageError if a file to carry does not exist."""
    for path in carry:
        _carried(path, origin)


def carry_into(paths: Sequence[str], tree: Path, write: Callable[[str, Path], None]) -> None:
    """Let `write` put each of the paths into the checkout `tree`, unless something is there. Raises UsageError,
    InfrastructureError."""
    for path in paths:
        _require_inside(path)
        try:
            target = layout.path_within(tree, path)
        except layout.MisplacedPath as error:
            raise InfrastructureError(f"carry: {error}", permanent=True) from error
        if not target.exists() and not target.is_symlink():
            write(path, target)


def carry_from(origin: Origin, path: str, target: Path) -> None:
    """Copy files that the repository does not track. Raises UsageError, InfrastructureError."""
    layout.copy_tree(_carried(path, origin), target, os.environ)


def _require_inside(path: str) -> None:
    if path.startswith("/") or ".." in path.split("/") or ".git" in path.split("/"):
        raise UsageError(f"carry: {path!r}: a path inside the repository was expected")


def _plain(path: str) -> str:
    """The path without empty parts. Raises UsageError if it is the whole repository."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts:
        raise UsageError(f"carry: {path!r}: a path below the root of the repository was expected")
    return "/".join(parts)


def _carried(path: str, origin: Origin) -> Path:
    _require_inside(path)
    if origin.worktree is None:
        raise UsageError(f"carry: {path!r}: the repository is bare, so it has no untracked files: run from a checkout")
    source = origin.worktree / path
    if not source.exists():
        raise UsageError(f"carry: {path!r} is not in {origin.worktree}: put it there, or take it out of `carry`")
    return source


# --- sending --------------------------------------------------------------------------------


class Needs:
    """What one run needs besides commits, on the machine that has it. Raises UsageError for what cannot be sent."""

    def __init__(self, origin: Origin, carry: Sequence[str], held_out: HeldOutFiles) -> None:
        check_carried(carry, origin)
        most = manifest.ITEMS_MAX + 1
        self._carry = list(islice(_all_carried(origin, carry), most))
        self._held_out = {name: list(_held_out(name, *given)) for name, given in held_out.items()}
        self.size = manifest.require_bounded([*self._carry, *chain.from_iterable(self._held_out.values())])

    def put(self, blobs: Blobs) -> str:
        """Put all among `blobs`. Returns the digest of the manifest, empty if there is nothing. Raises UsageError,
        InfrastructureError."""
        if not self._carry and not self._held_out:
            return ""
        held_out = {name: manifest.put(found, blobs) for name, found in self._held_out.items()}
        return blobs.put(manifest.encode(Manifest(manifest.put(self._carry, blobs), held_out)))


def _all_carried(origin: Origin, carry: Sequence[str]) -> Iterator[Found]:
    assert origin.worktree is not None or not carry
    seen: set[str] = set()
    for path in sorted(carry):
        for found in manifest.below(Path(origin.worktree or ""), _plain(path), "carry"):
            if found.item.path not in seen:  # one of the paths may be below another
                seen.add(found.item.path)
                yield found


def _held_out(name: str, source: Path, files: Sequence[Path]) -> Iterator[Found]:
    what = f"held_out: {name}"
    if not source.is_file():
        yield Found(Item(source.name, "folder", 0o755), source, what)
    for path in files:
        below = "" if path == source else f"/{path.relative_to(source)}"
        yield manifest.a_file(path, f"{source.name}{below}", what)


# --- what came ------------------------------------------------------------------------------


class Sent:
    """Lays what came with runs. Threads may share it."""

    def __init__(self, store: Path, blobs: LocalBlobs) -> None:
        self._store = store
        self._blobs = blobs
        self._manifests: dict[str, Manifest] = {}
        self._lock = threading.Lock()

    def carry(self, contents: str, path: str, target: Path) -> None:
        """Write a path to carry to `target`, where nothing is. Raises InfrastructureError."""
        items = manifest.items_at(self._manifest(contents).carry, _plain(path))
        if not items:
            raise InfrastructureError(f"carry: {path!r} did not come with the run: start it again", permanent=True)
        root = Path(str(target).removesuffix(f"/{items[0].path}"))
        manifest.lay(items, self._blobs, root, "carry")

    def held_out(self, contents: str, name: str) -> Path | None:
        """The held-out files of that name; None if none came. Raises InfrastructureError."""
        items = self._manifest(contents).held_out.get(name)
        if not items:
            return None
        digest = hashlib.sha256(repr(items).encode("utf-8", "surrogateescape")).hexdigest()
        folder = storage.own(self._store, storage.HELD_OUT) / digest
        with self._lock:
            if not folder.is_dir():
                self._lay(items, folder, f"held_out: {name}")
            else:
                os.utime(folder)  # in use again, for gc
        return folder / items[0].path

    def _lay(self, items: Sequence[Item], folder: Path, what: str) -> None:
        try:
            disk.make_folder(folder.parent, disk.PRIVATE)
            made = Path(tempfile.mkdtemp(prefix="laid-", dir=folder.parent))
        except OSError as error:
            raise disk_error(folder, error) from error
        try:
            manifest.lay(items, self._blobs, made, what)
            disk.sync_tree(made)
            made.rename(folder)
        except OSError as error:
            if not folder.is_dir():  # another process was faster
                raise disk_error(folder, error) from error
        finally:
            layout.remove(made)

    def _manifest(self, contents: str) -> Manifest:
        with self._lock:
            known = self._manifests.get(contents)
        if known is None:
            known = manifest.decode(self._listed(contents))
            with self._lock:
                if len(self._manifests) >= _KEPT_MAX:
                    self._manifests.clear()
                self._manifests[contents] = known
        return known

    def _listed(self, contents: str) -> bytes:
        try:
            return self._blobs.get(contents)
        except InfrastructureError as error:
            why = f"the list of what the run needs besides commits: {error}"
            raise InfrastructureError(why, permanent=error.permanent) from error
