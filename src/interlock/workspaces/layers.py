"""Checkouts as overlays: the layers of one, and whether overlays can be made here.

Rule: the upper layer says where to look, and the overlay says what is there. So nothing that a program leaves in the
upper layer, such as forged attributes, hides or invents a change; it only costs time.
"""

# Paths are bytes here, which pathlib cannot hold.
# ruff: noqa: PTH118

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from interlock.ports import UPPER, Checkout
from interlock.ports.disk import disk_error
from interlock.process import mounts
from interlock.sandbox import owner_in
from interlock.workspaces import layout, trees
from interlock.workspaces.layout import Layers

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
WHOLE = -1  # in place of the upper layer of a folder: all of it is read
# Attributes that overlays write and that do not change what is seen; any other one may.
_HARMLESS = re.compile(r"(?:trusted|user)\.overlay\.(?:origin|impure|nlink|upper|uuid)")
_OF_OVERLAYS = ("trusted.overlay.", "user.overlay.")


def mount(checkout: Checkout, lower: Path) -> Layers:
    """Mount an overlay over `lower` at the tree of the checkout. Raises InfrastructureError."""
    tree, upper, work = checkout.tree, checkout.root / UPPER, checkout.root / "work"
    owner = owner_in(checkout.root, lower) if checkout.sandbox.level == "full" else 0
    try:
        for each in (upper, work):
            each.mkdir()
        mounts.mount_overlay(lower, upper, work, tree, owner)
    except OSError as error:
        raise disk_error(tree, error) from error
    return Layers(lower, upper)


def unmount(root: Path) -> None:
    """Remove the mount of the checkout at `root`, if this process has one."""
    if (root / UPPER).is_dir():
        mounts.unmount(root / "tree")


def is_lost(root: Path, known: Layers | None) -> bool:
    """Whether the checkout at `root` is an overlay that this process does not see: it lists nothing."""
    return (root / UPPER).is_dir() if known is None else not mounts.is_mounted(root / "tree")


def folder_over_lower(name: bytes, parent: int) -> int:
    """Open the folder `name` of the upper layer, in its open folder `parent`. WHOLE if what the lower layer has in its
    place may not be seen."""
    try:
        fd = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    except OSError:
        return WHOLE
    if _is_plain(os.listxattr(fd)):
        return fd
    os.close(fd)
    return WHOLE


def touched(layers: Layers) -> Iterator[tuple[bytes, bool]]:
    """Each path that may differ from the lower layer, and whether all below it may."""
    upper, lower = os.fsencode(layers.upper), os.fsencode(layers.lower)
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(upper, folder)) as entries:
            for entry in entries:
                path = trees.joined(folder, entry.name)
                if path == b".git":
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    yield path, False
                elif layout.is_folder(lower + b"/" + path) and _is_plain(os.listxattr(entry.path)):
                    waiting.append(path)
                else:
                    yield path, True


def _is_plain(names: list[str]) -> bool:
    return all(_HARMLESS.fullmatch(name) for name in names if name.startswith(_OF_OVERLAYS))


# --- whether it works ------------------------------------------------------------------------


def refusal(lower: Path, upper: Path) -> str:
    """Why no overlay can be made, with the layers below these folders; empty if one was made and works."""
    if why := mounts.refusal():
        return why
    try:
        lower.mkdir(parents=True, exist_ok=True)
        upper.mkdir(parents=True, exist_ok=True)
        below = Path(tempfile.mkdtemp(prefix="trial-", dir=lower))
        above = Path(tempfile.mkdtemp(prefix="room-", dir=upper))
    except OSError as error:
        return f"{lower}: {error.strerror}"
    try:
        return _tried(below, above)
    except OSError as error:
        place = "put the folders of state and cache on one that can, such as ext4, or a volume of the container"
        return f"no overlay in {upper} over {lower}: {error.strerror}: where their file system cannot hold one, {place}"
    finally:
        mounts.unmount(above / "tree")
        layout.remove(below)
        layout.remove(above)


def refusal_here(lower: Path, upper: Path) -> str:
    """`refusal` for a process that has mounted nothing yet. Folders that do not exist are not made."""
    there = (next(path for path in (at, *at.parents) if path.is_dir()) for at in (lower, upper))
    try:
        return mounts.apart(partial(refusal, *there))
    except OSError as error:
        return f"no process can be started: {error.strerror}"


def _tried(below: Path, above: Path) -> str:
    lower, upper, work, tree = below / "tree", *(above / name for name in ("upper", "work", "tree"))
    for folder in (lower, upper, work, tree):
        folder.mkdir()
    for name in ("gone", "kept"):
        (lower / name).write_text(name, encoding="ascii")
    mounts.mount_overlay(lower, upper, work, tree, owner_in(above, lower))
    (tree / "gone").unlink()
    (tree / "new").write_text("new", encoding="ascii")
    seen = sorted(path.name for path in tree.iterdir())
    mark = (upper / "gone").lstat()
    if seen != ["kept", "new"] or not stat.S_ISCHR(mark.st_mode) or not (lower / "gone").exists():
        return f"an overlay in {above.parent} over {below.parent} does not show what was changed in it"
    return ""
