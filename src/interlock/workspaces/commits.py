"""Write, compare and edit commits of the store. Rule: the same arguments give the same commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from interlock.ports import Change, Stamp, UsageError
from interlock.text.globs import matches_any
from interlock.workspaces import trees
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects, commit_object
from interlock.workspaces.trees import Entry

COMMITTER = "Interlock <interlock@localhost>"
ANCESTORS_MAX = 100_000
_PATCH = ("-r", "-p", "--full-index", "-M", "--no-color", "--no-ext-diff", "--no-textconv")
_WITH_CONTENT = (*trees.REGULAR, trees.LINK)


def write_commit(objects: Objects, tree: str, parents: Sequence[str], stamp: Stamp) -> str:
    """Write a commit. Its id depends on the arguments alone."""
    date = f"{stamp.at} +0000"
    author, committer = f"{identity(stamp.author or COMMITTER)} {date}", f"{COMMITTER} {date}"
    return objects.write("commit", commit_object(tree, parents, author, committer, stamp.message))


def identity(text: str) -> str:
    """`Name <mail>`, without characters that would break a commit object."""
    name, _, mail = text.partition("<")
    plain = "".join(letter for letter in name if letter >= " " and letter != ">").strip()
    address = "".join(letter for letter in mail if letter > " " and letter not in "<>")
    return f"{plain or 'Interlock'} <{address}>"


def ancestors(objects: Objects, commit: str) -> set[str]:
    """The commit and all its ancestors in the store."""
    found: set[str] = set()
    waiting = [commit]
    while waiting and len(found) < ANCESTORS_MAX:
        oid = waiting.pop()
        if oid not in found and objects.lookup(oid) is not None:
            found.add(oid)
            waiting += objects.commit(oid).parents
    return found


def changes(git: Git, objects: Objects, old: str, new: str) -> tuple[Change, ...]:
    """The differences between two trees, sorted by path. One call of git counts the lines."""
    found = trees.differences(objects.listing(old), objects.listing(new))
    if not found:
        return ()
    lines = _lines(git, old, new)
    return tuple(_change(path, *found[path], lines.get(path, (0, 0))) for path in sorted(found))


def patch(git: Git, old: str, new: str, without: Sequence[str] = ()) -> bytes:
    """The patch between two commits or trees, for people and `git apply`, except the paths `without`."""
    paths = ("--", *(f":(top,exclude,literal){path}" for path in without)) if without else ()
    return git.call("diff-tree", "--binary", *_PATCH, old, new, *paths).out


def texts(git: Git, old: str, new: str, paths: Sequence[str]) -> bytes:
    """The patch of these paths, as text."""
    some = (f":(top,literal){path}" for path in paths)
    return git.call("diff-tree", "--text", *_PATCH, old, new, "--", *some).out


def content(objects: Objects, tree: str, path: str, max_bytes: int) -> bytes | None:
    """A regular file of the tree; None if there is none. Raises UsageError if it exceeds `max_bytes`."""
    entry = trees.get(objects.listing(tree), path.encode("utf-8", "surrogateescape"))
    if entry is None or entry.mode not in trees.REGULAR:
        return None
    size = objects.sizes([entry.oid])[entry.oid]
    if size > max_bytes:
        raise UsageError(f"{path}: {size:,} bytes, and at most {max_bytes:,} are read")
    return objects.read(entry.oid)


def files(objects: Objects, tree: str, globs: Sequence[str]) -> tuple[str, ...]:
    """The sorted paths of regular files that match the globs."""
    leaves = trees.leaves(objects.listing(tree))
    paths = (path.decode("utf-8", "surrogateescape") for path, entry in leaves if entry.mode in trees.REGULAR)
    return tuple(sorted(path for path in paths if matches_any(globs, path)))


def contents(objects: Objects, tree: str, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each path that is a file or a link, with its content in chunks."""
    listing = objects.listing(tree)
    entries = {path: trees.get(listing, path.encode("utf-8", "surrogateescape")) for path in paths}
    found = {path: entry.oid for path, entry in entries.items() if entry is not None and entry.mode in _WITH_CONTENT}
    for path, (_, chunks) in zip(found, objects.stream(found.values()), strict=True):
        yield path, chunks


def restore_paths(objects: Objects, commit: str, onto: str, globs: Sequence[str], stamp: Stamp) -> str:
    """`commit` with the paths that match `globs` as they are in `onto`. If nothing differs, `commit` itself."""
    made = objects.commit(commit)
    wanted = objects.commit(onto).tree
    differing = trees.differences(objects.listing(made.tree), objects.listing(wanted))
    edits: dict[bytes, Entry | None] = {}
    for path, (_, then) in differing.items():
        if matches_any(globs, path.decode("utf-8", "surrogateescape")):
            edits[path] = then
    if not edits:
        return commit
    return write_commit(objects, objects.write_edited(made.tree, edits), made.parents, stamp)


def write_contents(objects: Objects, commit: str, contents: Mapping[str, bytes], stamp: Stamp) -> str:
    """`commit` with these file contents, by path. If `contents` is empty, `commit` itself."""
    made = objects.commit(commit)
    listing = objects.listing(made.tree)
    edits: dict[bytes, Entry | None] = {}
    for path, text in contents.items():
        name = path.encode("utf-8", "surrogateescape")
        there = trees.get(listing, name)
        mode = there.mode if there is not None and there.mode in trees.REGULAR else trees.FILE
        edits[name] = Entry(mode, objects.write("blob", text))
    if not edits:
        return commit
    return write_commit(objects, objects.write_edited(made.tree, edits), made.parents, stamp)


def _lines(git: Git, old: str, new: str) -> dict[bytes, tuple[int, int]]:
    """Added and removed lines by path, without binary files."""
    out = git.call("diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", old, new).out
    counted = {}
    for record in out.split(b"\0"):
        added, _, rest = record.partition(b"\t")
        removed, _, path = rest.partition(b"\t")
        if added.isdigit() and removed.isdigit():
            counted[path] = int(added), int(removed)
    return counted


def _change(path: bytes, old: Entry | None, new: Entry | None, lines: tuple[int, int]) -> Change:
    before, after = old.mode if old else trees.ABSENT, new.mode if new else trees.ABSENT
    if old is None:
        status = "A"
    elif new is None:
        status = "D"
    else:
        status = "M" if before == after else "T"
    return Change(path.decode("utf-8", "surrogateescape"), status, before, after, *lines)
