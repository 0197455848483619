"""Symlinks of a tree that lead out of it.

Rule: only the tree's own entries are looked at, never the disk.

Trees of one run differ little, so what is known of one is carried over to the next: the cost is that of the
differences.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from interlock.core.events import Finding
from interlock.ports import UnfitTree
from interlock.workspaces import trees
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry

FINDINGS_MAX = 50
_KNOWN_MAX = 16  # trees


class Links:
    """The symlinks of trees. Threads may share it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known: OrderedDict[str, Mapping[bytes, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def refuse(self, tree: str, parent: str) -> None:
        """Raises UnfitTree for symlinks that lead out of the tree and did not in its parent."""
        if tree != parent and (paths := self._unfit(tree, parent)):
            raise UnfitTree(tuple(_link_finding(path) for path in paths[:FINDINGS_MAX]))

    def _unfit(self, tree: str, parent: str) -> list[bytes]:
        before = self._of(parent)
        now = self._carried_over(before, parent, tree)
        out = leaving(now)
        known = leaving(before) if out else set()
        return sorted(path for path in out if path not in known or before[path] != now[path])

    def _of(self, tree: str) -> Mapping[bytes, bytes]:
        """The target of each symlink, by its path."""
        with self._lock:
            known = self._known.get(tree)
        return self._keep(tree, self._read(trees.leaves(self._objects.listing(tree))) if known is None else known)

    def _carried_over(self, known: Mapping[bytes, bytes], old: str, new: str) -> Mapping[bytes, bytes]:
        changed = trees.differences(self._objects.listing(old), self._objects.listing(new))
        stay = {path: target for path, target in known.items() if path not in changed}
        return self._keep(new, stay | self._read((path, now) for path, (_, now) in changed.items() if now))

    def _read(self, leaves: Iterable[tuple[bytes, Entry]]) -> dict[bytes, bytes]:
        return {path: self._objects.read(entry.oid) for path, entry in leaves if entry.mode == trees.LINK}

    def _keep(self, tree: str, found: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
        with self._lock:
            self._known[tree] = found
            self._known.move_to_end(tree)
            while len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
        return found


def leaving(links: Mapping[bytes, bytes]) -> set[bytes]:
    """The symlinks of a tree (path and target) that lead out of it, directly or through other symlinks."""
    return {path for path in links if _leaves(path, links)}


def printable(path: bytes) -> str:
    """A path for people: control characters and foreign bytes escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _link_finding(path: bytes) -> Finding:
    return Finding("workspace.link", f"{printable(path)}: a symlink that leads out of the tree", file=printable(path))


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
