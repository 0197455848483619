"""Symlinks of a tree that lead out of it.

Rule: only the tree's own entries are looked at, never the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from interlock.core.events import Finding
from interlock.ports import UnfitTree
from interlock.workspaces import trees
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Listing

FINDINGS_MAX = 50


def refuse_links(objects: Objects, tree: str, parent: str) -> None:
    """Raises UnfitTree for symlinks that lead out of the tree and did not in its parent."""
    if tree == parent:
        return
    paths = unfit_links(objects.listing(tree), objects.listing(parent), objects.read)
    if paths:
        raise UnfitTree(tuple(_link_finding(path) for path in paths[:FINDINGS_MAX]))


def leaving(links: Mapping[bytes, bytes]) -> set[bytes]:
    """The symlinks of a tree (path and target) that lead out of it, directly or through other symlinks."""
    return {path for path in links if _leaves(path, links)}


def printable(path: bytes) -> str:
    """A path for people: control characters and foreign bytes escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _link_finding(path: bytes) -> Finding:
    return Finding("workspace.link", f"{printable(path)}: a symlink that leads out of the tree", file=printable(path))


def unfit_links(listing: Listing, base: Listing, target_of: Callable[[str], bytes]) -> list[bytes]:
    """Symlinks of `listing` that lead out of the tree, except those that are the same in `base` and did so there."""
    now = _links(listing, target_of)
    if not now:
        return []
    out = leaving(now)
    before = leaving(_links(base, target_of)) if out else set()
    return sorted(path for path in out if path not in before or trees.get(base, path) != trees.get(listing, path))


def _links(listing: Listing, target_of: Callable[[str], bytes]) -> dict[bytes, bytes]:
    return {path: target_of(entry.oid) for path, entry in trees.leaves(listing) if entry.mode == trees.LINK}


def _leaves(path: bytes, links: Mapping[bytes, bytes]) -> bool:
    """Whether a symlink leads out of the tree, by the tree's own entries. A loop stays inside."""
    at: list[bytes] = trees.split(path)[0].split(b"/") if b"/" in path else []
    target = links[path]
    if target.startswith(b"/"):
        return True
    todo = list(reversed(target.split(b"/")))
    for _ in range(10_000):
        if not todo:
            return bool(at) and trees.is_git_name(at[0])
        part = todo.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not at:
                return True
            at.pop()
            continue
        at.append(part)
        if at and trees.is_git_name(at[0]):
            return True
        inner = links.get(b"/".join(at))
        if inner is not None:
            if inner.startswith(b"/"):
                return True
            at.pop()
            todo += reversed(inner.split(b"/"))
    return False
