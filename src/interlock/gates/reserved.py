"""Paths that no candidate may make: where setup leaves its interpreters and tools, and folders that git takes for a
repository of their own, whose `config` may name programs.

Rule: letter case is no way around. Git goes by names: HEAD, and `objects` with `refs`, or `commondir`. Taking such a
file out of the tree is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from interlock.core.pipeline import Setup
from interlock.ports import Change


def complaint(setups: Sequence[Setup], change: Change) -> tuple[str, str] | None:
    """The rule that the change breaks and what would be right, or None."""
    if change.status == "D":
        return None
    changed = f"{change.path.casefold()}/"
    for path in (path for setup in setups for path in setup.paths):
        own = f"{path.strip('/').casefold()}/"
        if changed.startswith(own) or own.startswith(changed):
            return "setup_path", f"but setup makes {path}, and replaces what is there: take it out of the tree"
    return None


_HEAD, _COMMON = "head", "commondir"
_PARTS = ("objects", "refs")
_STEER = frozenset({_HEAD, _COMMON, *_PARTS, "config", "config.worktree", "hooks", "info", "modules", "worktrees"})

Folder = tuple[str, ...]


def may_steer(paths: Iterable[str]) -> bool:
    """Whether one of these names is of a kind that makes or steers a repository."""
    return any(part.casefold() in _STEER for path in paths for part in path.split("/"))


def planted(before: Iterable[str], after: Iterable[str], changed: Iterable[str]) -> dict[str, str]:
    """For each such folder that the change made or steers, by its path (`.` is the root), one of the paths changed in
    it. `before` and `after` are all paths of the trees, `changed` those of them that were not deleted."""
    old, new = set(_repositories(before)), set(_repositories(after))
    found: dict[str, str] = {}
    for path in changed:
        for folder, name in _steered(path):
            if folder in new and (name not in _PARTS or folder not in old):
                found.setdefault("/".join(folder) or ".", path)
    return found


def _repositories(paths: Iterable[str]) -> Iterator[Folder]:
    inside: dict[Folder, set[str]] = {}
    for path in paths:
        for folder, name in _steered(path):
            inside.setdefault(folder, set()).add(name)
    return (
        folder for folder, names in inside.items() if _HEAD in names and (_COMMON in names or names.issuperset(_PARTS))
    )


def _steered(path: str) -> Iterator[tuple[Folder, str]]:
    """Each folder above `path` with the name below it, where git knows that name. Some file systems do not tell small
    letters from large ones."""
    parts = path.split("/")
    for at, part in enumerate(parts):
        if part.casefold() in _STEER:
            yield tuple(parts[:at]), part.casefold()
