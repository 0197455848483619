"""Checkouts and the commits made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from interlock.core.conflicts import Undecided
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Setup


@dataclass(frozen=True, slots=True)
class Merged:
    commit: str
    tree: str
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    commit: str
    tree: str
    left_out: tuple[str, ...] = ()  # paths that were there and did not come along


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two trees."""

    path: str  # bytes decoded with surrogateescape
    status: str  # A | M | D | T (type or mode)
    old_mode: str  # six octal digits, 000000 where absent
    new_mode: str
    added: int = 0  # lines; 0 for binary
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Checkout:
    """An attempt's or a gate's own directories; all of it is wiped together."""

    root: Path
    tree: Path  # the checkout
    home: Path
    tmp: Path
    env: tuple[tuple[str, str], ...] = ()  # what setup adds, such as PATH


@dataclass(frozen=True, slots=True)
class CheckoutSpec:
    """What to lay out beside a commit's files. `control` is a commit that setup worked on: where it fails on the
    files at hand and works there, it is the files that are wrong. `number` is that of the try: what failed in it is not
    tried once more; 0: it is. `base` is the commit that the run began with, whose code setup is made with, where `open`
    is asked; empty: the files at hand."""

    setup: tuple[Setup, ...] = ()
    carry: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    sides: tuple[tuple[str, str], ...] = ()  # names and commits that are branches `from/NAME` of the `.git`
    control: str = ""
    number: int = 0
    base: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who and when, for commits that must come out the same every time. `at` is whole unix seconds."""

    message: str
    at: int
    author: str = "Interlock <interlock@localhost>"


class Workspaces(Protocol):
    def merge(self, sources: Sequence[str], stamp: Stamp, ref: str, names: Sequence[str] = ()) -> Merged:
        """The sources merged pairwise in order, kept by `ref`; `names` are their stages. One source is itself, and so
        is one that holds all the others. Raises InfrastructureError where a merge is not as its sides left it."""

    def open(self, run: str, attempt: AttemptId, commit: str, spec: CheckoutSpec, *, overlay: str = "") -> Checkout:
        """A fresh place with the files of `commit` (those of commit `overlay` laid over it), a throw-away
        `.git` of one commit, setup and carried files. A place that is already there is wiped first."""

    def snapshot(self, checkout: Checkout, parent: str, spec: CheckoutSpec, stamp: Stamp, ref: str) -> Candidate:
        """Read the files, make the commit on `parent`, keep it by `ref` (created once, never moved).
        Raises UnfitTree where they hold what cannot be taken (a nested repository, a device...)."""

    def adopt(self, commit: str, parent: str, stamp: Stamp, ref: str) -> Candidate:
        """A person's own commit (or the input itself) as a candidate: its tree, on `parent`."""

    def put_beside(self, checkout: Checkout, name: str, content: bytes) -> Path: ...  # for who works in the checkout

    def wipe(self, checkout: Checkout) -> None:
        """Remove the place. What cannot be removed stays where it is in nobody's way, and `leavings` tell of it."""

    def discard(self, run: str, attempt: AttemptId) -> None:
        """Remove whatever a lost attempt left behind, if anything, as `wipe`."""

    def leavings(self) -> tuple[str, ...]:
        """What could not be removed since this was asked last, in words, each once."""

    def has(self, commit: str) -> bool:
        """Whether the store holds the commit."""

    def clean_checkout(self, commit: str, base: str, spec: CheckoutSpec) -> AbstractContextManager[Checkout]:
        """A checkout of `commit` that no agent touched, with a throw-away `.git` of `base` and `commit`. Raises
        UnfitSetup where setup fails on its files and works on those of `spec.control`."""

    def checkout_digest(self, commit: str, base: str, spec: CheckoutSpec) -> str:
        """A digest of what the clean checkout shows beside the files of `commit`: what `.git` says, and what setup
        makes, which is made if it is not there yet. The message and date of a candidate's commit are ours, and do not
        count. Raises as `clean_checkout`."""

    def read(self, commit: str, path: str, max_bytes: int) -> bytes | None:
        """A regular file of the commit's tree, None where there is none. Raises UsageError above `max_bytes`."""

    def contents(self, commit: str, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each path with its content in chunks, of a link where it leads, in order. What is there no file of is left
        out. The one who iterates takes each content before the next one."""

    def files(self, commit: str, globs: Sequence[str]) -> tuple[str, ...]:
        """The paths of the commit's regular files that the globs match, sorted."""

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """Between two commits or trees, sorted by path."""

    def patch(self, old: str, new: str, without: Sequence[str] = (), *, text: Sequence[str] = ()) -> bytes:
        """Between two commits or trees, for `git apply`, but for the paths `without`; or of the paths `text` alone, to
        be read: as text, whatever bytes they hold."""

    def restore(self, commit: str, onto: str, globs: Sequence[str], stamp: Stamp) -> str:
        """`commit` with the paths that match `globs` as they are in `onto`: a new commit's hash."""

    def lay(self, commit: str, contents: Mapping[str, bytes], stamp: Stamp) -> str:
        """`commit` with these contents of files: one that is there is regular and keeps its mode. A commit's hash."""

    def publish(self, commit: str, remote: str, branch: str) -> str:
        """Push `commit` as `branch` to a remote under the user's own configuration, once or again. Returns its address.
        Raises UsageError where there is none, InfrastructureError where it is out of reach or has another commit."""

    def withdraw(self, commit: str, remote: str, branch: str) -> None:
        """Delete `branch` at the remote where it is still at `commit`. Raises InfrastructureError."""

    def send(  # noqa: PLR0913 - what is delivered, where, and how, is six things
        self, commit: str, base: str, branch: str, stamp: Stamp, series: Sequence[str], *, sign: bool
    ) -> str:
        """Put all that `branch` is to show into the user's repository, where nothing shows it yet. Returns its commit.
        Raises DeliveryRefused where the branch has another value or is checked out."""

    def create_branch(self, branch: str, commit: str) -> None:
        """Show what was sent: the branch is there, and on the disk, when this returns. Doing it again is the same as
        doing it once. Raises as `send`."""
