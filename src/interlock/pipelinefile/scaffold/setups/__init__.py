"""Setup recipes: how a checkout gets the project's packages, from its lock files and manifests.

Rule: no recipe is written if the project needs no packages, and everything that a recipe makes is in the checkout. The
project itself is never installed as a copy, only as editable, and that points at the current checkout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from interlock.pipelinefile.repo import Which
from interlock.pipelinefile.scaffold.setups import python
from interlock.pipelinefile.scaffold.setups.recipes import Recipe, go, in_folder, node, rust

__all__ = ["Recipe", "installs", "recipes"]

installs = python.installs

_OF_A_PART: dict[str, Callable[[Path, Which], Recipe | None]] = {
    "node": node,
    "go": go,
    "rust": rust,
}


def recipes(language: str, root: Path, parts: Sequence[str], which: Which, tag: str = "") -> tuple[Recipe, ...]:
    """The recipes that install the packages of `language` in a checkout of `root`, for each of its `parts` (folders; an
    empty name is the root). `tag` is the newest tag with a version. Empty if no packages are needed."""
    if language == "python":
        return python.recipes(root, parts, which, tag)
    find = _OF_A_PART.get(language)
    found = ((part, find(root / part, which)) for part in parts) if find else ()
    return tuple(in_folder(each, part) for part, each in found if each)
