"""Git trees as plain values: parse, encode, compare, edit. No input or output.

A listing has every folder of a tree by its path (b"" is the root), each with its entries by name, including folders.
Rule: a listing is shared and never changed in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from interlock.ports import InfrastructureError

FOLDER = "040000"
FILE = "100644"
PROGRAM = "100755"
LINK = "120000"
SUBMODULE = "160000"
REGULAR = frozenset({FILE, PROGRAM, "100664"})
ABSENT = "000000"

_HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_GIT_NAME = re.compile(r"(\.git|git~1)[ .]*([:\\].*)?", re.IGNORECASE | re.DOTALL)


class Entry(NamedTuple):
    mode: str  # six octal digits
    oid: str


Folder = Mapping[bytes, Entry]
Listing = Mapping[bytes, Folder]


def parse(content: bytes, oid_bytes: int) -> dict[bytes, Entry]:
    """The entries of a tree object. Raises InfrastructureError if a name is not allowed in a checkout."""
    entries: dict[bytes, Entry] = {}
    at = 0
    while at < len(content):
        end = content.index(b"\0", at)
        mode, _, name = content[at:end].partition(b" ")
        at = end + 1 + oid_bytes
        if name in entries or name in (b"", b".", b"..") or b"/" in name or is_git_name(name):
            raise InfrastructureError(f"a tree of the repository has a bad entry: {name!r}", permanent=True)
        entries[name] = Entry(mode.decode().zfill(6), content[end + 1 : at].hex())
    return entries


def encode(folder: Folder) -> bytes:
    """The tree object with these entries."""
    parts = []
    for name in sorted(folder, key=lambda name: name + b"/" if folder[name].mode == FOLDER else name):
        mode, oid = folder[name]
        parts.append(mode.lstrip("0").encode() + b" " + name + b"\0" + bytes.fromhex(oid))
    return b"".join(parts)


def is_git_name(name: bytes) -> bool:
    """Whether some file system treats `name` as `.git` (including case, HFS+ and NTFS spellings)."""
    if b"git" not in name.lower() and name.isascii():
        return False
    return _GIT_NAME.fullmatch(_HFS_IGNORED.sub("", name.decode(errors="replace"))) is not None


def joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def split(path: bytes) -> tuple[bytes, bytes]:
    """Folder and name."""
    folder, _, name = path.rpartition(b"/")
    return folder, name


def get(listing: Listing, path: bytes) -> Entry | None:
    """The entry at `path`; None if there is none."""
    folder, name = split(path)
    return listing.get(folder, {}).get(name)


def leaves(listing: Listing) -> Iterator[tuple[bytes, Entry]]:
    """Every entry that is not a folder, with its path, in no special order."""
    for folder, entries in listing.items():
        for name, entry in entries.items():
            if entry.mode != FOLDER:
                yield joined(folder, name), entry


def leaves_at(listing: Listing, path: bytes) -> Iterator[bytes]:
    """The paths of the leaves at or below `path`."""
    entry = get(listing, path) if path else None
    if entry is not None and entry.mode != FOLDER:
        yield path
        return
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        for name, entry in listing.get(folder, {}).items():
            if entry.mode == FOLDER:
                waiting.append(joined(folder, name))
            else:
                yield joined(folder, name)


def oids(listing: Listing, root: str) -> set[str]:
    """Every object of the tree, except submodules."""
    found = {entry.oid for entries in listing.values() for entry in entries.values() if entry.mode != SUBMODULE}
    found.add(root)
    return found


def new_oids(old: Listing, new: Listing) -> Iterator[str]:
    """The objects of `new`, without submodules and its root, that are not at the same place in `old`."""
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        before = old.get(folder, {})
        for name, entry in new.get(folder, {}).items():
            if before.get(name) == entry or entry.mode == SUBMODULE:
                continue
            yield entry.oid
            if entry.mode == FOLDER:
                waiting.append(joined(folder, name))


def differences(old: Listing, new: Listing) -> dict[bytes, tuple[Entry | None, Entry | None]]:
    """Leaves that differ, by path: old and new entry. Equal folders are skipped."""
    found: dict[bytes, tuple[Entry | None, Entry | None]] = {}
    stack = [] if old is new else [b""]
    while stack:
        folder = stack.pop()
        before, after = old.get(folder, {}), new.get(folder, {})
        for name in {name for name, _ in before.items() ^ after.items()}:
            was, now = before.get(name), after.get(name)
            path = joined(folder, name)
            if _is_folder(was) or _is_folder(now):
                stack.append(path)
            was, now = _leaf(was), _leaf(now)
            if was or now:
                found[path] = (was, now)
    return found


def edited(
    listing: Listing, edits: Mapping[bytes, Entry | None], write: Callable[[bytes], str]
) -> tuple[str, dict[bytes, dict[bytes, Entry]]]:
    """The tree with leaves added, replaced or removed (None), and the changed folders of its listing.

    `write` stores a tree object and returns its id. Folders that become empty are removed. Returns the id of the root
    and the folders that differ, by path; a removed folder is empty there.
    """
    touched: dict[bytes, dict[bytes, Entry]] = {}
    for path, entry in sorted(edits.items(), key=lambda edit: edit[1] is not None):
        folder, name = split(path)
        entries = _touch(touched, listing, folder)
        if entry is not None:
            entries[name] = entry
        elif name in entries and entries[name].mode != FOLDER:
            del entries[name]
    _touch(touched, listing, b"")
    oid = ""
    for folder in sorted(touched, key=lambda path: (-_depth(path), path)):
        entries = touched[folder]
        if not folder:
            oid = write(encode(entries))
            continue
        parent, name = split(folder)
        above = _touch(touched, listing, parent)
        if entries:
            above[name] = Entry(FOLDER, write(encode(entries)))
        elif name in above and above[name].mode == FOLDER:
            del above[name]
    return oid, touched


def _touch(touched: dict[bytes, dict[bytes, Entry]], listing: Listing, folder: bytes) -> dict[bytes, Entry]:
    if folder not in touched:
        touched[folder] = dict(listing.get(folder, {}))
        if folder:
            _touch(touched, listing, split(folder)[0])
    return touched[folder]


def _depth(path: bytes) -> int:
    return path.count(b"/") + 1 if path else 0


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.mode == FOLDER


def _leaf(entry: Entry | None) -> Entry | None:
    return None if entry is None or entry.mode == FOLDER else entry
