"""The objects of the store. A long-lived git reads them; this module writes them.

Rule: an object is complete and on the disk before its name is, so a kill at any moment does not damage the store.
A loose object is `KIND SIZE NUL CONTENT`, zlib-compressed (git's gitformat documentation); writing it here saves a
process for each. The time of an object that exists already is updated, as git does, so that gc keeps it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError
from interlock.ports.disk import disk_error, make_folder, put_file, sync_files, sync_many, write_temporary
from interlock.process.programs import Dialogue
from interlock.workspaces import trees
from interlock.workspaces.git import Git
from interlock.workspaces.trees import Listing

CHUNK = 1 << 20
_AHEAD = 256  # requests sent before the first answer is read; they fit in a pipe
_LISTED_MAX = 400_000  # entries in memory, of all listings


@dataclass(frozen=True, slots=True)
class Commit:
    """The parts of a commit object that we read."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: str  # Name <mail> SECONDS ZONE
    committer: str
    message: str


class MissingObject(InfrastructureError, KeyError):
    """The store lacks an object that it had: somebody removed it, or the disk lost it."""

    def __init__(self, oid: str) -> None:
        super().__init__(
            f"object {oid} is missing in the store: restore the store from a backup, or start the run again",
            permanent=True,
        )

    __str__ = Exception.__str__


class Objects:
    """Objects of one bare repository. Threads may share it; `close` ends the git programs."""

    def __init__(self, git: Git, algorithm: str) -> None:
        assert git.git_dir is not None
        self._git = git
        self._folder = git.git_dir / "objects"
        self.algorithm = algorithm
        self.oid_bytes = hashlib.new(algorithm).digest_size
        self._idle: list[Dialogue] = []
        self._listed: OrderedDict[str, tuple[Listing, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._batches = threading.local()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for dialogue in idle:
            dialogue.close()

    # --- reading

    def stream(self, oids: Iterable[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each object's kind and its content in chunks, in order. Raises MissingObject.

        An exception of the caller during the iteration must reach this generator; otherwise answers are lost.
        """
        wanted = list(oids)
        with self._dialogue() as dialogue:
            for at in range(0, len(wanted), _AHEAD):
                batch = wanted[at : at + _AHEAD]
                dialogue.ask("".join(f"contents {oid}\n" for oid in batch).encode())
                for oid in batch:
                    kind, size = _header(dialogue.line(), oid)
                    chunks = _chunks(dialogue, size)
                    yield kind, chunks
                    for _ in chunks:
                        pass
                    dialogue.take(1)

    def read(self, oid: str) -> bytes:
        """An object's content. Raises MissingObject."""
        (content,) = [b"".join(chunks) for _, chunks in self.stream([oid])]  # to its end, so that git keeps running
        return content

    def verify(self, oids: Sequence[str]) -> None:
        """Read all of them. Raises InfrastructureError if one is missing or does not match its id."""
        sizes = self.sizes(oids)
        for oid, (kind, chunks) in zip(oids, self.stream(oids), strict=True):
            digest = hashlib.new(self.algorithm, f"{kind} {sizes[oid]}\0".encode())
            for chunk in chunks:
                digest.update(chunk)
            if digest.hexdigest() != oid:
                raise InfrastructureError(f"object {oid} is damaged")

    def lookup(self, oid: str) -> tuple[str, int] | None:
        """Kind and size in bytes; None if there is no such object."""
        with self._dialogue() as dialogue:
            dialogue.ask(f"info {oid}\n".encode())
            try:
                return _header(dialogue.line(), oid)
            except MissingObject:
                return None

    def sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """Sizes in bytes. Raises MissingObject."""
        wanted = list(oids)
        found = {}
        with self._dialogue() as dialogue:
            for at in range(0, len(wanted), _AHEAD):
                batch = wanted[at : at + _AHEAD]
                dialogue.ask("".join(f"info {oid}\n" for oid in batch).encode())
                found.update({oid: _header(dialogue.line(), oid)[1] for oid in batch})
        return found

    def commit(self, oid: str) -> Commit:
        """Raises MissingObject if the store has no `oid`, UsageError if it is not a commit."""
        content = self.read(oid)
        head, _, message = content.partition(b"\n\n")
        fields = [line.partition(b" ") for line in head.split(b"\n") if not line.startswith(b" ")]
        trees_ = [value.decode() for name, _, value in fields if name == b"tree"]
        if not trees_:
            raise UsageError(f"{oid} is not a commit")
        parents = tuple(value.decode() for name, _, value in fields if name == b"parent")
        who = {name: value.decode(errors="replace") for name, _, value in fields}
        text = message.decode(errors="replace")
        return Commit(oid, trees_[0], parents, who.get(b"author", ""), who.get(b"committer", ""), text)

    def listing(self, tree: str) -> Listing:
        """All folders of a tree. Raises MissingObject."""
        with self._lock:
            if tree in self._listed:
                self._listed.move_to_end(tree)
                return self._listed[tree][0]
        listing = self._list(tree)
        self.keep_listing(tree, listing)
        return listing

    def keep_listing(self, tree: str, listing: Listing) -> None:
        """Keep a listing in memory, and drop the oldest ones beyond the bound."""
        with self._lock:
            self._listed[tree] = listing, sum(map(len, listing.values()))
            while len(self._listed) > 1 and sum(size for _, size in self._listed.values()) > _LISTED_MAX:
                self._listed.popitem(last=False)

    # --- writing

    def write(self, kind: str, content: bytes) -> str:
        """Store an object and return its id. Raises InfrastructureError (disk full, read-only)."""
        head = f"{kind} {len(content)}\0".encode()
        oid = hashlib.new(self.algorithm, head + content).hexdigest()
        if not self._freshened(oid):
            self._put(oid, [zlib.compress(head + content, 1)])
        return oid

    def write_file(self, fd: int, size: int, known: str = "") -> str:
        """Store an open file of `size` bytes as a blob, unless it is the blob `known`, which exists.

        Raises OSError if the file changes meanwhile.
        """
        oid = self.name_of(fd, size)
        if oid != known and not self._freshened(oid):
            self._put(oid, _compressed(fd, size))
        return oid

    def name_of(self, fd: int, size: int) -> str:
        """The id of an open file of `size` bytes as a blob. Raises OSError if the file changes meanwhile."""
        digest = hashlib.new(self.algorithm, f"blob {size}\0".encode())
        for chunk in _contents(fd, size):
            digest.update(chunk)
        return digest.hexdigest()

    def write_edited(self, tree: str, edits: dict[bytes, trees.Entry | None]) -> str:
        """`tree` with leaves added, replaced or removed (None). Returns the id of the new tree."""
        if not edits:
            return tree
        listing = self.listing(tree)
        root, touched = trees.edited(listing, edits, lambda content: self.write("tree", content))
        merged = {folder: entries for folder, entries in {**listing, **touched}.items() if entries or not folder}
        self.keep_listing(root, merged)
        return root

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Objects that this thread writes in the block are synced together. They can be read after it, not before."""
        batch: dict[str, Path] = {}
        self._batches.now, self._batches.met = batch, set()
        try:
            yield
            self._settle(batch)
        finally:
            self._batches.now = None
            for temporary in batch.values():
                with contextlib.suppress(OSError):
                    temporary.unlink()

    def loose(self, oid: str) -> Path:
        return self._folder / oid[:2] / oid[2:]

    # --- below

    @contextlib.contextmanager
    def _dialogue(self) -> Iterator[Dialogue]:
        with self._lock:
            dialogue = self._idle.pop() if self._idle else None
        if dialogue is None:
            dialogue = Dialogue(self._git.argv("cat-file", "--batch-command"), env=self._git.env())
        try:
            yield dialogue
        except BaseException:
            dialogue.close()  # unread answers are still in the pipe
            raise
        with self._lock:
            self._idle.append(dialogue)

    def _list(self, tree: str) -> Listing:
        listing: dict[bytes, dict[bytes, trees.Entry]] = {}
        level: list[tuple[bytes, str]] = [(b"", tree)]
        while level:
            below: list[tuple[bytes, str]] = []
            for (path, _), (_, chunks) in zip(level, self.stream(oid for _, oid in level), strict=True):
                entries = trees.parse(b"".join(chunks), self.oid_bytes)
                listing[path] = entries
                below += [
                    (trees.joined(path, name), entry.oid)
                    for name, entry in entries.items()
                    if entry.mode == trees.FOLDER
                ]
            level = below
        return listing

    def _freshened(self, oid: str) -> bool:
        """Whether the object exists. If so, update its time and sync its name, since its writer may not have done so
        yet."""
        batch: dict[str, Path] | None = getattr(self._batches, "now", None)
        if batch is not None and oid in batch:
            return True
        path = self.loose(oid)
        try:
            os.utime(path)
            if batch is None:
                sync_files([path.parent])
            else:
                self._batches.met.add(path.parent)
        except OSError:
            return False
        return True

    def _put(self, oid: str, chunks: Iterable[bytes]) -> None:
        batch: dict[str, Path] | None = getattr(self._batches, "now", None)
        path = self.loose(oid)
        try:
            if batch is not None:
                batch[oid] = write_temporary(self._folder, chunks, prefix="tmp_obj_")
                return
            make_folder(path.parent)
            put_file(path, chunks, mode=0o444, prefix="tmp_obj_")
        except OSError as error:
            raise disk_error(path, error) from error

    def _settle(self, batch: Mapping[str, Path]) -> None:
        """Sync the objects, rename them, and sync the names."""
        try:
            sync_many(self._folder, batch.values())
            names = self._batches.met | {self.loose(oid).parent for oid in batch}
            for folder in [folder for folder in names if not folder.is_dir()]:
                folder.mkdir(exist_ok=True)
                names.add(self._folder)
            for oid, temporary in batch.items():
                temporary.replace(self.loose(oid))
            sync_many(self._folder, names)
        except OSError as error:
            raise disk_error(self._folder, error) from error


def commit_object(tree: str, parents: Sequence[str], author: str, committer: str, message: str) -> bytes:
    """The content of a commit. `author` and `committer` are `Name <mail> SECONDS ZONE`."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {author}", f"committer {committer}"]
    text = message.replace("\0", "\\0").strip("\n") + "\n"
    return ("\n".join(lines) + "\n\n" + text).encode("utf-8", "replace")


def _header(line: bytes, oid: str) -> tuple[str, int]:
    words = line.decode().split(" ")
    if len(words) != 3:
        raise MissingObject(oid)
    return words[1], int(words[2])


def _chunks(dialogue: Dialogue, size: int) -> Iterator[bytes]:
    while size > 0:
        chunk = dialogue.take(min(size, CHUNK))
        size -= len(chunk)
        yield chunk


def _contents(fd: int, size: int) -> Iterator[bytes]:
    os.lseek(fd, 0, os.SEEK_SET)
    left = size
    while chunk := os.read(fd, CHUNK):
        left -= len(chunk)
        yield chunk
    if left:
        raise OSError(errno.EAGAIN, "the file changes while it is read")


def _compressed(fd: int, size: int) -> Iterator[bytes]:
    packer = zlib.compressobj(1)
    yield packer.compress(f"blob {size}\0".encode())
    for chunk in _contents(fd, size):
        yield packer.compress(chunk)
    yield packer.flush()
