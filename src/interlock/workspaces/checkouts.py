"""Checkouts of attempts and gates: make and remove their folders, fill them, and explain why setup failed in them.

The folders are places/RUN/STAGE-EPOCH.NUMBER-N and gates/room-X, each with tree, home and tmp.

Rule: each checkout has a path that never existed before, so a process that still writes to an old one disturbs nobody.

Rule: tools look for their configuration in the folders above. So before a checkout is made, all that Interlock did not
make is removed from them, as far as they are Interlock's own. No agent's `../..` leads to a folder above a gate.

Rule: when a checkout is handed over, its tracked files are those of the tree, whatever setup did to them. All other
files that exist by then are known, and are not part of the candidate.

Rule: the files are to blame for a failed setup only if nothing else differs: setup fails on them twice and then works
on the files of the control commit. Any other failure is an infrastructure error.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from interlock.core.ids import AttemptId
from interlock.ports import Checkout, CheckoutSpec, InfrastructureError, UnfitSetup
from interlock.ports.disk import disk_error
from interlock.process import end_supervised
from interlock.workspaces import layers, layout, setup_inputs, trees
from interlock.workspaces.checkout_git import TreePacks, exclude, write_index, write_repository
from interlock.workspaces.contents import Contents
from interlock.workspaces.layout import CheckoutIndex, remove
from interlock.workspaces.objects import Commit, Objects
from interlock.workspaces.setup import Recipes, SetupFailed, SetupInput, error_line
from interlock.workspaces.templates import Templates
from interlock.workspaces.trees import Listing


@dataclass(frozen=True, slots=True)
class CheckoutParts:
    """What is needed to fill checkouts."""

    objects: Objects
    packs: TreePacks
    templates: Templates
    contents: Contents
    recipes: Recipes
    checkouts: Checkouts


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """The files of `tree` with a `.git` of `commits`, and what `spec` adds. Setup runs on the files of `setup_tree`; if
    it is empty, on those of `tree`. Setup with a `key` runs with the code of tree `base`; if it is empty, with that of
    the first commit."""

    commits: Sequence[Commit]
    tree: str
    spec: CheckoutSpec
    carry: Callable[[Path], None]  # put the files to carry into the folder of a checkout
    setup_tree: str = ""
    base: str = ""


def fill(parts: CheckoutParts, checkout: Checkout, request: CheckoutRequest) -> tuple[Checkout, CheckoutIndex]:
    """Fill `checkout`. Returns it with the variables that setup adds. Raises SetupFailed, InfrastructureError,
    UsageError."""
    spec, commits = request.spec, request.commits
    index = write_files(parts, checkout.tree, request)
    request.carry(checkout.tree)
    listing = parts.objects.listing(request.tree)
    if spec.setup:
        head = parts.objects.listing(commits[-1].tree)
        write_index(parts.objects, head, index, checkout.tree)
        parts.recipes.install(spec.setup, setup_input(parts, request), checkout)
        checkout = replace(checkout, env=parts.recipes.variables(spec.setup, checkout))
        _put_back(parts, checkout.tree, listing, index)
    if spec.setup or spec.carry:
        named = excluded_names(spec)
        index.setup_files = named | frozenset(untracked(checkout.tree, listing, index.replaced, named))
        exclude(checkout.tree, index.setup_files)
    accepted = parts.objects.listing(commits[-1].tree)
    for path in trees.differences(accepted, listing):
        index.stats.pop(path, None)  # differs from the input: the snapshot must read it
    write_index(parts.objects, accepted, index, checkout.tree)
    layout.hand_over(index)
    return checkout, index


def setup_input(parts: CheckoutParts, request: CheckoutRequest) -> SetupInput:
    """The input of setup for `request`."""
    tree, base = request.setup_tree or request.tree, request.base or request.commits[0].tree
    return SetupInput(
        tree,
        parts.objects.listing(tree),
        lambda setups: setup_inputs.setup_trees(parts.objects, setups, tree, base),
        lambda tree: _checkout_for_setup(parts, replace(request, tree=tree)),
        parts.checkouts.wipe,
        request.spec.number,
        request.spec.sandbox,
    )


def excluded_names(spec: CheckoutSpec) -> frozenset[bytes]:
    """Paths that are never part of a candidate: those of setup, and carried files."""
    named = [*spec.carry, *(path for setup in spec.setup for path in setup.paths)]
    return frozenset(os.fsencode(path.strip("/")) for path in named)


def write_files(parts: CheckoutParts, tree: Path, request: CheckoutRequest) -> CheckoutIndex:
    """Write the files of the request, and `.git`, into the folder `tree`. The index notes paths that setup will
    replace."""
    index = layout.write_tree(parts.objects, parts.objects.listing(request.tree), tree)
    index.replaced = layout.setup_paths(request.spec.setup)
    parts.contents.write_into(request.tree, tree, index)
    write_repository(parts.objects, parts.packs, tree, request.commits)
    return index


def _checkout_for_setup(parts: CheckoutParts, request: CheckoutRequest) -> Checkout:
    """A new checkout for setup to run in."""
    spec = request.spec
    checkout = replace(parts.checkouts.new("setup"), sandbox=spec.sandbox)
    index = write_files(parts, checkout.tree, request)
    request.carry(checkout.tree)
    write_index(parts.objects, parts.objects.listing(request.commits[-1].tree), index, checkout.tree)
    return checkout


def _put_back(parts: CheckoutParts, tree: Path, listing: Listing, index: CheckoutIndex) -> None:
    """Restore the tree's files that setup changed or removed."""
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


def untracked(tree: Path, listing: Listing, replaced: frozenset[bytes], named: frozenset[bytes]) -> list[bytes]:
    """Untracked paths in the checkout. A folder stands for everything below it, unless a named path is below it."""
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
_SHOWN_MAX = 3
_DEEP = r"(?:\.deep-\d+)?"  # while a deep folder is removed
_ROOMS = rf"(?:room|setup)-\w+{_DEEP}"
_ATTEMPTS = rf".+-\d+\.\d+-\d+{_DEEP}"


class Checkouts:
    """Makes and removes checkouts: those of attempts below `folder`, those of gates and setup below `gates` beside it.
    Below `former`, the folder of an earlier version, it only removes them. `own`: folders above the checkouts that hold
    only folders of Interlock, each with a pattern of their names."""

    def __init__(self, folder: Path, former: Path | None = None, own: Sequence[tuple[Path, str]] = ()) -> None:
        self.folder = folder
        self.gates = folder.with_name("gates")
        self.folders = (folder, self.gates) if former is None else (folder, self.gates, former)
        self._own = (*own, (self.gates, _ROOMS))
        self._notes: list[str] = []
        self._locks: dict[Path, int] = {}

    def new_for_attempt(self, run: str, attempt: AttemptId) -> Checkout:
        """A new checkout for the attempt. Its earlier ones are removed."""
        last = self.discard(run, attempt)
        parent = self.folder / run
        self._clear(parent, _ATTEMPTS)
        self._clear_above()
        for number in range(last + 1, last + _TRIES_MAX):
            root = parent / f"{_stem(attempt)}-{number}"
            try:
                root.mkdir(mode=0o700, parents=True)  # a file of it may be setuid, and of ours
            except FileExistsError:
                continue
            except OSError as error:
                raise disk_error(root, error) from error
            return _furnished(root)
        raise InfrastructureError(f"{parent}: no free folder name for {attempt}: remove old folders there")

    def newest(self, run: str, attempt: AttemptId) -> Path | None:
        """The root of the attempt's checkout; None if it has none."""
        roots = (self.folder / run).glob(f"{_stem(attempt)}-*")
        return max(roots, key=lambda root: int(root.name.rpartition("-")[2]), default=None)

    def new(self, kind: str) -> Checkout:
        """A new checkout for a gate or for setup."""
        self._clear_above()
        try:
            self.gates.mkdir(parents=True, exist_ok=True)
            return _furnished(Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.gates)))
        except OSError as error:
            raise disk_error(self.gates, error) from error

    def discard(self, run: str, attempt: AttemptId) -> int:
        """Remove the attempt's checkouts, as `wipe` does. Returns their highest number, 0 if there are none."""
        last = 0
        for root in sorted(root for folder in self.folders for root in (folder / run).glob(f"{_stem(attempt)}-*")):
            number = root.name.rpartition("-")[2]
            last = max(last, int(number) if number.isdigit() else 0)
            end_supervised(root)
            self.wipe(root)
        return last

    def hold(self, root: Path, lock: int) -> None:
        """Keep the lock of the template below the checkout `root` until that is removed."""
        self._locks[root] = lock

    def wipe(self, root: Path) -> None:
        """Remove a checkout, whatever is in it. `removal_notes` lists what cannot be removed; `gc` tries again."""
        layers.unmount(root)
        if (lock := self._locks.pop(root, -1)) >= 0:
            os.close(lock)
        try:
            remove(root)
        except InfrastructureError as error:
            self._notes.append(str(error))

    def removal_notes(self) -> tuple[str, ...]:
        """Messages since the last call: what could not be removed, and what was found above checkouts and removed."""
        found, self._notes = self._notes, []
        return tuple(found)

    def _clear_above(self) -> None:
        for folder, names in self._own:
            self._clear(folder, names)

    def _clear(self, folder: Path, names: str) -> None:
        """Remove everything from `folder` but real folders with these names. Raises InfrastructureError if something
        cannot be removed: it may be the configuration of a gate's tool."""
        try:
            with os.scandir(folder) as entries:
                strange = [
                    entry.path
                    for entry in entries
                    if not (entry.is_dir(follow_symlinks=False) and re.fullmatch(names, entry.name))
                ]
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise disk_error(folder, error) from error
        for path in strange:
            remove(Path(path))
        if strange:
            shown = [os.fsencode(path).decode(errors="replace") for path in sorted(strange)[:_SHOWN_MAX]]
            more = f" and {len(strange) - _SHOWN_MAX} more" if len(strange) > _SHOWN_MAX else ""
            why = "Interlock did not make this, and tools look there for their configuration"
            self._notes.append(f"removed {', '.join(shown)}{more}: {why}")


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
    """`request` is tried; `control` is what it is compared with, None if there is nothing to compare with."""

    request: CheckoutRequest
    control: CheckoutRequest | None


def run_trial(parts: CheckoutParts, attempted: Trial, act: Callable[[CheckoutRequest], Done]) -> Done:
    """`act(request)`, with one retry if setup fails. Raises UnfitSetup, or what `act` raised."""
    request, control = attempted.request, attempted.control
    try:
        return act(request)
    except SetupFailed as failed:
        if control is None or not _may_differ(parts, request, control, failed):
            raise
        last = failed
    if not (last.repeated or last.by_files or last.timed_out):
        try:
            return act(replace(request, spec=replace(request.spec, number=0)))
        except SetupFailed as failed:
            last = failed
    _prove(parts, control, last)
    line = error_line(last.output.decode(errors="replace"))  # first, since the message may be cut
    message = f"{last.what} fails on these files: {line or 'no output'} (it works on the files that were accepted last)"
    raise UnfitSetup(f"{message}\n{last.why}", last.output) from last


def _may_differ(parts: CheckoutParts, request: CheckoutRequest, control: CheckoutRequest, failed: SetupFailed) -> bool:
    """Whether the two trees can differ in the result of the setup that failed."""
    if failed.what == "settle" or failed.by_files:
        return request.tree != control.tree
    setups = request.spec.setup[: failed.index + 1]
    keys = {
        parts.recipes.key(setups, parts.objects.listing(each.tree), each.spec.sandbox) for each in (request, control)
    }
    return len(keys) > 1


def _prove(parts: CheckoutParts, control: CheckoutRequest, failed: SetupFailed) -> None:
    """Raises InfrastructureError if setup fails on the control too: then the files are not to blame."""
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
