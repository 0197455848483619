"""Filling a place: the files, what they point to, the throw-away `.git`, what is carried in, what setup makes.

Rule: the tracked files are the tree's when it is handed over, whatever setup did to them; what else lies there
by then is known, and stays out of the candidate.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.ports import Place, Room, UsageError
from interlock.workspaces import checkout, trees
from interlock.workspaces.base import Origin
from interlock.workspaces.checkout import Laid
from interlock.workspaces.contents import Contents
from interlock.workspaces.objects import Commit, Objects, disk_trouble
from interlock.workspaces.places import Places
from interlock.workspaces.setup import Recipes, copy_tree
from interlock.workspaces.throwaway import Kits, exclude, write_index, write_repository
from interlock.workspaces.trees import Listing


@dataclass(frozen=True, slots=True)
class Parts:
    """What places are furnished with."""

    objects: Objects
    kits: Kits
    contents: Contents
    recipes: Recipes
    places: Places


def furnish(  # noqa: PLR0913 - a place's parts meet here once
    parts: Parts, place: Place, commits: Sequence[Commit], shown: str, room: Room, origin: Callable[[], Origin]
) -> tuple[Place, Laid]:
    """Fill `place` with the files of tree `shown` on a `.git` of `commits`. Returns it with what setup adds."""
    laid = _files(parts, place, commits, shown)
    if room.carry:
        _carry(room.carry, origin(), place.tree)
    listing = parts.objects.listing(shown)
    if room.setup:
        head = parts.objects.listing(commits[-1].tree)
        write_index(parts.objects, head, laid, place.tree)
        parts.recipes.furnish(room.setup, listing, place, lambda: _plain(parts, commits, shown, room, origin))
        place = replace(place, env=parts.recipes.variables(room.setup, place))
        _put_back(parts, place.tree, listing, laid)
    if room.setup or room.carry:
        named = left_by(room)
        laid.left = named | frozenset(_untracked(place.tree, listing, named))
        exclude(place.tree, laid.left)
    accepted = parts.objects.listing(commits[-1].tree)
    for path in trees.differences(accepted, listing):
        laid.seen.pop(path, None)  # laid over the input: to be read as a change of it
    write_index(parts.objects, accepted, laid, place.tree)
    checkout.hand_over(laid)
    return place, laid


def left_by(room: Room) -> frozenset[bytes]:
    """What stays out of a candidate by name: setup's paths and what is carried in."""
    named = [*room.carry, *(path for setup in room.setup for path in setup.paths)]
    return frozenset(os.fsencode(path.strip("/")) for path in named)


def check_carried(carry: Sequence[str], origin: Origin) -> None:
    """Raises UsageError for what is not there to carry."""
    for path in carry:
        _carried(path, origin)


def _files(parts: Parts, place: Place, commits: Sequence[Commit], shown: str) -> Laid:
    laid = checkout.lay_out(parts.objects, parts.objects.listing(shown), place.tree)
    parts.contents.lay_in(shown, place.tree, laid)
    write_repository(parts.objects, parts.kits, place.tree, commits)
    return laid


def _plain(parts: Parts, commits: Sequence[Commit], shown: str, room: Room, origin: Callable[[], Origin]) -> Place:
    """A checkout for setup to work in."""
    place = parts.places.of("setup")
    laid = _files(parts, place, commits, shown)
    _carry(room.carry, origin() if room.carry else None, place.tree)
    write_index(parts.objects, parts.objects.listing(commits[-1].tree), laid, place.tree)
    return place


def _carry(carry: Sequence[str], origin: Origin | None, tree: Path) -> None:
    for path in carry:
        assert origin is not None
        source = _carried(path, origin)
        target = tree / path
        if not target.exists() and not target.is_symlink():
            copy_tree(source, target, os.environ)


def _carried(path: str, origin: Origin) -> Path:
    if path.startswith("/") or ".." in path.split("/") or ".git" in path.split("/"):
        raise UsageError(f"carry: {path!r}: a path inside the repository was expected")
    if origin.worktree is None:
        raise UsageError(f"carry: {path!r}: the repository is bare, so it has no untracked files: run from a checkout")
    source = origin.worktree / path
    if not source.exists():
        raise UsageError(f"carry: {path!r} is not in {origin.worktree}: put it there, or take it out of `carry`")
    return source


def _put_back(parts: Parts, tree: Path, listing: Listing, laid: Laid) -> None:
    """Give back the tree's files where setup changed or removed them."""
    root = os.fsencode(tree)
    changed = []
    for path, entry in trees.leaves(listing):
        if entry.mode == trees.SUBMODULE:
            continue
        try:
            now = os.lstat(root + b"/" + path)
        except OSError:
            changed.append((path, entry))
            continue
        if laid.seen.get(path) != checkout.seen(now):
            changed.append((path, entry))
    try:
        checkout.lay_again(parts.objects, changed, tree, laid)
    except OSError as error:
        raise disk_trouble(tree, error) from error


def _untracked(tree: Path, listing: Listing, named: frozenset[bytes]) -> list[bytes]:
    """What lies in the tree's folders and is not the tree's; a folder for all below it, but above a named path."""
    above = {path[:at] for path in named for at in range(len(path)) if path[at : at + 1] == b"/"}
    found, waiting = [], [b""]
    while waiting:
        folder = waiting.pop()
        tracked = listing.get(folder, {})
        for entry in os.scandir(os.fsencode(tree) + b"/" + folder):
            path = trees.joined(folder, entry.name)
            is_folder = stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode)
            if entry.name in tracked:
                if is_folder and tracked[entry.name].mode == trees.FOLDER:
                    waiting.append(path)
            elif is_folder and path in above:
                waiting.append(path)
            elif path != b".git":
                found.append(path)
    return found
