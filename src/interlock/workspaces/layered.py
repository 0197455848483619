"""Fill a checkout that is an overlay over a template: its cost is that of what differs from the template.

The template is that of the tree itself, or of a near ancestor; a gate's checkout is over the template of the accepted
input. What differs is written into the overlay: files, objects and refs of `.git`, entries of its index.

Rule: a checkout is the same as one that `checkouts.fill` makes.
"""

# Paths are bytes here, which pathlib cannot hold.
# ruff: noqa: PTH106, PTH108

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from interlock.ports import Checkout, CheckoutSpec
from interlock.ports.disk import disk_error
from interlock.sandbox import take_over
from interlock.workspaces import checkouts, layers, layout, templates, trees
from interlock.workspaces.checkout_git import Indexed, exclude, point_at, splice_index, write_index
from interlock.workspaces.checkouts import CheckoutParts, CheckoutRequest
from interlock.workspaces.layout import CheckoutIndex
from interlock.workspaces.objects import Commit
from interlock.workspaces.templates import Made, Template
from interlock.workspaces.trees import Entry, Listing

_DIFFERENT_MAX = 500  # files that differ from a template; above, another one is made
_ANCESTORS_MAX = 16
_SECOND_NS = 1_000_000_000


def fill(parts: CheckoutParts, checkout: Checkout, request: CheckoutRequest) -> tuple[Checkout, CheckoutIndex]:
    """As `checkouts.fill`."""
    spec = request.spec
    template = _template(parts, request)
    parts.checkouts.hold(checkout.root, template.lock)
    known = template.made.index
    index = CheckoutIndex(dict(known.stats), known.until_ns, dict(known.inner), known.setup_files)
    index.replaced = layout.setup_paths(spec.setup)
    index.layers = layers.mount(checkout, template.tree)
    listing = parts.objects.listing(request.tree)
    _write_differences(parts, checkout.tree, _listing_of(parts, template), listing, index)
    request.carry(checkout.tree)
    _update_git(parts, checkout.tree, template, request)
    if spec.setup:
        parts.recipes.settle(spec.setup, checkout)
        checkout = replace(checkout, env=parts.recipes.variables(spec.setup, checkout))
        _put_back(parts, checkout.tree, listing, index)
    if spec.setup or spec.carry:
        index.setup_files |= checkouts.excluded_names(spec) | _untracked(checkout.tree, listing, index, spec)
        if index.setup_files != known.setup_files:
            exclude(checkout.tree, index.setup_files)
    _update_index(parts, checkout.tree, template, request, index)
    take_over(checkout)
    layout.hand_over(index)
    return checkout, index


def _listing_of(parts: CheckoutParts, template: Template) -> Listing:
    return parts.objects.listing(parts.objects.commit(template.made.commit).tree)


# --- the template ----------------------------------------------------------------------------


def _template(parts: CheckoutParts, request: CheckoutRequest) -> Template:
    """The template of a tree that differs little. If there is none, one is made. Raises SetupFailed."""
    setups = request.spec.setup
    digest = parts.recipes.digest(setups, checkouts.setup_input(parts, request)) if setups else ""
    first, last = request.commits[0], request.commits[-1]
    at = next((each for each in _near(parts, request, digest)), None)
    if at is None:
        at = first if _differs_little(parts, first.tree, request.tree) else last
    own = replace(request, commits=(at,), tree=at.tree, setup_tree=request.setup_tree or request.tree)
    base = own.base or first.tree
    return parts.templates.take(
        templates.name_of(at.tree, digest), lambda folder: _make(parts, folder, replace(own, base=base))
    )


def _near(parts: CheckoutParts, request: CheckoutRequest, digest: str) -> Iterator[Commit]:
    """Commits that have a template from which the request differs little."""
    for commit in _candidates(parts, request.commits):
        there = parts.templates.is_there(templates.name_of(commit.tree, digest))
        if there and _differs_little(parts, commit.tree, request.tree):
            yield commit


def _candidates(parts: CheckoutParts, commits: Sequence[Commit]) -> Iterator[Commit]:
    """The commits themselves, then the ancestors of the last."""
    yield from dict.fromkeys(reversed(commits))
    at = commits[-1]
    for _ in range(_ANCESTORS_MAX):
        if not at.parents or parts.objects.lookup(at.parents[0]) is None:
            return
        at = parts.objects.commit(at.parents[0])
        yield at


def _differs_little(parts: CheckoutParts, old: str, new: str) -> bool:
    """Whether the difference can be written into an overlay: what a tree only points to cannot."""
    if old == new:
        return True
    found = trees.differences(parts.objects.listing(old), parts.objects.listing(new))
    modes = {entry.mode for pair in found.values() for entry in pair if entry}
    same_contents = parts.contents.pointers(old) == parts.contents.pointers(new)
    return len(found) <= _DIFFERENT_MAX and trees.SUBMODULE not in modes and same_contents


def _make(parts: CheckoutParts, tree: Path, request: CheckoutRequest) -> Made:
    """Fill the empty folder `tree`, without settling the output of setup."""
    setups, listing = request.spec.setup, parts.objects.listing(request.tree)
    index = checkouts.write_files(parts, tree, request)
    if setups:
        parts.recipes.place(setups, checkouts.setup_input(parts, request), tree)
        named = frozenset(os.fsencode(path.strip("/")) for setup in setups for path in setup.paths)
        index.setup_files = named | frozenset(checkouts.untracked(tree, listing, index.replaced, named))
        exclude(tree, index.setup_files)
    try:
        _let_age(tree, index)
    except OSError as error:
        raise disk_error(tree, error) from error
    offsets = write_index(parts.objects, listing, index, tree)
    layout.hand_over(index)
    return Made(request.commits[0].oid, index, offsets)


def _let_age(tree: Path, index: CheckoutIndex) -> None:
    """git reads files again that are as young as its index: let all be older than that."""
    root, before = os.fsencode(tree), (time.time_ns() // _SECOND_NS - 1) * _SECOND_NS
    for path, (_, _, mtime, _, _) in index.stats.items():
        if mtime >= before and not index.is_replaced(path):
            name = root + b"/" + path
            os.utime(name, ns=(before, before), follow_symlinks=False)
            index.stats[path] = layout.file_stat(os.lstat(name))


# --- what differs ----------------------------------------------------------------------------


def _write_differences(parts: CheckoutParts, tree: Path, old: Listing, new: Listing, index: CheckoutIndex) -> None:
    """Make the files of `new` of those of `old`."""
    root = os.fsencode(tree)
    found = {path: now for path, (_, now) in trees.differences(old, new).items() if not index.is_replaced(path)}
    try:
        for path, now in found.items():
            if now is None:
                _remove_leaf(root, path, new)
        layout.rewrite_files(parts.objects, [(path, now) for path, now in found.items() if now], tree, index)
    except OSError as error:
        raise disk_error(tree, error) from error


def _remove_leaf(root: bytes, path: bytes, new: Listing) -> None:
    """Remove a file, and the folders that were only there for it."""
    os.unlink(root + b"/" + path)
    folder = trees.split(path)[0]
    while folder and folder not in new:
        try:
            os.rmdir(root + b"/" + folder)
        except OSError:  # not empty: more is removed later, or setup has put something there
            return
        folder = trees.split(folder)[0]


def _update_git(parts: CheckoutParts, tree: Path, template: Template, request: CheckoutRequest) -> None:
    """Make the `.git` of the template that of the request's commits."""
    old = _listing_of(parts, template)
    wanted: set[str] = set()
    for commit in request.commits:
        new = parts.objects.listing(commit.tree)
        if new is not old:
            wanted |= {commit.tree, *trees.new_oids(old, new)}
    point_at(parts.objects, tree, request.commits, wanted, template.made.commit)


def _update_index(
    parts: CheckoutParts, tree: Path, template: Template, request: CheckoutRequest, index: CheckoutIndex
) -> None:
    """Make the index of the template that of the last commit, in agreement with the files of the checkout."""
    accepted, listing = parts.objects.listing(request.commits[-1].tree), parts.objects.listing(request.tree)
    edits = {path: now for path, (_, now) in trees.differences(_listing_of(parts, template), accepted).items()}
    index.above = frozenset(path for path, now in edits.items() if now)
    for path, (was, _) in trees.differences(accepted, listing).items():
        index.stats.pop(path, None)  # differs from the input
        edits[path] = was
    if edits or any(setup.settle for setup in request.spec.setup):  # which may run git
        splice_index(parts.objects, edits, index, Indexed(template.tree, template.made.offsets), tree)


def touched_files(index: CheckoutIndex, listing: Listing) -> tuple[str, ...]:
    """The tree's regular files that may differ from the template."""
    found = {
        path for path in _touched(index, listing) if (one := trees.get(listing, path)) and one.mode in trees.REGULAR
    }
    return tuple(sorted(path.decode("utf-8", "surrogateescape") for path in found))


# --- after setup -----------------------------------------------------------------------------


def _touched(index: CheckoutIndex, listing: Listing) -> Iterator[bytes]:
    """Paths that exist and may differ from the template; tracked ones also if they do not exist."""
    assert index.layers is not None
    for path, whole in layers.touched(index.layers):
        yield path
        if whole or path in listing:
            yield from trees.leaves_at(listing, path)
    yield from index.stats  # one that was written here, and removed, leaves nothing behind


def _put_back(parts: CheckoutParts, tree: Path, listing: Listing, index: CheckoutIndex) -> None:
    """Restore the tree's files that setup changed or removed."""
    found: dict[bytes, Entry] = {}
    root = os.fsencode(tree)
    for path in _touched(index, listing):
        entry = trees.get(listing, path)
        if entry is None or entry.mode in (trees.FOLDER, trees.SUBMODULE) or index.is_replaced(path):
            continue
        if not _is_same(root + b"/" + path, index.stats.get(path)):
            found[path] = entry
    try:
        layout.rewrite_files(parts.objects, found.items(), tree, index)
    except OSError as error:
        raise disk_error(tree, error) from error


def _is_same(path: bytes, known: layout.FileStat | None) -> bool:
    try:
        return known is not None and layout.file_stat(os.lstat(path)) == known
    except OSError:
        return False


def _untracked(tree: Path, listing: Listing, index: CheckoutIndex, spec: CheckoutSpec) -> frozenset[bytes]:
    """Untracked paths in the checkout that the template does not have; a folder stands for everything below it."""
    root = os.fsencode(tree)
    named = index.setup_files | checkouts.excluded_names(spec)
    above = {path[:at] for path in named for at in range(len(path)) if path[at : at + 1] == b"/"}
    found = set()
    assert index.layers is not None
    for path, _ in layers.touched(index.layers):
        if trees.get(listing, path) is not None or not os.path.lexists(root + b"/" + path):
            continue
        if not any(path == each or path.startswith(each + b"/") for each in named):
            found.add(next(top for top in _tops(path, listing) if top == path or top not in above))
    return frozenset(found - above)


def _tops(path: bytes, listing: Listing) -> Iterable[bytes]:
    """The folders of `path` that are not in the tree, and itself, the topmost first."""
    parts = path.split(b"/")
    return (b"/".join(parts[:count]) for count in range(1, len(parts) + 1) if b"/".join(parts[:count]) not in listing)
