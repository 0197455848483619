"""Where a value of the pipeline was written. Rule: always an answer, if only the nearest one above."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from interlock.spec.yaml import Mapping, Node, Sequence

if TYPE_CHECKING:
    from interlock.spec.mistakes import Mark

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """The tree, asked by path such as ("stages", "code", "gates", 0, "run")."""

    root: Mapping
    _indexes: dict[int, dict[str, tuple[Mark, Node]]] = field(default_factory=dict, repr=False, compare=False)

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
            found = self._step(node, part)
            if found is None:
                return None, mark
            mark, node = found
        return node, mark

    def _step(self, node: Node, part: str | int) -> tuple[Mark, Node] | None:
        if not isinstance(node, Mapping) or not isinstance(part, str):
            return step(node, part)
        index = self._indexes.get(id(node))
        if index is None:
            index = {key.text: (key.mark, value) for key, value in node.entries}
            self._indexes[id(node)] = index
        return index.get(part)


def step(node: Node, part: str | int) -> tuple[Mark, Node] | None:
    """The place and value of one key or item below `node`."""
    if isinstance(node, Mapping) and isinstance(part, str):
        return next(((key.mark, value) for key, value in node.entries if key.text == part), None)
    if isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
        return node.items[part].mark, node.items[part]
    return None
