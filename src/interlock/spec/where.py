"""Where a value of the pipeline was written. Rule: always an answer, if only the nearest one above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from interlock.spec.yaml import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from interlock.spec.mistakes import Mark

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """The tree, asked by path such as ("stages", "code", "gates", 0, "run")."""

    root: Mapping

    def value(self, *path: str | int) -> Mark:
        """The value's place; that of the nearest thing above it where it is not there."""
        node, mark = self._walk(path)
        return node.mark if node else mark

    def key(self, *path: str | int) -> Mark:
        """The place of the key (or item) itself."""
        return self._walk(path)[1]

    def node(self, *path: str | int) -> Node | None:
        return self._walk(path)[0]

    def has(self, *path: str | int) -> bool:
        return self._walk(path)[0] is not None

    def _walk(self, path: Path) -> tuple[Node | None, Mark]:
        node: Node = self.root
        mark = self.root.mark
        for part in path:
            found = step(node, part)
            if found is None:
                return None, mark
            mark, node = found
        return node, mark


def step(node: Node, part: str | int) -> tuple[Mark, Node] | None:
    """The place and value of one key or item below `node`."""
    if isinstance(node, Mapping) and isinstance(part, str):
        return next(((key.mark, value) for key, value in node.entries if key.text == part), None)
    if isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
        return node.items[part].mark, node.items[part]
    return None


def is_text(node: Node | None) -> bool:
    return isinstance(node, Scalar) and isinstance(node.value, str)
