"""What a run needs besides commits, for machines without the repository: files to carry, and held-out files.

A manifest lists each file with its path, mode, time and the digest of its content. The manifest and the contents are
blobs, one for each content, so what has not changed is not sent again.

Rule: a manifest came from another machine. All paths are checked when it is read: relative, without `..`, none in
`.git`, none below anything but a folder. A content is checked against its digest while it is copied.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from interlock.ports import Blobs, InfrastructureError, UsageError
from interlock.ports.disk import disk_error
from interlock.text.sizes import size_words
from interlock.workspaces import layout
from interlock.workspaces.links import printable

_VERSION = 1
ITEMS_MAX = 100_000
BYTES_MAX = 20_000_000_000
_DEPTH_MAX = 200
_CHUNK = 1 << 20
_AT_ONCE = 8  # files that are put or fetched: most of the time goes into waiting for the disk
_DIGEST = re.compile(r"[0-9a-f]{64}")
Kind = Literal["file", "folder", "link"]


class LocalBlobs(Blobs, Protocol):
    """Blobs that can be had as files of this machine."""

    def path(self, digest: str) -> Path:
        """Where the content is on this machine; it is fetched if it is not here. Raises InfrastructureError."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file, folder or link. `path` is relative, its bytes decoded with surrogateescape. Empty fields are for other
    kinds. The time is in nanoseconds."""

    path: str
    kind: Kind
    mode: int = 0
    digest: str = ""
    size: int = 0
    mtime_ns: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`carry` are relative to the root of the repository. Of the held-out files of each name, the first part of the
    path is the name of the file or folder that the user has."""

    carry: tuple[Item, ...] = ()
    held_out: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)


# --- collecting -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """An item whose content is not read yet, and where it is."""

    item: Item
    source: Path
    what: str  # for messages, such as `carry`


def below(root: Path, path: str, what: str) -> Iterator[Found]:
    """`root/path` and everything below it, sorted. Links are not followed. Raises UsageError for what cannot be sent or
    read."""
    source = root / path
    if path.count("/") > _DEPTH_MAX:
        raise UsageError(f"{what}: {shown(path)} lies deeper than {_DEPTH_MAX} folders: leave it out")
    try:
        status = source.lstat()
        if stat.S_ISDIR(status.st_mode):
            yield Found(Item(path, "folder", stat.S_IMODE(status.st_mode) & 0o777), source, what)
            for inner in sorted(source.iterdir()):
                yield from below(root, f"{path}/{inner.name}", what)
        elif stat.S_ISLNK(status.st_mode):
            yield Found(Item(path, "link", target=str(source.readlink())), source, what)
        elif stat.S_ISREG(status.st_mode):
            yield a_file(source, path, what)
        else:
            raise UsageError(
                f"{what}: {shown(path)} is a device, socket or pipe: only files, folders and links can be sent to"
                " other machines"
            )
    except OSError as error:
        raise _unreadable(what, path, error) from error


def a_file(source: Path, path: str, what: str) -> Found:
    """One regular file, to be listed as `path`. Raises UsageError if it cannot be read."""
    try:
        status = source.stat()
    except OSError as error:
        raise _unreadable(what, path, error) from error
    mode = stat.S_IMODE(status.st_mode) & 0o777
    return Found(Item(path, "file", mode, "", status.st_size, status.st_mtime_ns), source, what)


def require_bounded(found: Sequence[Found]) -> int:
    """The bytes of all files. Raises UsageError if there are too many files or bytes."""
    size = sum(each.item.size for each in found)
    mend = "take something out of `carry`, or let `setup` fetch it"
    if len(found) > ITEMS_MAX:
        raise UsageError(f"the run needs more than {ITEMS_MAX} files that are in no commit: {mend}")
    if size > BYTES_MAX:
        largest = max(found, key=lambda each: each.item.size).item
        raise UsageError(
            f"the run needs {size_words(size)} that are in no commit, and at most {size_words(BYTES_MAX)} can be sent"
            f" to other machines (the largest is {shown(largest.path)}, {size_words(largest.size)}): {mend}"
        )
    return size


def put(found: Sequence[Found], blobs: Blobs) -> tuple[Item, ...]:
    """Put the contents among `blobs`; those that are there are only read. Raises UsageError, InfrastructureError."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(lambda each: _put(each, blobs) if each.item.kind == "file" else each.item, found))


def put_content(source: Path, blobs: Blobs, digest: str, size: int) -> tuple[str, int]:
    """Put a file whose content had this digest and size. Returns those that it has now."""
    return (digest, size) if blobs.size(digest) == size else blobs.put_file(source)


def _put(found: Found, blobs: Blobs) -> Item:
    item, source = found.item, found.source.resolve()
    try:
        digest, size = put_content(source, blobs, *_read(source))
    except OSError as error:
        raise _unreadable(found.what, item.path, error) from error
    return Item(item.path, "file", item.mode, digest, size, item.mtime_ns)


def _read(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


def _unreadable(what: str, path: str, error: OSError) -> UsageError:
    return UsageError(
        f"{what}: {shown(path)} cannot be read: {error.strerror or error}: make it readable, or leave it out"
    )


def shown(path: str) -> str:
    return printable(os.fsencode(path))


# --- as a blob ------------------------------------------------------------------------------


def encode(manifest: Manifest) -> bytes:
    held_out = {name: [asdict(item) for item in items] for name, items in sorted(manifest.held_out.items())}
    carry = [asdict(item) for item in manifest.carry]
    return json.dumps({"version": _VERSION, "carry": carry, "held_out": held_out}, separators=(",", ":")).encode()


def decode(content: bytes) -> Manifest:
    """Raises InfrastructureError if it is no manifest, or has a path that is not allowed."""
    try:
        data: dict[str, Any] = json.loads(content)
        if data["version"] != _VERSION:
            raise _refused(f"it is of version {data['version']}, and this Interlock reads {_VERSION}: update it")
        held_out = {str(name): _items(rows) for name, rows in data["held_out"].items()}
        return Manifest(_items(data["carry"]), held_out)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(f"it is damaged ({error})") from error


def _items(rows: Sequence[Mapping[str, Any]]) -> tuple[Item, ...]:
    kinds: dict[str, str] = {}
    items = tuple(Item(**row) for row in rows)
    for item in items:
        _check(item, kinds)
        kinds[item.path] = item.kind
    return items


def _check(item: Item, kinds: Mapping[str, str]) -> None:
    """`kinds` are those of the items before it: what is above an item comes first."""
    os.fsencode(item.path + item.target)  # a ValueError where no file can have this name
    if not all(isinstance(number, int) for number in (item.mode, item.size, item.mtime_ns)):
        raise _refused(f"{item.path!r} has a mode, size or time that is no number")
    parts = item.path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    if any(part in ("", ".", "..") for part in parts) or "\0" in item.path + item.target:
        raise _refused(f"{item.path!r} is no path below a folder")
    if parts[0].lower() == ".git":
        raise _refused(f"{item.path!r} is in .git")
    if item.path in kinds:
        raise _refused(f"{item.path!r} is there twice")
    if any(kinds.get(path, "folder") != "folder" for path in above):
        raise _refused(f"{item.path!r} is below something that is no folder")
    if item.kind not in ("file", "folder", "link"):
        raise _refused(f"{item.path!r} is a {item.kind!r}")
    if item.kind == "file" and not _DIGEST.fullmatch(item.digest):
        raise _refused(f"{item.path!r} has no digest")


def _refused(why: str) -> InfrastructureError:
    return InfrastructureError(f"what the run needs besides commits is refused: {why}", permanent=True)


# --- laying ---------------------------------------------------------------------------------


def items_at(items: Sequence[Item], path: str) -> tuple[Item, ...]:
    """The item with this path, and all below it."""
    return tuple(item for item in items if item.path == path or item.path.startswith(f"{path}/"))


def lay(items: Sequence[Item], blobs: LocalBlobs, root: Path, what: str) -> None:
    """Write the items below the folder `root`. Raises InfrastructureError: a content is missing or damaged, a folder is
    in the way as a link, or the disk fails."""
    _fetch(items, blobs, what)
    for item in items:
        try:
            _lay(item, blobs, layout.path_within(root, item.path), what)
        except layout.MisplacedPath as error:
            raise InfrastructureError(f"{what}: {error}", permanent=True) from error
        except OSError as error:
            raise disk_error(root / item.path, error) from error
    for item in reversed(items):
        if item.kind == "folder":
            (root / item.path).chmod(item.mode & 0o777)


def _fetch(items: Sequence[Item], blobs: LocalBlobs, what: str) -> None:
    """Have all contents on this machine. Raises InfrastructureError that names the one that is missing."""
    files = [item for item in items if item.kind == "file"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda item: _local(blobs, item.digest, f"{what}: {shown(item.path)}"), files):
            pass


def _local(blobs: LocalBlobs, digest: str, named: str) -> Path:
    try:
        return blobs.path(digest)
    except InfrastructureError as error:
        raise InfrastructureError(f"{named}: {error}", permanent=error.permanent) from error


def _lay(item: Item, blobs: LocalBlobs, target: Path, what: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if item.kind == "folder":
        target.mkdir()
    elif item.kind == "link":
        target.symlink_to(item.target)
    else:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(contents(blobs, item.digest, f"{what}: {shown(item.path)}"))
        target.chmod(item.mode & 0o777)
        os.utime(target, ns=(item.mtime_ns, item.mtime_ns))


def contents(blobs: LocalBlobs, digest: str, named: str) -> Iterator[bytes]:
    """A content in chunks. Raises InfrastructureError that names it if it is missing, or damaged, which shows at the
    end."""
    seen = hashlib.sha256()
    try:
        with _local(blobs, digest, named).open("rb") as file:
            while chunk := file.read(_CHUNK):
                seen.update(chunk)
                yield chunk
    except FileNotFoundError as error:
        raise _lost(named, f"is not among the blobs ({digest})") from error
    if seen.hexdigest() != digest:
        raise _lost(named, f"does not match its digest {digest}")


def _lost(named: str, why: str) -> InfrastructureError:
    return InfrastructureError(
        f"{named}: its content {why}: restore the folder of blobs from a backup, or start the run again",
        permanent=True,
    )
