"""The files of trees that match globs. Trees of one run differ little, so what is known of one is carried over to the
next: the cost is that of the differences.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from interlock.text.globs import matches_any
from interlock.workspaces import commits, trees
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry

_KNOWN_MAX = 64  # lists of globs
_DIFFERENT_MAX = 2000


class MatchedFiles:
    """Threads may share it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known: OrderedDict[tuple[str, ...], tuple[str, tuple[str, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    def files(self, tree: str, globs: Sequence[str]) -> tuple[str, ...]:
        """The sorted paths of regular files that match the globs."""
        key = tuple(globs)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == tree:
            return known[1]
        found = self._carried_over(known, tree, key) if known is not None else None
        found = commits.files(self._objects, tree, key) if found is None else found
        with self._lock:
            self._known[key] = (tree, found)
            self._known.move_to_end(key)
            while len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
        return found

    def _carried_over(
        self, known: tuple[str, tuple[str, ...]], tree: str, globs: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        changed = trees.differences(self._objects.listing(known[0]), self._objects.listing(tree))
        if len(changed) > _DIFFERENT_MAX:
            return None
        found = set(known[1])
        for path, (_, now) in changed.items():
            found.discard(_text(path))
            if _matches(path, now, globs):
                found.add(_text(path))
        return tuple(sorted(found))


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _matches(path: bytes, entry: Entry | None, globs: tuple[str, ...]) -> bool:
    return entry is not None and entry.mode in trees.REGULAR and matches_any(globs, _text(path))
