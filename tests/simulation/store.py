"""Simulated trees and commits. A tree is the set of contents in it; a commit knows whose work it carries.

`contents` decide what gates say and whether two trees are the same. `work` is what no real commit shows: the
attempts, by name, whose content lies in it, so that the oracle can see what reached whom.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.fate import require

CONFLICT = "<<<<<<<"
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Commit:
    tree: str
    work: frozenset[str]
    restored_from: str = ""


@dataclass(slots=True)
class Store:
    contents: dict[str, frozenset[str]] = field(default_factory=dict)  # by tree
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    places: dict[str, Commit] = field(default_factory=dict)
    _trees: dict[frozenset[str], str] = field(default_factory=dict)
    _names: dict[tuple[object, ...], str] = field(default_factory=dict)

    def tree(self, contents: frozenset[str]) -> str:
        known = self._trees.get(contents)
        if known is None:
            known = self._trees[contents] = f"t{len(self._trees)}"
            self.contents[known] = contents
        return known

    def commit(self, commit: Commit, *made_from: object) -> str:
        """The name of a commit: the same for the same tree made from the same things."""
        key = (commit.tree, *made_from)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = f"c{len(self._names)}"
            self.commits[name] = commit
        return name

    def keep(self, ref: str, commit: str) -> None:
        """Refs are created once and never moved."""
        require(self.refs.setdefault(ref, commit) == commit, "S6", f"{ref} was {self.refs[ref]}, now {commit}")

    def of(self, commit: str) -> frozenset[str]:
        """What the files of a commit hold."""
        return self.contents[self.commits[commit].tree]
