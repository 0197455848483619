"""Merge accepted commits of the store into one input, and a proposal with its base.

Rule: the same arguments give the same commit. The result for each path follows from the two sides and their merge base.
git merges only the contents of files that both sides changed: a merge of whole trees by git could detect a rename that
did not happen, and move a file that no side touched. Each merge is then checked against its sides: what only one side
changed must be as that side left it. A conflict that markers in a file cannot show is named for a decision.

Rule: nothing is guessed. A path of a proposal that cannot be merged, or whose merge depends on the choice of the merge
base, is a conflict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from interlock.core.conflicts import Side, SideChange, Undecided
from interlock.ports import InfrastructureError, Merged, Stamp, UsageError
from interlock.workspaces import trees
from interlock.workspaces.base import Base
from interlock.workspaces.commits import ancestors, write_commit
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry, Listing

IN_THE_WAY = "file/directory"
CONTENT = "content"  # the one kind that leaves markers
_UNSETTLED = b"Several merge bases, and they are in conflict here.\n"
_PLAIN = Stamp("interlock: merge base", 0)
_SHOWN_MAX = 5

_Differences = Mapping[bytes, tuple[Entry | None, Entry | None]]  # by path: the entry in the base, and the entry now


@dataclass(frozen=True, slots=True)
class Head:
    """A commit to merge, and its stage."""

    commit: str
    name: str = ""


def merge(git: Git, objects: Objects, heads: Sequence[Head], stamp: Stamp) -> Merged:
    """Merge pairwise in order, without heads that another head contains. A single head is its own merge."""
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
    """Each commit once, without ancestors of other ones."""
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
    ours: _Differences
    theirs: _Differences
    conflicts: Mapping[bytes, str]

    def mode_clash(self, path: bytes) -> bool:
        """Whether both sides changed the mode of a file, to different values."""
        (was, our), (_, their) = self.ours[path], self.theirs[path]
        if our is None or their is None or our.mode == their.mode:
            return False
        return was is None or was.mode not in (our.mode, their.mode)


def _merged(git: Git, objects: Objects, our: Head, their: Head) -> _Pair:
    our_tree, their_tree = objects.commit(our.commit).tree, objects.commit(their.commit).tree
    base_tree = _base(git, objects, our.commit, their.commit)
    base = objects.listing(base_tree)
    ours = trees.differences(base, objects.listing(our_tree))
    theirs = trees.differences(base, objects.listing(their_tree))
    contents = _contents(git, objects, ours, theirs, (our.name or our.commit, their.name or their.commit))
    conflicts = _conflicts(ours, theirs, contents)
    tree = objects.write_edited(our_tree, _edits(ours, theirs, contents, conflicts))
    pair = _Pair(tree, base, ours, theirs, conflicts)
    _check(our, their, pair, trees.differences(base, objects.listing(tree)))
    return pair


def _base(git: Git, objects: Objects, ours: str, theirs: str) -> str:
    """The tree that both sides are compared with. Several merge bases are merged. A path in conflict among them gets a
    content that no side has, so that both sides count as changing it and nothing is resolved silently."""
    found = git.call("merge-base", "--all", ours, theirs, codes=(0, 1)).out.decode().split()
    if not found:
        raise InfrastructureError(f"{ours[:12]} and {theirs[:12]} have no commit in common", permanent=True)
    current, *others = sorted(found)
    for other in others:
        pair = _merged(git, objects, Head(current), Head(other))
        unsettled = Entry(trees.FILE, objects.write("blob", _UNSETTLED))
        listing = objects.listing(pair.tree)
        bare = (path for path, kind in pair.conflicts.items() if kind != CONTENT)
        edits: dict[bytes, Entry | None] = {path: unsettled for path in bare if not _is_taken(listing, path)}
        current = write_commit(objects, objects.write_edited(pair.tree, edits), (current, other), _PLAIN)
    return objects.commit(current).tree


def _is_taken(listing: Listing, path: bytes) -> bool:
    """Whether the path is a folder, or below a file."""
    return path in listing or any(_leaf(listing, above) for above in _above(path))


def _above(path: bytes) -> Iterator[bytes]:
    return (path[:at] for at in range(len(path)) if path[at : at + 1] == b"/")


def _edits(
    ours: _Differences, theirs: _Differences, contents: Mapping[bytes, _Content], conflicts: Mapping[bytes, str]
) -> dict[bytes, Entry | None]:
    """The edits that turn our tree into the merge: changes of their side alone, and merged contents. A path in conflict
    stays as in ours, or as in theirs if ours has none; a file makes way for a folder."""
    edits: dict[bytes, Entry | None] = {path: now for path, (_, now) in theirs.items() if path not in ours}
    edits |= {path: now for path, (_, now) in theirs.items() if path in ours and ours[path][1] is None}
    edits |= {path: content.entry for path, content in contents.items()}
    edits |= {path: None for path, kind in conflicts.items() if kind == IN_THE_WAY}
    return edits


# --- the contents of files ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Content:
    """git's merge of a file that both sides changed."""

    entry: Entry
    conflict: bool


def _contents(
    git: Git, objects: Objects, ours: _Differences, theirs: _Differences, names: tuple[str, str]
) -> dict[bytes, _Content]:
    """The files that both sides changed, merged by git in trees that contain only these."""
    paths = [path for path in ours.keys() & theirs.keys() if _is_of_contents(ours[path][1], theirs[path][1])]
    if not paths:
        return {}
    empty = objects.write("tree", b"")
    files: dict[bytes, Entry | None] = {path: ours[path][0] for path in paths if _is_file(ours[path][0])}
    root = write_commit(objects, objects.write_edited(empty, files), (), _PLAIN)
    sides = []
    for side in (ours, theirs):
        tree = objects.write_edited(empty, {path: side[path][1] for path in paths})
        sides.append(write_commit(objects, tree, (root,), _PLAIN))
    args = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", *sides)
    tree, *paths_marked = git.call(*args, codes=(0, 1)).out.decode("utf-8", "surrogateescape").split("\0")
    listing, marked = objects.listing(tree), {path.encode("utf-8", "surrogateescape") for path in paths_marked if path}
    found = {}
    for path in paths:
        entry = _leaf(listing, path)
        if entry is None:
            raise InfrastructureError(f"git merge-tree left out {_text(path)}, which both sides have", permanent=True)
        if path in marked:
            entry = Entry(entry.mode, _labelled(objects, entry.oid, sides, names))
        found[path] = _Content(entry, path in marked)
    return found


def _is_of_contents(our: Entry | None, their: Entry | None) -> bool:
    return our != their and _is_file(our) and _is_file(their)


def _is_file(entry: Entry | None) -> bool:
    return entry is not None and entry.mode in trees.REGULAR


def _labelled(objects: Objects, oid: str, sides: Sequence[str], names: Sequence[str]) -> str:
    """The file with the names of stages in its markers."""
    content = before = objects.read(oid)
    for sign, side, name in zip((b"<<<<<<<", b">>>>>>>"), sides, names, strict=True):
        content = re.sub(b"(?m)^%b %b" % (sign, side.encode()), b"%b %b" % (sign, name.encode()), content)
    return oid if content == before else objects.write("blob", content)


# --- conflicts ----------------------------------------------------------------------------------


def _conflicts(ours: _Differences, theirs: _Differences, contents: Mapping[bytes, _Content]) -> dict[bytes, str]:
    """The kind of each conflict, by path."""
    found = dict.fromkeys(_in_the_way(ours, theirs) | _in_the_way(theirs, ours), IN_THE_WAY)
    for path in ours.keys() & theirs.keys() - found.keys():
        our, their = ours[path][1], theirs[path][1]
        if our != their and (kind := _kind(our, their, contents.get(path))):
            found[path] = kind
    return {path: found[path] for path in sorted(found)}


def _in_the_way(files: _Differences, others: _Differences) -> set[bytes]:
    """Files of one side at paths that are folders in the other."""
    written = {path for path, (_, now) in files.items() if now is not None}
    below = (path for path, (_, now) in others.items() if now is not None)
    return {above for path in below for above in _above(path) if above in written}


def _kind(our: Entry | None, their: Entry | None, content: _Content | None) -> str:
    """The kind of conflict between two changes of a path, in git's terms; empty if there is none."""
    if content is not None and our is not None and their is not None:
        if not content.conflict:
            return ""
        if our.oid == their.oid:
            return "mode"
        return "binary" if content.entry.oid in (our.oid, their.oid) else CONTENT
    if trees.SUBMODULE in (entry.mode for entry in (our, their) if entry is not None):
        return "submodule"
    if our is None or their is None:
        return "modify/delete"
    return "symlink" if our.mode == their.mode else "distinct types"


# --- the check of a merge -----------------------------------------------------------------------


def _check(our: Head, their: Head, pair: _Pair, made: _Differences) -> None:
    """Raises InfrastructureError if a path that only one side changed is not as that side left it."""
    wrong = []
    for path in (pair.ours.keys() | pair.theirs.keys() | made.keys()) - pair.conflicts.keys():
        was = _leaf(pair.base, path)
        our_now, their_now, now = (each.get(path, (was, was))[1] for each in (pair.ours, pair.theirs, made))
        if not _is_right(was, our_now, their_now, now):
            wrong.append(path)
    if wrong:
        shown = ", ".join(_text(path) for path in sorted(wrong)[:_SHOWN_MAX])
        who = f"{our.name or our.commit[:12]} and {their.name or their.commit[:12]}"
        raise InfrastructureError(
            f"the merge of {who} is not as the two sides left it, at {shown}: what one side alone changed must be as"
            " that side left it. Nothing was built on it; this is a defect of git or of Interlock: please report it",
            permanent=True,
        )


def _is_right(was: Entry | None, our: Entry | None, their: Entry | None, now: Entry | None) -> bool:
    if our in (their, was) or their == was:
        return now == (their if our == was else our)
    if was is None or our is None or their is None or now is None:
        return False  # neither merged nor in conflict
    mode = our.mode if their.mode == was.mode else their.mode
    oids = {our.oid, their.oid} - {was.oid}
    return now.mode == mode and (len(oids) > 1 or now.oid in (oids or {was.oid}))


def _leaf(listing: Listing, path: bytes) -> Entry | None:
    entry = trees.get(listing, path)
    return None if entry is None or entry.mode == trees.FOLDER else entry


# --- decisions ----------------------------------------------------------------------------------


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


def _did(was: Entry | None, listing: Listing, path: bytes) -> SideChange | None:
    """What a side did to the path; None if it did not change it."""
    if path in listing:
        return SideChange.FOLDER
    now = _leaf(listing, path)
    if now == was:
        return None
    if now is None:
        return SideChange.DELETED
    return SideChange.ADDED if was is None else SideChange.CHANGED


def _both(first: Undecided, second: Undecided) -> Undecided:
    """A path with two conflicts: between the first two heads, and between these and a third one."""
    sides = {side.stage: side for side in (*second.sides, *first.sides)}
    kind = first.kind if first.kind == second.kind else f"{first.kind}, {second.kind}"
    return Undecided(first.path, kind, tuple(sides.values()))


def _as_left(objects: Objects, tree: str, undecided: Undecided, marked: bool) -> Undecided:
    """The conflict with a description of the merged path: which stages have it so, or what else it is."""
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


# --- proposals -------------------------------------------------------------------------------


_STAMP = Stamp("interlock: the proposal merged with its base", 0)


def merge_bases(user: Git, onto: Base, proposed: str) -> tuple[str, ...]:
    """The merge bases of both. Raises UsageError if there are none."""
    found = user.call("merge-base", "--all", onto.commit, proposed, codes=(0, 1)).out.decode().split()
    if not found:
        raise UsageError(
            f"{onto.ref} and {proposed[:12]} have no commit in common here: fetch the whole history"
            " (`git fetch --unshallow`, `fetch-depth: 0`, `GIT_DEPTH: 0`)"
        )
    return tuple(sorted(found))


def merge_proposal(git: Git, objects: Objects, onto: Base, proposal: Base, bases: tuple[str, ...]) -> Merged:
    """The merge, as a commit with both as parents. The store has no history, so each merge base in turn is used as
    their only parent."""
    found = [_merged_from(git, objects, (onto.tree, proposal.tree), each) for each in bases]
    first = objects.listing(found[0].tree)
    differing = (path for one in found[1:] for path in trees.differences(first, objects.listing(one.tree)))
    apart = tuple(path.decode("utf-8", "surrogateescape") for path in differing)
    conflicts = tuple(sorted({*apart, *(path for one in found for path in one.conflicts)}))
    commit = write_commit(objects, found[0].tree, (onto.commit, proposal.commit), _STAMP)
    return Merged(commit, found[0].tree, conflicts)


def _merged_from(git: Git, objects: Objects, sides: tuple[str, str], base: str) -> Merged:
    heads = [Head(write_commit(objects, tree, (base,), _STAMP)) for tree in sides]
    return merge(git, objects, heads, _STAMP)
