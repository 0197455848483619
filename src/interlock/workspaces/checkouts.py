"""Filling a place: the files, what they point to, the throw-away `.git`, what is carried in, what setup makes.

Rule: the tracked files are the tree's when it is handed over, whatever setup did to them; what else lies there
by then is known, and stays out of the candidate.

The folders of attempts and gates: places/RUN/STAGE-EPOCH.NUMBER-N, and places/room-X, each with tree, home and tmp.

Rule: every place has a path that was not there before, so that what still writes to an old one meets nobody.

Who is to blame where setup fails: the files at hand, or the machine.

Rule: the files are, where they alone differ: setup fails on them twice, and then works on the files that they are
compared with. All else is infrastructure.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from interlock.core.ids import AttemptId
from interlock.ports import Checkout, CheckoutSpec, InfrastructureError, UnfitSetup, UsageError
from interlock.ports.disk import disk_error
from interlock.process import end_left
from interlock.workspaces import layout, setup_inputs, trees
from interlock.workspaces.base import Origin
from interlock.workspaces.checkout_git import TreePacks, exclude, write_index, write_repository
from interlock.workspaces.contents import Contents
from interlock.workspaces.layout import CheckoutIndex, copy_tree
from interlock.workspaces.objects import Commit, Objects
from interlock.workspaces.removal import remove
from interlock.workspaces.setup import Recipes, SetupFailed, SetupInput, error_line
from interlock.workspaces.trees import Listing


@dataclass(frozen=True, slots=True)
class CheckoutParts:
    """What places are furnished with."""

    objects: Objects
    packs: TreePacks
    contents: Contents
    recipes: Recipes
    checkouts: Checkouts


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """The files of tree `shown` on a `.git` of `commits`, and what is index out beside them. What setup makes is made
    from tree `made_from`; empty: `shown`. Where it has a key, it is made with the code of tree `base`; empty:
    that of the first commit."""

    commits: Sequence[Commit]
    tree: str
    spec: CheckoutSpec
    origin: Callable[[], Origin]
    setup_tree: str = ""
    base: str = ""


def fill(parts: CheckoutParts, checkout: Checkout, request: CheckoutRequest) -> tuple[Checkout, CheckoutIndex]:
    """Fill `checkout`. Returns it with what setup adds. Raises SetupFailed, InfrastructureError, UsageError."""
    spec, commits = request.spec, request.commits
    index = _files(parts, checkout, request)
    if spec.carry:
        _carry(spec.carry, request.origin(), checkout.tree)
    listing = parts.objects.listing(request.tree)
    if spec.setup:
        head = parts.objects.listing(commits[-1].tree)
        write_index(parts.objects, head, index, checkout.tree)
        parts.recipes.install(spec.setup, setup_input(parts, request), checkout)
        checkout = replace(checkout, env=parts.recipes.variables(spec.setup, checkout))
        _put_back(parts, checkout.tree, listing, index)
    if spec.setup or spec.carry:
        named = excluded_names(spec)
        index.setup_files = named | frozenset(_untracked(checkout.tree, listing, index.replaced, named))
        exclude(checkout.tree, index.setup_files)
    accepted = parts.objects.listing(commits[-1].tree)
    for path in trees.differences(accepted, listing):
        index.stats.pop(path, None)  # index over the input: to be read as a change of it
    write_index(parts.objects, accepted, index, checkout.tree)
    layout.hand_over(index)
    return checkout, index


def setup_input(parts: CheckoutParts, request: CheckoutRequest) -> SetupInput:
    """What setup works on."""
    tree, base = request.setup_tree or request.tree, request.base or request.commits[0].tree
    return SetupInput(
        tree,
        parts.objects.listing(tree),
        lambda setups: setup_inputs.setup_trees(parts.objects, setups, tree, base),
        lambda shown: _plain(parts, replace(request, tree=shown)),
        parts.checkouts.wipe,
        request.spec.number,
    )


def excluded_names(spec: CheckoutSpec) -> frozenset[bytes]:
    """What stays out of a candidate by name: setup's paths and what is carried in."""
    named = [*spec.carry, *(path for setup in spec.setup for path in setup.paths)]
    return frozenset(os.fsencode(path.strip("/")) for path in named)


def check_carried(carry: Sequence[str], origin: Origin) -> None:
    """Raises UsageError for what is not there to carry."""
    for path in carry:
        _carried(path, origin)


def _files(parts: CheckoutParts, checkout: Checkout, request: CheckoutRequest) -> CheckoutIndex:
    """The tree's files, but for those where setup's will stand."""
    index = layout.write_tree(parts.objects, parts.objects.listing(request.tree), checkout.tree)
    index.replaced = layout.setup_paths(request.spec.setup)
    parts.contents.write_into(request.tree, checkout.tree, index)
    write_repository(parts.objects, parts.packs, checkout.tree, request.commits)
    return index


def _plain(parts: CheckoutParts, request: CheckoutRequest) -> Checkout:
    """A checkout for setup to work in."""
    checkout, spec = parts.checkouts.new("setup"), request.spec
    index = _files(parts, checkout, request)
    _carry(spec.carry, request.origin() if spec.carry else None, checkout.tree)
    write_index(parts.objects, parts.objects.listing(request.commits[-1].tree), index, checkout.tree)
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


def _put_back(parts: CheckoutParts, tree: Path, listing: Listing, index: CheckoutIndex) -> None:
    """Give back the tree's files where setup changed or removed them."""
    root = os.fsencode(tree)
    changed = []
    for path, entry in trees.leaves(listing):
        if entry.mode == trees.SUBMODULE or index.is_replaced(path):
            continue
        try:
            now = os.lstat(root + b"/" + path)
        except OSError:
            changed.append((path, entry))
            continue
        if index.stats.get(path) != layout.file_stat(now):
            changed.append((path, entry))
    try:
        layout.rewrite_files(parts.objects, changed, tree, index)
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


# --- folders ---------------------------------------------------------------------------------


_TRIES_MAX = 1000


class Checkouts:
    """Makes and removes places below one folder. In a `former` one, of an earlier version, they are only removed."""

    def __init__(self, folder: Path, former: Path | None = None) -> None:
        self.folder = folder
        self.folders = (folder,) if former is None else (folder, former)
        self._stays: list[str] = []

    def new_for_attempt(self, run: str, attempt: AttemptId) -> Checkout:
        """A new place for the attempt; what it had before is removed."""
        last = self.discard(run, attempt)
        parent = self.folder / run
        for number in range(last + 1, last + _TRIES_MAX):
            root = parent / f"{_stem(attempt)}-{number}"
            try:
                root.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise disk_error(root, error) from error
            return _furnished(root)
        raise InfrastructureError(f"{parent}: no free place for {attempt}")

    def newest(self, run: str, attempt: AttemptId) -> Path | None:
        """The root of the place that the attempt has, None where it has none."""
        roots = (self.folder / run).glob(f"{_stem(attempt)}-*")
        return max(roots, key=lambda root: int(root.name.rpartition("-")[2]), default=None)

    def new(self, kind: str) -> Checkout:
        """A new place for a gate or a setup."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return _furnished(Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.folder)))
        except OSError as error:
            raise disk_error(self.folder, error) from error

    def discard(self, run: str, attempt: AttemptId) -> int:
        """Remove what the attempt has, as `wipe`. Returns the highest number among its places, 0 for none."""
        last = 0
        for root in sorted(root for folder in self.folders for root in (folder / run).glob(f"{_stem(attempt)}-*")):
            number = root.name.rpartition("-")[2]
            last = max(last, int(number) if number.isdigit() else 0)
            end_left(root)
            self.wipe(root)
        return last

    def wipe(self, root: Path) -> None:
        """Remove a place whatever is in it. What cannot be removed is in nobody's way: it is told by `removal_failures`, and
        `gc` tries again."""
        try:
            remove(root)
        except InfrastructureError as error:
            self._stays.append(str(error))

    def removal_failures(self) -> tuple[str, ...]:
        """What could not be removed since this was asked last."""
        told, self._stays = self._stays, []
        return tuple(told)


def _stem(attempt: AttemptId) -> str:
    item = f"@{quote(attempt.item, safe='')[:80]}" if attempt.item else ""
    return f"{attempt.stage}{item}-{attempt.epoch}.{attempt.number}"


def _furnished(root: Path) -> Checkout:
    checkout = Checkout(root, root / "tree", root / "home", root / "tmp")
    try:
        for folder in (checkout.tree, checkout.home, checkout.tmp):
            folder.mkdir()
    except OSError as error:
        raise disk_error(root, error) from error
    return checkout


# --- failed setup ----------------------------------------------------------------------------


Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Trial:
    """`request` is what is tried, `control` what it is compared with, None where there is nothing."""

    request: CheckoutRequest
    control: CheckoutRequest | None


def run_trial(parts: CheckoutParts, attempted: Trial, act: Callable[[CheckoutRequest], Done]) -> Done:
    """`act(request)`, once more where it fails. Raises UnfitSetup, or what `act` raised."""
    request, control = attempted.request, attempted.control
    try:
        return act(request)
    except SetupFailed as failed:
        if control is None or not _may_differ(parts, request, control, failed):
            raise
        last = failed
    if not (last.again or last.by_files or last.slow):
        try:
            return act(replace(request, spec=replace(request.spec, number=0)))
        except SetupFailed as failed:
            last = failed
    _prove(parts, control, last)
    said = error_line(last.output.decode(errors="replace"))  # first, for the line may be cut
    words = f"{last.what} fails on these files: {said or 'it says nothing'} (on what was accepted last it works)"
    raise UnfitSetup(f"{words}\n{last.why}", last.output) from last


def _may_differ(parts: CheckoutParts, request: CheckoutRequest, control: CheckoutRequest, failed: SetupFailed) -> bool:
    """Whether the two trees can be told apart by what failed."""
    if failed.what == "settle" or failed.by_files:
        return request.tree != control.tree
    setups = request.spec.setup[: failed.index + 1]
    keys = {parts.recipes.key(setups, parts.objects.listing(each.tree)) for each in (request, control)}
    return len(keys) > 1


def _prove(parts: CheckoutParts, control: CheckoutRequest, failed: SetupFailed) -> None:
    """Raises InfrastructureError where the control fails too: then nothing is said of the files."""
    setups = control.spec.setup
    try:
        if failed.what == "settle":
            checkout = parts.checkouts.new("setup")
            try:
                fill(parts, checkout, control)
            finally:
                parts.checkouts.wipe(checkout.root)
        elif not failed.by_files:
            parts.recipes.prove(setups[: failed.index + 1], setup_input(parts, control))
        else:
            parts.recipes.digest(setups[: failed.index + 1], setup_input(parts, control))
    except SetupFailed as error:
        raise InfrastructureError(f"{failed}\n(it fails on the accepted input as well: {error})") from error
