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


# --- folders ---------------------------------------------------------------------------------


_TRIES_MAX = 1000


class Checkouts:
    """Makes and removes places below one folder. In a `former` one, of an earlier version, they are only removed."""

    def __init__(self, folder: Path, former: Path | None = None) -> None:
        self.folder = folder
        self.folders = (folder,) if former is None else (folder, former)
        self._stays: list[str] = []

    def of_attempt(self, run: str, attempt: AttemptId) -> Checkout:
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

    def of(self, kind: str) -> Checkout:
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
        """Remove a place whatever is in it. What cannot be removed is in nobody's way: it is told by `leavings`, and
        `gc` tries again."""
        try:
            remove(root)
        except InfrastructureError as error:
            self._stays.append(str(error))

    def leavings(self) -> tuple[str, ...]:
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
    """`wanted` is what is tried, `control` what it is compared with, None where there is nothing."""

    wanted: CheckoutRequest
    control: CheckoutRequest | None


def run_trial(parts: CheckoutParts, attempted: Trial, act: Callable[[CheckoutRequest], Done]) -> Done:
    """`act(wanted)`, once more where it fails. Raises UnfitSetup, or what `act` raised."""
    wanted, control = attempted.wanted, attempted.control
    try:
        return act(wanted)
    except SetupFailed as failed:
        if control is None or not _may_differ(parts, wanted, control, failed):
            raise
        last = failed
    if not (last.again or last.by_files or last.slow):
        try:
            return act(replace(wanted, spec=replace(wanted.spec, number=0)))
        except SetupFailed as failed:
            last = failed
    _prove(parts, control, last)
    said = error_line(last.output.decode(errors="replace"))  # first, for the line may be cut
    words = f"{last.what} fails on these files: {said or 'it says nothing'} (on what was accepted last it works)"
    raise UnfitSetup(f"{words}\n{last.why}", last.output) from last


def _may_differ(parts: CheckoutParts, wanted: CheckoutRequest, control: CheckoutRequest, failed: SetupFailed) -> bool:
    """Whether the two trees can be told apart by what failed."""
    if failed.what == "settle" or failed.by_files:
        return wanted.shown != control.shown
    setups = wanted.spec.setup[: failed.index + 1]
    keys = {parts.recipes.key(setups, parts.objects.listing(each.shown)) for each in (wanted, control)}
    return len(keys) > 1


def _prove(parts: CheckoutParts, control: CheckoutRequest, failed: SetupFailed) -> None:
    """Raises InfrastructureError where the control fails too: then nothing is said of the files."""
    setups = control.spec.setup
    try:
        if failed.what == "settle":
            checkout = parts.places.of("setup")
            try:
                furnish(parts, checkout, control)
            finally:
                parts.places.wipe(checkout.root)
        elif not failed.by_files:
            parts.recipes.proved(setups[: failed.index + 1], setup_input(parts, control))
        else:
            parts.recipes.installed(setups[: failed.index + 1], setup_input(parts, control))
    except SetupFailed as error:
        raise InfrastructureError(f"{failed}\n(it fails on the accepted input as well: {error})") from error
