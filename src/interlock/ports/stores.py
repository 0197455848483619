"""The ports of what is stored: the journal, blobs of evidence, and workspaces (checkouts and their commits)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from interlock.core.conflicts import Undecided
from interlock.core.events import Event, Recorded
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.core.pipeline import Setup
from interlock.core.rooms import RoomLimits
from interlock.core.values import dataclass


class Journal(Protocol):
    """The append-only history of every run of a repository, and the inbox."""

    def create(self, run: str, at: float, event: Event) -> None:
        """Append the first event of a new run. Raises UsageError if the run exists."""

    def runs(self) -> list[str]:
        """Ids, oldest first."""

    def heads(self, most: int) -> dict[str, int]:
        """The seq of the newest event of each of the `most` newest runs."""

    def records(self, run: str, after: int = 0) -> list[Recorded]:
        """The history of `run` after seq `after`. Empty if there is no such run."""

    def pages(self, run: str, after: int = 0) -> Iterator[list[Recorded]]:
        """As `records`, in pages of bounded size. Each page is checked before it is returned."""

    def take(self, run: str) -> int:
        """Start a new fencing epoch of `run`, higher than any before. The previous owner can no longer append."""

    def append(self, run: str, fence: int, after: int, at: float, event: Event) -> Recorded:
        """Durably append `event` as seq `after + 1`, in one transaction that checks `fence`, and settle the answer that
        it names. Raises Fenced, or InfrastructureError (disk full, read-only)."""

    def holds(self, run: str, fence: int) -> bool:
        """Whether `fence` is still the newest epoch of `run`."""

    def put_answer(self, answer: Answer) -> None: ...

    def answers(self, run: str) -> list[Answer]:
        """Unsettled answers, in the order in which they arrived."""


class Cache(Protocol):
    """What can be made again, by a digest of all that it hangs on. Any of it may be gone at the next look."""

    def remember(self, kind: str, key: str, value: str) -> None:
        """Keep `value` (JSON text). An existing value is not replaced."""

    def recall(self, kind: str, key: str) -> str | None: ...


class Notes(Protocol):
    """What lasts of a run and is no part of its history, such as whom it was told: the planner sees none of it."""

    def note(self, kind: str, key: str, value: str) -> None:
        """Keep `value` (JSON text) for good. An existing value is not replaced."""

    def noted(self, kind: str, key: str) -> str | None: ...


class Blobs(Protocol):
    """Evidence, by the sha256 of its content."""

    def put(self, content: bytes) -> str: ...

    def put_file(self, path: Path) -> tuple[str, int]:
        """Digest and size of a file's content, copied in."""

    def get(self, digest: str) -> bytes:
        """Raises InfrastructureError if there is no such content."""

    def size(self, digest: str) -> int | None:
        """Bytes of the content, without reading it; None if there is no such content."""


class NamedBlobs(Blobs, Protocol):
    """Blobs with small entries beside them that have names of their own, such as `histories/RUN`: where something is
    found that nobody knows the digest of. Whoever writes blobs can forge an entry."""

    def keep(self, name: str, content: bytes) -> None:
        """Under a name of letters, digits, `-`, `_`, `.` and `/`, in place of what it had. Raises
        InfrastructureError."""

    def keep_first(self, name: str, content: bytes) -> bytes:
        """Keep an entry unless there is one of that name. Returns what it has: of several who write at once, all get
        the content of one. Raises InfrastructureError."""

    def kept(self, name: str) -> bytes | None:
        """None if there is no such entry. Raises InfrastructureError if it cannot be read."""


# --- workspaces ---------------------------------------------------------------------------------


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
    left_out: tuple[str, ...] = ()  # paths that exist in the checkout and are not part of the commit


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
class Sandbox:
    """How the programs in a checkout are confined: the level in force (`full`, `fs` or `none`), what they may read of
    the machine beside the system, whether they may make sandboxes of their own, and what each may use."""

    level: str = "none"
    read: tuple[str, ...] = ()
    nested: bool = False
    limits: RoomLimits = RoomLimits()

    @property
    def moves(self) -> bool:
        """Whether programs see their checkout at another place than where it lies."""
        return self.level == "full"


UPPER = "upper"  # the folder beside the files of a checkout that is an overlay


@dataclass(frozen=True, slots=True)
class Checkout:
    """The directories of one attempt or one gate; they are removed together. It has two faces: where it lies, which are
    its paths, and how its programs see it (`seen`)."""

    root: Path
    tree: Path  # the files
    home: Path
    tmp: Path
    env: tuple[tuple[str, str], ...] = ()  # what setup adds, such as PATH
    sandbox: Sandbox = Sandbox()

    def seen(self, path: Path) -> str:
        """How a program sees a path in this checkout: in a room, every checkout lies at the same place. Any other path
        is seen as it is."""
        if not self.sandbox.moves:
            return str(path)
        if path.is_relative_to(self.tmp):
            return str(Path("/tmp") / path.relative_to(self.tmp))
        return str(Path("/w") / path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    @property
    def changed(self) -> Path:
        """The folder in which programs change files: of an overlay, the layer with the changes alone."""
        upper = self.root / UPPER
        return upper if upper.is_dir() else self.tree

    def lies(self, seen: str) -> Path:
        """Where a path lies that programs see: the reverse of `seen`."""
        path = Path(seen)
        if not self.sandbox.moves:
            return path
        if path.is_relative_to("/tmp"):
            return self.tmp / path.relative_to("/tmp")
        return self.root / path.relative_to("/w") if path.is_relative_to("/w") else path


@dataclass(frozen=True, slots=True)
class CheckoutSpec:
    """What a checkout holds besides a commit's files. `control` is a commit that setup worked on: if setup fails on the
    files of the checkout and works on those of `control`, the files are to blame. `number` is the number of the try:
    setup that failed in a try is not repeated in it; with 0 it is. `base` is the commit that the run started from:
    `open` runs setup with its code; if it is empty, with the files of the checkout. `sandbox` is for setup, and for
    whatever is started in the checkout. `contents` is the digest of the manifest that holds the files to carry; if it
    is empty, they are in the user's working tree."""

    setup: tuple[Setup, ...] = ()
    carry: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    sides: tuple[tuple[str, str], ...] = ()  # names and commits; each is a branch `from/NAME` of the `.git`
    control: str = ""
    number: int = 0
    base: str = ""
    sandbox: Sandbox = Sandbox()
    contents: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Message, time and author of a commit that must be the same every time. `at` is whole unix seconds."""

    message: str
    at: int
    author: str = "Interlock <interlock@localhost>"


class Workspaces(Protocol):
    def pack(self, commit: str, base: str = "") -> bytes:
        """A git pack with what `commit` has and `base` has not, or with all of it: so commits reach other machines.
        Raises InfrastructureError."""

    def renew(self, commit: str, *, is_base: bool) -> bool:
        """Whether the store holds the commit as one that was received; then it counts as received just now, so that
        what removes old ones leaves it. Raises InfrastructureError."""
        ...

    def keep(self, commit: str) -> None:
        """Keep a commit that was made here as if it had been received, so that nobody has to send it here. Raises
        InfrastructureError."""

    def receive(self, commit: str, content: bytes, *, is_base: bool) -> None:
        """Take a commit out of such a pack, and its submodules. A base comes without its parents. Raises
        InfrastructureError if it is not in it."""

    def share(self, commit: str, blobs: Blobs) -> None:
        """Put among `blobs` what the files of `commit` only point to, and no pack holds: contents of Git LFS. Raises
        UsageError if any is missing."""

    def held_out(self, contents: str, name: str) -> Path | None:
        """The held-out files of that name that came with a run, in a folder that no sandbox shows; None if the manifest
        `contents` has none. Raises InfrastructureError if a content is missing or damaged."""

    def merge(self, sources: Sequence[str], stamp: Stamp, ref: str, names: Sequence[str] = ()) -> Merged:
        """Merge the sources pairwise in order and keep the result by `ref`; `names` are their stages. A single source
        is its own merge, and so is one that contains all others. Raises InfrastructureError if a merge changes what
        its sides left."""

    def open(self, run: str, attempt: AttemptId, commit: str, spec: CheckoutSpec, *, overlay: str = "") -> Checkout:
        """A new checkout with the files of `commit` (with those of commit `overlay` over them), a temporary `.git` of
        one commit, setup and carried files. An earlier checkout of the attempt is removed first."""

    def snapshot(self, checkout: Checkout, parent: str, spec: CheckoutSpec, stamp: Stamp, ref: str) -> Candidate:
        """Read the files, make a commit on `parent`, and keep it by `ref` (created once, never moved).
        Raises UnfitTree if a commit cannot hold them (a nested repository, a device...)."""

    def adopt(self, commit: str, parent: str, stamp: Stamp, ref: str) -> Candidate:
        """Make a candidate of a person's own commit (or of the input itself): its tree, on `parent`."""

    def put_beside(self, checkout: Checkout, name: str, content: bytes) -> Path: ...  # for the agent or gate to read

    def wipe(self, checkout: Checkout) -> None:
        """Remove the checkout. `removal_notes` lists what cannot be removed; it disturbs no other checkout."""

    def discard(self, run: str, attempt: AttemptId) -> None:
        """Remove what a lost attempt left, if anything, as `wipe` does."""

    def removal_notes(self) -> tuple[str, ...]:
        """Since the last call, one message for each thing that could not be removed, and for what was found above a new
        checkout and removed: tools look there for their configuration."""

    def has(self, commit: str) -> bool:
        """Whether the store holds the commit."""

    def clean_checkout(self, commit: str, base: str, spec: CheckoutSpec) -> AbstractContextManager[Checkout]:
        """A checkout of `commit` that no agent touched, with a temporary `.git` of `base` and `commit`. Raises
        UnfitSetup if setup fails on its files and works on those of `spec.control`."""

    def checkout_digest(self, commit: str, base: str, spec: CheckoutSpec) -> str:
        """A digest of what the clean checkout holds besides the files of `commit`: the history in `.git`, and the
        output of setup, which runs if it did not run before. The message and date of a candidate's commit do not
        count, since Interlock writes them. Raises as `clean_checkout`."""

    def read(self, commit: str, path: str, max_bytes: int) -> bytes | None:
        """A regular file of the commit's tree; None if there is none. Raises UsageError if it exceeds `max_bytes`."""

    def contents(self, commit: str, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each path with its content in chunks, in order; the content of a link is its target. Paths without a file
        are left out. Read each content before you advance to the next path."""

    def files(self, commit: str, globs: Sequence[str]) -> tuple[str, ...]:
        """The sorted paths of the commit's regular files that match the globs."""

    def touched(self, checkout: Checkout, commit: str) -> tuple[str, ...]:
        """The sorted paths of the commit's regular files, at most without those that no program in the checkout has
        changed since it was made."""

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """The differences between two commits or trees, sorted by path."""

    def patch(self, old: str, new: str, without: Sequence[str] = (), *, text: Sequence[str] = ()) -> bytes:
        """The patch between two commits or trees, for `git apply`, except the paths `without`. With `text`, only these
        paths, for people: as text, whatever bytes they hold."""

    def restore(self, commit: str, onto: str, globs: Sequence[str], stamp: Stamp) -> str:
        """Make a commit that is `commit`, with the paths that match `globs` as they are in `onto`. Returns its hash."""

    def write_contents(self, commit: str, contents: Mapping[str, bytes], stamp: Stamp) -> str:
        """Make a commit that is `commit`, with these contents of files. An existing file must be regular and keeps its
        mode. Returns its hash."""

    def publish(self, commit: str, remote: str, branch: str) -> str:
        """Push `commit` as `branch` to a remote, with the user's own configuration; repeating it is allowed. Returns
        the remote's address. Raises UsageError if there is no such remote, InfrastructureError if it cannot be reached
        or its branch has another commit."""

    def withdraw(self, commit: str, remote: str, branch: str) -> None:
        """Delete `branch` at the remote if it still is at `commit`. Raises InfrastructureError."""

    def send(  # noqa: PLR0913 - what is delivered, where, and how, is six things
        self, commit: str, base: str, branch: str, stamp: Stamp, series: Sequence[str], *, sign: bool
    ) -> str:
        """Write the objects that `branch` will need into the user's repository; no ref names them yet. Returns the
        commit. Raises DeliveryRefused if the branch has another value or is checked out."""

    def create_branch(self, branch: str, commit: str) -> None:
        """Create the branch for the objects that were sent. It is on the disk when this returns. Idempotent. Raises as
        `send`."""
