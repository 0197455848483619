"""The port `Workspaces` for one repository: its private store, its checkouts, and the user's repository.

Rule: this module only combines the others; each of them can be read alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from interlock.core.ids import AttemptId
from interlock.ports import Blobs, Candidate, Change, Checkout, CheckoutSpec, Merged, Stamp, UnfitTree
from interlock.ports.disk import disk_error
from interlock.workspaces import (
    base,
    checkout_git,
    checkouts,
    commits,
    delivery,
    gc,
    layered,
    merging,
    packs,
    publish,
    storage,
)
from interlock.workspaces.base import Base
from interlock.workspaces.checkout_git import TreePacks
from interlock.workspaces.checkouts import CheckoutParts, CheckoutRequest, Checkouts, Trial
from interlock.workspaces.delivery import Delivery, require_delivered
from interlock.workspaces.gc import Collected, DiskUsage
from interlock.workspaces.git import Git, identities_in
from interlock.workspaces.handed import HandedCheckouts
from interlock.workspaces.ignores import Ignores
from interlock.workspaces.layout import CheckoutIndex
from interlock.workspaces.links import Links
from interlock.workspaces.manifest import LocalBlobs
from interlock.workspaces.matching import MatchedFiles
from interlock.workspaces.needs import HeldOutFiles, Needs, Sent, carry_from, carry_into, check_carried
from interlock.workspaces.objects import Commit
from interlock.workspaces.records import StoredRecords
from interlock.workspaces.repositories import Store, UserRepository
from interlock.workspaces.setup import Recipes, SetupFailed
from interlock.workspaces.snapshot import Baseline, ignore_files, read_changes
from interlock.workspaces.templates import Templates

Done = TypeVar("Done")


class GitWorkspaces:
    """Implements the port `Workspaces`, which says what each method does. Threads may share it. `close` ends its git
    programs. A worker has no `repository`: what runs need came with them, among `blobs`."""

    def __init__(  # noqa: PLR0913 - the folders: `former` and `own` as in Checkouts
        self, store: Path, places: Path, repository: Path | None, environ: Mapping[str, str], *,
        former: Path | None = None, own: Sequence[tuple[Path, str]] = (), blobs: LocalBlobs | None = None,
    ) -> None:  # fmt: skip
        self._environ = dict(environ)
        self._user = UserRepository(repository, self._environ)
        self._store = Store(store, self._user, self._environ, blobs)
        self._checkouts = Checkouts(places, former, own)
        self._blobs = blobs
        self._handed = HandedCheckouts(lambda: self._parts)

    def __enter__(self) -> GitWorkspaces:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End the git programs. Later calls start them again."""
        self._store.close()

    # --- the user's repository

    def import_base(self, ref: str | None = None, worktree: bool = False) -> Base:
        """Import the base of a run into the store: `ref`, or HEAD, or with `worktree` the working tree on HEAD.

        Raises UsageError (no git, no repository, no commits, no such commit).
        """
        return self._store.import_base(ref, worktree)

    def merge_proposal(self, onto: Base, proposal: Base) -> Merged:
        """The proposal merged with its base; the proposal itself if it contains the base. Raises UsageError if they
        have no commit in common."""
        proposed = "HEAD" if proposal.ref == base.WORKTREE else proposal.commit
        bases = merging.merge_bases(Git(self._environ, self._user.origin.git_dir), onto, proposed)
        if onto.commit in bases:
            return Merged(proposal.commit, proposal.tree)
        for commit in bases:
            self._store.import_commit(commit)
        with storage.locked(self._store.folder, shared=True):
            return merging.merge_proposal(self._store.git, self._store.objects, onto, proposal, bases)

    def check_contents(self, base: Base, carry: Sequence[str] = ()) -> None:
        """Raises UsageError that lists what the run would lack: submodules, Git LFS files, files to carry."""
        self._store.contents.check(base.tree)
        check_carried(carry, self._user.origin)

    def lfs_bytes(self, commit: str, blobs: Blobs) -> int:
        """The bytes of LFS contents that `share` will copy."""
        return self._store.contents.lfs_bytes(self._store.commit(commit).tree, blobs)

    def needs(self, carry: Sequence[str], held_out: HeldOutFiles) -> Needs:
        """What a run needs on other machines besides commits. Raises UsageError for what cannot be sent."""
        return Needs(self._user.origin, carry, held_out)

    def send(  # noqa: PLR0913 - the port's
        self, commit: str, base: str, branch: str, stamp: Stamp, series: Sequence[str], *, sign: bool
    ) -> str:
        """As the port says. An empty author is the user's configured identity."""
        with storage.locked(self._store.folder, shared=True):
            export = partial(self._store.contents.export_lfs, self._store.commit(commit).tree)
            request = Delivery(commit, base, branch, stamp, tuple(series), sign, export)
            return delivery.send(self._store.git, self._store.objects, self._user.origin, self._environ, request)

    def create_branch(self, branch: str, commit: str) -> None:
        delivery.create_branch(self._user.origin, self._environ, branch, commit)

    def publish(self, commit: str, remote: str, branch: str) -> str:
        self._store.commit(commit)
        with storage.locked(self._store.folder, shared=True):
            return publish.publish(self._user.git, self._store.folder, publish.Publication(commit, remote, branch))

    def propose(self, commit: str, remote: str, branch: str) -> None:
        """Push `commit`, which was delivered as `branch` and is still part of it in the user's repository: what a
        history alone says was delivered is not pushed. Raises UsageError, InfrastructureError."""
        require_delivered(self._user.origin, self._environ, branch, commit)
        publish.publish(self._user.git, self._store.folder, publish.Publication(commit, remote, branch))

    def withdraw(self, commit: str, remote: str, branch: str) -> None:
        publish.withdraw(self._user.git, publish.Publication(commit, remote, branch))

    def identity(self) -> str:
        """The user's identity in git, as `Name <mail>`; empty if git knows none."""
        return identities_in(self._user.origin.git_dir, self._environ)[0]

    # --- attempts

    def open(self, run: str, attempt: AttemptId, commit: str, spec: CheckoutSpec, *, overlay: str = "") -> Checkout:
        """As the port says. Raises UsageError if submodules, LFS contents or carried files are missing, and
        InfrastructureError if setup or the disk fails."""
        made = self._store.commit(commit)
        checkout = replace(self._checkouts.new_for_attempt(run, attempt), sandbox=spec.sandbox)
        request = replace(self._request((made,), spec), base=self._store.commit(spec.base).tree if spec.base else "")
        if overlay:
            request = replace(request, tree=self._store.commit(overlay).tree)
        try:
            checkout = self._furnish(checkout, request)
        except SetupFailed:  # the work that is continued may have broken it: use the accepted input's setup
            if not overlay:
                raise
            checkout = replace(self._checkouts.new_for_attempt(run, attempt), sandbox=spec.sandbox)
            checkout = self._furnish(checkout, replace(request, setup_tree=made.tree))
        with self._cleaned(checkout):
            checkout_git.add_branches(
                self._store.objects, checkout.tree, made, {f"from/{name}": oid for name, oid in spec.sides}
            )
        return checkout

    def snapshot(self, checkout: Checkout, parent: str, spec: CheckoutSpec, stamp: Stamp, ref: str) -> Candidate:
        """As the port says. `left_out` lists at most about a thousand paths."""
        tree = self._store.commit(parent).tree
        index = self._handed.index_of(checkout, spec)
        with storage.locked(self._store.folder, shared=True):
            baseline = self._baseline(tree, index)
            with self._store.objects.batch():
                found = read_changes(self._store.objects, checkout.tree, baseline)
                if found.findings:
                    raise UnfitTree(tuple(found.findings))
                written = self._store.objects.write_edited(tree, found.edits)
                commit = commits.write_commit(self._store.objects, written, (parent,), stamp)
            self._links.refuse(written, tree)
            storage.create_ref(self._store.folder, ref, commit)
        return Candidate(commit, written, tuple(found.left_out))

    def adopt(self, commit: str, parent: str, stamp: Stamp, ref: str) -> Candidate:
        """As the port says. A commit that is not in the store yet is imported from the user's repository."""
        if not self.has(commit):
            commit = self.import_base(commit).commit
        with storage.locked(self._store.folder, shared=True):
            tree = self._store.commit(commit).tree
            made = commits.write_commit(self._store.objects, tree, (parent,), stamp)
            storage.create_ref(self._store.folder, ref, made)
        return Candidate(made, tree)

    def put_beside(self, checkout: Checkout, name: str, content: bytes) -> Path:
        """As the port says: below `checkout.root`, and removed with it. Raises InfrastructureError."""
        path = checkout.root / "beside" / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise disk_error(path, error) from error
        return path

    def wipe(self, checkout: Checkout) -> None:
        self._handed.forget(checkout.root)
        self._checkouts.wipe(checkout.root)

    def discard(self, run: str, attempt: AttemptId) -> None:
        self._checkouts.discard(run, attempt)

    def removal_notes(self) -> tuple[str, ...]:
        return self._checkouts.removal_notes()

    def checkout_root(self, run: str, attempt: AttemptId) -> Path | None:
        """The root of the checkout of an attempt in progress; None if there is none."""
        return self._checkouts.newest(run, attempt)

    @contextlib.contextmanager
    def clean_checkout(self, commit: str, base: str, spec: CheckoutSpec) -> Iterator[Checkout]:
        """As the port says; it is removed at the end."""

        def make(request: CheckoutRequest) -> Checkout:
            return self._furnish(replace(self._checkouts.new("room"), sandbox=spec.sandbox), request)

        checkout = self._tried(commit, base, spec, make)
        try:
            yield checkout
        finally:
            self.wipe(checkout)

    def checkout_digest(self, commit: str, base: str, spec: CheckoutSpec) -> str:
        head, first = self._store.commit(commit), self._store.commit(base)
        ours = all(who.startswith(f"{commits.COMMITTER} ") for who in (head.author, head.committer))
        history = f"{head.tree if ours else head.oid} {first.oid} {first.oid in head.parents} {head.oid == first.oid}"
        if not spec.setup:
            return history
        recipes = self._recipes
        installed = self._tried(
            commit, base, spec, lambda request: recipes.digest(spec.setup, checkouts.setup_input(self._parts, request))
        )
        return f"{history} {installed}"

    # --- commits

    def has(self, commit: str) -> bool:
        """Whether the store holds the commit."""
        return self._store.has(commit)

    def pack(self, commit: str, base: str = "") -> bytes:
        return packs.pack(self._store, commit, base)

    def renew(self, commit: str, *, is_base: bool) -> bool:
        return self.has(commit) and packs.renew(self._store, commit, is_base=is_base)

    def keep(self, commit: str) -> None:
        packs.keep_made(self._store, commit)

    def receive(self, commit: str, content: bytes, *, is_base: bool) -> None:
        """As the port says. Raises InfrastructureError if it is no pack of that commit."""
        packs.receive(self._store, commit, content, is_base=is_base)

    def share(self, commit: str, blobs: Blobs) -> None:
        self._store.contents.share(self._store.commit(commit).tree, blobs)

    def held_out(self, contents: str, name: str) -> Path | None:
        return self._sent.held_out(contents, name)

    def merge(self, sources: Sequence[str], stamp: Stamp, ref: str = "", names: Sequence[str] = ()) -> Merged:
        """As the port says. If `ref` is given, it keeps the result."""
        heads = [merging.Head(*each) for each in zip_longest(sources, names, fillvalue="")]
        with storage.locked(self._store.folder, shared=True):
            merged = merging.merge(self._store.git, self._store.objects, heads, stamp)
            if merged.commit not in sources:
                storage.flush(self._store.folder / "objects")  # git wrote objects, and syncs only their contents
            if ref and merged.commit not in sources:
                storage.create_ref(self._store.folder, ref, merged.commit)
        return merged

    def read(self, commit: str, path: str, max_bytes: int) -> bytes | None:
        """As the port says: None for symlinks and folders too."""
        return commits.content(self._store.objects, self._store.tree(commit), path, max_bytes)

    def contents(self, commit: str, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        return commits.contents(self._store.objects, self._store.tree(commit), paths)

    def files(self, commit: str, globs: Sequence[str]) -> tuple[str, ...]:
        """As the port says: no symlinks."""
        return self._matched.files(self._store.tree(commit), globs)

    def touched(self, checkout: Checkout, commit: str) -> tuple[str, ...]:
        handed = self._handed.known(checkout.root)
        if handed is None or handed.layers is None:
            return self.files(commit, ("/**",))
        return layered.touched_files(handed, self._store.objects.listing(self._store.tree(commit)))

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        return commits.changes(self._store.git, self._store.objects, self._store.tree(old), self._store.tree(new))

    def patch(self, old: str, new: str, without: Sequence[str] = (), *, text: Sequence[str] = ()) -> bytes:
        if text:
            return commits.texts(self._store.git, self._store.tree(old), self._store.tree(new), text)
        return commits.patch(self._store.git, self._store.tree(old), self._store.tree(new), without)

    def restore(self, commit: str, onto: str, globs: Sequence[str], stamp: Stamp) -> str:
        with storage.locked(self._store.folder, shared=True):
            return commits.restore_paths(self._store.objects, commit, onto, globs, stamp)

    def write_contents(self, commit: str, contents: Mapping[str, bytes], stamp: Stamp) -> str:
        with storage.locked(self._store.folder, shared=True):
            return commits.write_contents(self._store.objects, commit, contents, stamp)

    @property
    def stored_records(self) -> StoredRecords:
        return StoredRecords(self._store.folder, self._store.git, lambda: self._store.objects)

    # --- disk

    def collect(self, live_refs: Sequence[str], older_than_s: float, now: float) -> Collected:
        """Remove what is older and no live ref needs; see `gc`."""
        self._store.repair()
        policy = gc.GcPolicy(tuple(live_refs), older_than_s, now)
        return gc.collect(self._store.git, self._store.folder, self._checkouts.folders, policy)

    def preview(self, live_refs: Sequence[str], older_than_s: float, now: float) -> Collected:
        """What `collect` would remove, at most."""
        self._store.repair()
        policy = gc.GcPolicy(tuple(live_refs), older_than_s, now)
        return gc.preview(self._store.git, self._store.folder, self._checkouts.folders, policy)

    def usage(self) -> DiskUsage:
        """Bytes on the disk."""
        return gc.usage(self._store.folder, self._checkouts.folders)

    # --- below

    @cached_property
    def _parts(self) -> CheckoutParts:
        templates = Templates(storage.own(self._store.folder, "templates"))
        return CheckoutParts(
            self._store.objects, self._packs, templates, self._store.contents, self._recipes, self._checkouts
        )

    @cached_property
    def _packs(self) -> TreePacks:
        return TreePacks(self._store.git, self._store.objects, storage.own(self._store.folder, "kits"))

    @cached_property
    def _matched(self) -> MatchedFiles:
        return MatchedFiles(self._store.objects)

    @cached_property
    def _links(self) -> Links:
        return Links(self._store.objects)

    @cached_property
    def _sent(self) -> Sent:
        assert self._blobs is not None, "only runs whose blobs are shared send anything"
        return Sent(self._store.folder, self._blobs)

    def _carry(self, spec: CheckoutSpec, tree: Path) -> None:
        """Put the files to carry into the folder of a checkout."""
        if spec.contents:
            carry_into(spec.carry, tree, partial(self._sent.carry, spec.contents))
        elif spec.carry:
            carry_into(spec.carry, tree, partial(carry_from, self._user.origin))

    @cached_property
    def _recipes(self) -> Recipes:
        return Recipes(storage.own(self._store.folder, "setup"), self._environ)

    @contextlib.contextmanager
    def _cleaned(self, checkout: Checkout) -> Iterator[None]:
        """Remove the checkout if an error occurs while it is made."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):  # the first error counts
                self.wipe(checkout)
            raise

    def _tried(self, commit: str, base: str, spec: CheckoutSpec, act: Callable[[CheckoutRequest], Done]) -> Done:
        """`act` on a request for a clean checkout. Raises as `clean_checkout`."""
        first = self._store.commit(base)
        request = self._request((first, self._store.commit(commit)), spec)
        control = self._request((first, self._store.commit(spec.control)), spec) if spec.control else None
        return checkouts.run_trial(self._parts, Trial(request, control), act)

    def _request(self, commits: tuple[Commit, ...], spec: CheckoutSpec) -> CheckoutRequest:
        return CheckoutRequest(commits, commits[-1].tree, spec, partial(self._carry, spec))

    def _furnish(self, checkout: Checkout, request: CheckoutRequest) -> Checkout:
        with self._cleaned(checkout):
            return self._handed.fill(checkout, request)

    def _baseline(self, tree: str, index: CheckoutIndex) -> Baseline:
        listing = self._store.objects.listing(tree)
        ignores = Ignores(ignore_files(self._store.objects, listing))
        return Baseline(listing, ignores, index, self._store.contents.pointers(tree))
