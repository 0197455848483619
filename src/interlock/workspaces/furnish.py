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

from interlock.ports import Checkout, CheckoutSpec, InfrastructureError, UsageError
from interlock.ports.disk import disk_error
from interlock.workspaces import layout, setup_inputs, trees
from interlock.workspaces.base import Origin
from interlock.workspaces.contents import Contents
from interlock.workspaces.layout import CheckoutIndex, copy_tree
from interlock.workspaces.objects import Commit, Objects
from interlock.workspaces.places import Checkouts
from interlock.workspaces.setup import Recipes, SetupInput
from interlock.workspaces.throwaway import TreePacks, exclude, write_index, write_repository
from interlock.workspaces.trees import Listing


@dataclass(frozen=True, slots=True)
class CheckoutParts:
    """What places are furnished with."""

    objects: Objects
    kits: TreePacks
    contents: Contents
    recipes: Recipes
    places: Checkouts


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """The files of tree `shown` on a `.git` of `commits`, and what is laid out beside them. What setup makes is made
    from tree `made_from`; empty: `shown`. Where it has a key, it is made with the code of tree `base`; empty:
    that of the first commit."""

    commits: Sequence[Commit]
    shown: str
    spec: CheckoutSpec
    origin: Callable[[], Origin]
    made_from: str = ""
    base: str = ""


def furnish(parts: CheckoutParts, checkout: Checkout, wanted: CheckoutRequest) -> tuple[Checkout, CheckoutIndex]:
    """Fill `checkout`. Returns it with what setup adds. Raises SetupFailed, InfrastructureError, UsageError."""
    spec, commits = wanted.spec, wanted.commits
    laid = _files(parts, checkout, wanted)
    if spec.carry:
        _carry(spec.carry, wanted.origin(), checkout.tree)
    listing = parts.objects.listing(wanted.shown)
    if spec.setup:
        head = parts.objects.listing(commits[-1].tree)
        write_index(parts.objects, head, laid, checkout.tree)
        parts.recipes.furnish(spec.setup, setup_input(parts, wanted), checkout)
        checkout = replace(checkout, env=parts.recipes.variables(spec.setup, checkout))
        _put_back(parts, checkout.tree, listing, laid)
    if spec.setup or spec.carry:
        named = excluded_names(spec)
        laid.left = named | frozenset(_untracked(checkout.tree, listing, laid.replaced, named))
        exclude(checkout.tree, laid.left)
    accepted = parts.objects.listing(commits[-1].tree)
    for path in trees.differences(accepted, listing):
        laid.seen.pop(path, None)  # laid over the input: to be read as a change of it
    write_index(parts.objects, accepted, laid, checkout.tree)
    layout.hand_over(laid)
    return checkout, laid


def setup_input(parts: CheckoutParts, wanted: CheckoutRequest) -> SetupInput:
    """What setup works on."""
    tree, base = wanted.made_from or wanted.shown, wanted.base or wanted.commits[0].tree
    return SetupInput(
        tree,
        parts.objects.listing(tree),
        lambda setups: setup_inputs.setup_trees(parts.objects, setups, tree, base),
        lambda shown: _plain(parts, replace(wanted, shown=shown)),
        parts.places.wipe,
        wanted.spec.number,
    )


def excluded_names(spec: CheckoutSpec) -> frozenset[bytes]:
    """What stays out of a candidate by name: setup's paths and what is carried in."""
    named = [*spec.carry, *(path for setup in spec.setup for path in setup.paths)]
    return frozenset(os.fsencode(path.strip("/")) for path in named)


def check_carried(carry: Sequence[str], origin: Origin) -> None:
    """Raises UsageError for what is not there to carry."""
    for path in carry:
        _carried(path, origin)


def _files(parts: CheckoutParts, checkout: Checkout, wanted: CheckoutRequest) -> CheckoutIndex:
    """The tree's files, but for those where setup's will stand."""
    laid = layout.lay_out(parts.objects, parts.objects.listing(wanted.shown), checkout.tree)
    laid.replaced = layout.setup_paths(wanted.spec.setup)
    parts.contents.lay_in(wanted.shown, checkout.tree, laid)
    write_repository(parts.objects, parts.kits, checkout.tree, wanted.commits)
    return laid


def _plain(parts: CheckoutParts, wanted: CheckoutRequest) -> Checkout:
    """A checkout for setup to work in."""
    checkout, spec = parts.places.of("setup"), wanted.spec
    laid = _files(parts, checkout, wanted)
    _carry(spec.carry, wanted.origin() if spec.carry else None, checkout.tree)
    write_index(parts.objects, parts.objects.listing(wanted.commits[-1].tree), laid, checkout.tree)
    return checkout


def _carry(carry: Sequence[str], origin: Origin | None, tree: Path) -> None:
    for path in carry:
        assert origin is not None
        source = _carried(path, origin)
        try:
            target = layout.path_within(tree, path)
        except layout.MisplacedPath as error:
            raise InfrastructureError(f"carry: {error}", permanent=True) from error
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


def _put_back(parts: CheckoutParts, tree: Path, listing: Listing, laid: CheckoutIndex) -> None:
    """Give back the tree's files where setup changed or removed them."""
    root = os.fsencode(tree)
    changed = []
    for path, entry in trees.leaves(listing):
        if entry.mode == trees.SUBMODULE or laid.is_replaced(path):
            continue
        try:
            now = os.lstat(root + b"/" + path)
        except OSError:
            changed.append((path, entry))
            continue
        if laid.seen.get(path) != layout.seen(now):
            changed.append((path, entry))
    try:
        layout.lay_again(parts.objects, changed, tree, laid)
    except OSError as error:
        raise disk_error(tree, error) from error


def _untracked(tree: Path, listing: Listing, replaced: frozenset[bytes], named: frozenset[bytes]) -> list[bytes]:
    """What lies in the tree's folders and is not the tree's; a folder for all below it, but above a named path."""
    above = {path[:at] for path in named for at in range(len(path)) if path[at : at + 1] == b"/"}
    found, waiting = [], [b""]
    while waiting:
        folder = waiting.pop()
        tracked = listing.get(folder, {})
        for entry in os.scandir(os.fsencode(tree) + b"/" + folder):
            path = trees.joined(folder, entry.name)
            if path in replaced:
                continue
            is_folder = stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode)
            if entry.name in tracked:
                if is_folder and tracked[entry.name].mode == trees.FOLDER:
                    waiting.append(path)
            elif is_folder and path in above:
                waiting.append(path)
            elif path != b".git":
                found.append(path)
    return found
