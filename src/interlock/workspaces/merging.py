"""Joining accepted commits of the store into one input. Rule: the same arguments, the same commit.

Git merges the contents of files. Where a file goes is decided path by path: nothing is taken for a rename, so
no side can move what the other one wrote. Each merge is then compared with the two sides and their merge base:
what one side alone changed is as that side left it. What git could not mark in a file is named for a decision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from interlock.core.events import Did, Side, Undecided
from interlock.ports import InfrastructureError, Merged, Stamp
from interlock.workspaces import trees
from interlock.workspaces.compare import ancestors, write_commit
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry, Listing

CONTENT = "content"  # the one kind that leaves markers
UNCLEAR = "unclear"  # git says so, and the two sides do not show why
_UNSETTLED = b"Several merge bases, and they are in conflict here.\n"
_BY_PATH = ("-c", "merge.renames=false", "-c", "merge.directoryRenames=false")
_PLAIN = Stamp("interlock: merge base", 0)
_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Head:
    """A commit to merge and the stage that it is of."""

    commit: str
    name: str = ""


def merge(git: Git, objects: Objects, heads: Sequence[Head], stamp: Stamp) -> Merged:
    """Merged pairwise in order, without those that another one holds already; a single one is itself."""
    first, *others = _independent(objects, heads)
    current, so_far = first, [first]
    conflicts: dict[bytes, None] = {}
    undecided: dict[bytes, Undecided] = {}
    marked: set[bytes] = set()
    for other in others:
        so_far.append(other)
        pair = _merged(git, objects, current, other)
        conflicts.update(dict.fromkeys(pair.conflicts))
        marked |= {path for path, kind in pair.conflicts.items() if kind == CONTENT}
        for path, kind in pair.conflicts.items():
            if kind != CONTENT or pair.mode_clash(path):
                found = _undecided(objects, pair, path, so_far)
                undecided[path] = _both(undecided[path], found) if path in undecided else found
        commit = write_commit(objects, pair.tree, (current.commit, other.commit), stamp)
        current = Head(commit, f"{current.name}+{other.name}")
    result = objects.commit(current.commit).tree
    named = tuple(_as_left(objects, result, undecided[path], path in marked) for path in sorted(undecided))
    return Merged(current.commit, result, tuple(_text(path) for path in conflicts), named)


def _independent(objects: Objects, heads: Sequence[Head]) -> list[Head]:
    """Each commit once, without those that come before another one."""
    each = list({head.commit: head for head in reversed(heads)}.values())[::-1]
    if len(each) == 1:
        return each
    before = {head.commit: ancestors(objects, head.commit) - {head.commit} for head in each}
    return [head for head in each if not any(head.commit in found for found in before.values())]


# --- two commits --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two commits merged: `conflicts` has the kind by path."""

    tree: str
    base: Listing
    ours: Mapping[bytes, tuple[Entry | None, Entry | None]]  # what differs from the base
    theirs: Mapping[bytes, tuple[Entry | None, Entry | None]]
    conflicts: Mapping[bytes, str]

    def mode_clash(self, path: bytes) -> bool:
        """Whether both set the mode of a file, and not alike."""
        if path not in self.ours or path not in self.theirs:
            return False
        (was, our), (_, their) = self.ours[path], self.theirs[path]
        if our is None or their is None or our.mode == their.mode:
            return False
        return was is None or was.mode not in (our.mode, their.mode)


@dataclass(frozen=True, slots=True)
class _Written:
    """What git made of it: the tree, and the paths that it says are in conflict."""

    tree: str
    paths: frozenset[bytes]
    labels: tuple[str, str]  # of the sides, as they stand in markers


def _merged(git: Git, objects: Objects, our: Head, their: Head) -> _Pair:
    our_tree, their_tree = objects.commit(our.commit).tree, objects.commit(their.commit).tree
    base_tree, bases = _base(git, objects, our.commit, their.commit)
    base = objects.listing(base_tree)
    ours = trees.differences(base, objects.listing(our_tree))
    theirs = trees.differences(base, objects.listing(their_tree))
    if our_tree == their_tree:
        return _Pair(our_tree, base, ours, theirs, {})
    sides = (our.commit, their.commit)
    if bases > 1:  # git would make a base of its own, and settle silently what these left open
        root = write_commit(objects, base_tree, (), _PLAIN)
        sides = (
            write_commit(objects, our_tree, (root,), _PLAIN),
            write_commit(objects, their_tree, (root,), _PLAIN),
        )
    written = _by_git(git, *sides)
    made = trees.differences(base, objects.listing(written.tree))
    strays = frozenset(_strays(base, ours, theirs, made) & written.paths)
    conflicts = _conflicts(ours, theirs, made, written.paths - strays)
    _check(our, their, _Pair(written.tree, base, ours, theirs, conflicts), made, strays)
    edits: dict[bytes, Entry | None] = dict.fromkeys(strays)
    if our.name:
        edits |= _labelled(objects, written, (our.name, their.name), made, conflicts)
    return _Pair(objects.write_edited(written.tree, edits), base, ours, theirs, conflicts)


def _base(git: Git, objects: Objects, ours: str, theirs: str) -> tuple[str, int]:
    """The tree that both are compared with, and of how many commits it is made."""
    found = git.call("merge-base", "--all", ours, theirs, codes=(0, 1)).out.decode().split()
    if not found:
        raise InfrastructureError(f"{ours[:12]} and {theirs[:12]} have no commit in common", permanent=True)
    first, *others = sorted(found)
    current = first
    for other in others:
        pair = _merged(git, objects, Head(current), Head(other))
        unsettled = objects.write("blob", _UNSETTLED)  # is as no side has it, so that both have changed it
        open_ = (path for path, kind in pair.conflicts.items() if kind != CONTENT)
        edits = {path: Entry(trees.FILE, unsettled) for path in open_ if not _holds(objects, pair.tree, path)}
        tree = objects.write_edited(pair.tree, dict(edits))
        current = write_commit(objects, tree, (current, other), _PLAIN)
    return objects.commit(current).tree, len(found)


def _holds(objects: Objects, tree: str, path: bytes) -> bool:
    """Whether `path` is a folder there, or lies below a file."""
    listing = objects.listing(tree)
    return path in listing or any(_is_file(listing, above) for above in _above(path))


def _is_file(listing: Listing, path: bytes) -> bool:
    return path not in listing and trees.get(listing, path) is not None


def _by_git(git: Git, ours: str, theirs: str) -> _Written:
    args = (*_BY_PATH, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
    tree, *paths = git.call(*args, codes=(0, 1)).out.split(b"\0")
    return _Written(tree.decode().strip(), frozenset(path for path in paths if path), (ours, theirs))


def _strays(base: Listing, *sides: Mapping[bytes, tuple[Entry | None, Entry | None]]) -> set[bytes]:
    """Files that only the merge has: git puts one aside (as NAME~SIDE) where it cannot stand beside the other."""
    *known, made = sides
    there = {path for path, (was, now) in made.items() if was is None and now is not None}
    return there - {path for side in known for path, (_, now) in side.items() if now is not None}


def _labelled(
    objects: Objects,
    written: _Written,
    names: tuple[str, str],
    made: Mapping[bytes, tuple[Entry | None, Entry | None]],
    conflicts: Mapping[bytes, str],
) -> dict[bytes, Entry | None]:
    """The marked files with the stages' names in their markers."""
    edits: dict[bytes, Entry | None] = {}
    for path in (path for path, kind in conflicts.items() if kind == CONTENT):
        now = made[path][1]
        assert now is not None
        content = objects.read(now.oid)
        for sign, label, name in zip((b"<<<<<<<", b">>>>>>>"), written.labels, names, strict=True):
            content = re.sub(b"(?m)^%b %b" % (sign, label.encode()), b"%b %b" % (sign, name.encode()), content)
        edits[path] = Entry(now.mode, objects.write("blob", content))
    return edits


# --- what is in conflict ------------------------------------------------------------------------


def _conflicts(
    ours: Mapping[bytes, tuple[Entry | None, Entry | None]],
    theirs: Mapping[bytes, tuple[Entry | None, Entry | None]],
    made: Mapping[bytes, tuple[Entry | None, Entry | None]],
    said: Iterable[bytes],
) -> dict[bytes, str]:
    """The kind of each conflict by path: from what both sides did, and what git says beyond it."""
    found = dict.fromkeys(_in_the_way(ours, theirs) | _in_the_way(theirs, ours), "file/directory")
    named = set(said)
    for path in ours.keys() & theirs.keys() - found.keys():
        (was, our), (_, their) = ours[path], theirs[path]
        if our == their:
            continue
        kind = _kind(was, our, their, made.get(path, (None, None))[1])
        if kind or path in named:
            found[path] = kind or CONTENT
    found.update((path, UNCLEAR) for path in named - found.keys())
    return {path: found[path] for path in sorted(found)}


def _in_the_way(
    files: Mapping[bytes, tuple[Entry | None, Entry | None]],
    others: Mapping[bytes, tuple[Entry | None, Entry | None]],
) -> set[bytes]:
    """Files that one side wrote where the other one wrote something below."""
    written = {path for path, (_, now) in files.items() if now is not None}
    below = (path for path, (_, now) in others.items() if now is not None)
    return {above for path in below for above in _above(path) if above in written}


def _above(path: bytes) -> Iterable[bytes]:
    return (path[:at] for at in range(len(path)) if path[at : at + 1] == b"/")


def _kind(was: Entry | None, our: Entry | None, their: Entry | None, now: Entry | None) -> str:
    """What keeps two changes of a path from being merged, as git names it; empty where contents can be."""
    modes = {entry.mode for entry in (was, our, their) if entry is not None}
    if trees.SUBMODULE in modes:
        return "submodule"
    if our is None or their is None:
        return "modify/delete"
    if our.mode == their.mode == trees.LINK:
        return "symlink"
    if trees.LINK in (our.mode, their.mode):
        return "distinct types"
    if our.oid == their.oid:
        return "" if was is not None and was.mode in (our.mode, their.mode) else "mode"
    if now is not None and now.oid in (our.oid, their.oid):
        one_sided = was is not None and was.oid in (our.oid, their.oid)
        return "" if one_sided else "binary"
    return ""


# --- the second rule ----------------------------------------------------------------------------


def _check(
    our: Head,
    their: Head,
    pair: _Pair,
    made: Mapping[bytes, tuple[Entry | None, Entry | None]],
    strays: frozenset[bytes],
) -> None:
    """Raises InfrastructureError where a path is not as the only side that changed it left it."""
    wrong = []
    exempt = strays | {path for path, kind in pair.conflicts.items() if kind != UNCLEAR}
    for path in (pair.ours.keys() | pair.theirs.keys() | made.keys()) - exempt:
        was = _leaf(pair.base, path)
        our_now = pair.ours.get(path, (was, was))[1]
        their_now = pair.theirs.get(path, (was, was))[1]
        now = made.get(path, (was, was))[1]
        if not _is_right(was, our_now, their_now, now):
            wrong.append(path)
    if wrong:
        shown = ", ".join(_text(path) for path in sorted(wrong)[:_SHOWN_MAX])
        who = f"{our.name or our.commit[:12]} and {their.name or their.commit[:12]}"
        raise InfrastructureError(
            f"git's merge of {who} is not as the two sides left it, at {shown}: one side alone changed it, or both"
            " did alike, and the merge has something else. Nothing was built on it; try another version of git",
            permanent=True,
        )


def _is_right(was: Entry | None, our: Entry | None, their: Entry | None, now: Entry | None) -> bool:
    if our == their or their == was:
        return now == our
    if our == was:
        return now == their
    if was is None or our is None or their is None or now is None:
        return False  # not merged by content, and not in conflict
    mode = our.mode if their.mode == was.mode else their.mode
    oids = {our.oid, their.oid} - {was.oid}
    return now.mode == mode and (len(oids) > 1 or now.oid in (oids or {was.oid}))


def _leaf(listing: Listing, path: bytes) -> Entry | None:
    entry = trees.get(listing, path)
    return None if entry is None or entry.mode == trees.FOLDER else entry


# --- what is to be decided ----------------------------------------------------------------------


def _undecided(objects: Objects, pair: _Pair, path: bytes, heads: Sequence[Head]) -> Undecided:
    kind = pair.conflicts[path]
    was = _leaf(pair.base, path)
    sides = []
    for head in heads:
        listing = objects.listing(objects.commit(head.commit).tree)
        did = _did(was, listing, path)
        if did is not None:
            sides.append(Side(head.name, head.commit, did))
    return Undecided(_text(path), "mode" if kind == CONTENT else kind, tuple(sides))


def _did(was: Entry | None, listing: Listing, path: bytes) -> Did | None:
    """What a side did to the path; None where it left it alone."""
    if path in listing:
        return Did.FOLDER
    now = _leaf(listing, path)
    if now == was:
        return None
    if now is None:
        return Did.DELETED
    return Did.ADDED if was is None else Did.CHANGED


def _both(first: Undecided, second: Undecided) -> Undecided:
    """A path in conflict twice: between the first two, and of these with a third."""
    sides = {side.stage: side for side in (*second.sides, *first.sides)}
    kind = first.kind if first.kind == second.kind else f"{first.kind}, {second.kind}"
    return Undecided(first.path, kind, tuple(sides.values()))


def _as_left(objects: Objects, tree: str, undecided: Undecided, marked: bool) -> Undecided:
    """With what the merge left there: which stages have it so, or how else it is."""
    path = undecided.path.encode("utf-8", "surrogateescape")
    merged = objects.listing(tree)
    now = _leaf(merged, path)
    same = [
        side.stage for side in undecided.sides if _leaf(objects.listing(objects.commit(side.commit).tree), path) == now
    ]
    if path in merged:
        left = "a folder"
    elif now is None:
        left = "not there"
    elif marked:
        left = "with markers"
    else:
        left = f"as {' and '.join(same)} left it" if same else "of several sides"
    return replace(undecided, left=left, marked=marked)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
