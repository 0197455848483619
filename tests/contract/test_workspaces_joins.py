"""Joins on real git: what is in conflict and of what kind, and that no side's work is lost or moved unseen."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from interlock.core.conflicts import SideChange
from interlock.ports import InfrastructureError, Merged, Stamp
from interlock.workspaces import merging, storage, trees
from interlock.workspaces.commits import write_commit
from interlock.workspaces.git import Git
from interlock.workspaces.merging import Head
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry

STAMP = Stamp("interlock: a merge", 1_700_000_000)
Content = str | bytes | tuple[str, str]  # a file's text; or mode and content
Files = Mapping[str, Content]
FILES: Files = {
    "f.txt": "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
    "pic": b"\0one",
    "run": "go\n",
    "link": ("120000", "f.txt"),
    "lib/a": "a\n" * 9,
    "lib/b": "b\n" * 9,
    "lib/c": "c\n" * 9,
    "sub": ("160000", "1" * 40),
}


class Store:
    """A bare repository to make commits of plain files in."""

    def __init__(self, root: Path, **environ: str) -> None:
        storage.create(root / "store.git", "sha1")
        self.git = Git({**os.environ, **environ}, root / "store.git")
        self.objects = Objects(self.git, "sha1")

    def commit(self, files: Files, *parents: str) -> str:
        edits: dict[bytes, Entry | None] = {}
        for name, content in files.items():
            mode, text = content if isinstance(content, tuple) else (trees.FILE, content)
            data = text.encode() if isinstance(text, str) else text
            oid = text if mode == trees.SUBMODULE else self.objects.write("blob", data)
            edits[name.encode()] = Entry(mode, str(oid))
        empty = self.objects.write("tree", b"")
        return write_commit(self.objects, self.objects.write_edited(empty, edits), parents, STAMP)

    def changed(self, parent: str, files: Mapping[str, Content | None]) -> str:
        """A commit on `parent` with `files` written, or deleted (None)."""
        now = {**self.files(parent), **files}
        return self.commit({path: content for path, content in now.items() if content is not None}, parent)

    def files(self, commit: str) -> dict[str, Content]:
        found: dict[str, Content] = {}
        for path, entry in trees.leaves(self.objects.listing(self.objects.commit(commit).tree)):
            sub = entry.mode == trees.SUBMODULE
            data = entry.oid if sub else self.objects.read(entry.oid).decode("utf-8", "surrogateescape")
            found[path.decode()] = data if entry.mode == trees.FILE else (entry.mode, data)
        return found

    def merge(self, *sources: str, names: str = "abc") -> Merged:
        heads = [Head(source, name) for source, name in zip(sources, names, strict=False)]
        return merging.merge(self.git, self.objects, heads, STAMP)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.objects.close()


# --- kinds ----------------------------------------------------------------------------------------

KINDS: tuple[tuple[str, str, Mapping[str, Content | None], Mapping[str, Content | None], str], ...] = (
    ("f.txt", "modify/delete", {"f.txt": None}, {"f.txt": "1\n"}, "as b left it"),
    ("f.txt", "modify/delete", {"f.txt": "1\n"}, {"f.txt": None}, "as a left it"),
    ("pic", "binary", {"pic": b"\0two"}, {"pic": b"\0three"}, "as a left it"),
    ("new", "binary", {"new": b"\0two"}, {"new": b"\0three"}, "as a left it"),
    ("new", "mode", {"new": "x\n"}, {"new": (trees.PROGRAM, "x\n")}, "as a left it"),
    ("new", "file/directory", {"new": "x\n"}, {"new/x": "y\n"}, "a folder"),
    ("new", "file/directory", {"new/x/y": "y\n"}, {"new": "x\n"}, "a folder"),
    ("run", "file/directory", {"run": None, "run/x": "y\n"}, {"run": "stop\n"}, "a folder"),
    ("lib", "file/directory", {"lib/a": None, "lib/b": None, "lib/c": None, "lib": "x"}, {"lib/d": "x"}, "a folder"),
    ("link", "symlink", {"link": ("120000", "run")}, {"link": ("120000", "pic")}, "as a left it"),
    ("run", "distinct types", {"run": ("120000", "pic")}, {"run": "stop\n"}, "as a left it"),
    ("sub", "submodule", {"sub": ("160000", "2" * 40)}, {"sub": ("160000", "3" * 40)}, "as a left it"),
    ("sub", "submodule", {"sub": None}, {"sub": ("160000", "3" * 40)}, "as b left it"),
)


@pytest.mark.parametrize(("path", "kind", "ours", "theirs", "left"), KINDS)
def test_a_conflict_without_markers_is_named_with_its_kind(
    store: Store,
    path: str,
    kind: str,
    ours: Mapping[str, Content | None],
    theirs: Mapping[str, Content | None],
    left: str,
) -> None:
    base = store.commit(FILES)
    a, b = store.changed(base, ours), store.changed(base, theirs)
    merged = store.merge(a, b)
    assert merged.conflicts == (path,)
    (item,) = merged.undecided
    assert (item.path, item.kind, item.left, item.marked) == (path, kind, left, False)
    assert [(side.stage, side.commit) for side in item.sides] == [("a", a), ("b", b)]
    known = store.files(a).keys() | store.files(b).keys()
    assert store.files(merged.commit).keys() <= known, "nothing is put aside under another name"


def test_what_each_side_did_is_told(store: Store) -> None:
    base = store.commit(FILES)
    a = store.changed(base, {"f.txt": None, "run": None, "run/x": "x", "new": b"\0a"})
    b = store.changed(base, {"f.txt": "1\n", "run": "stop\n", "new": b"\0b"})
    did = {item.path: [side.did for side in item.sides] for item in store.merge(a, b).undecided}
    assert did == {
        "f.txt": [SideChange.DELETED, SideChange.CHANGED],
        "run": [SideChange.FOLDER, SideChange.CHANGED],
        "new": [SideChange.ADDED, SideChange.ADDED],
    }


def test_changes_of_the_same_lines_have_markers_that_name_the_stages(store: Store) -> None:
    base = store.commit(FILES)
    a, b = store.changed(base, {"f.txt": "a\n", "run": "go\n"}), store.changed(base, {"f.txt": "b\n"})
    merged = store.merge(a, b)
    assert (merged.conflicts, merged.undecided) == (("f.txt",), ())
    assert store.files(merged.commit)["f.txt"] == "<<<<<<< a\na\n=======\nb\n>>>>>>> b\n"


def test_a_mode_is_to_be_decided_beside_markers(store: Store) -> None:
    base = store.commit(FILES)
    merged = store.merge(store.changed(base, {"new": "a\n"}), store.changed(base, {"new": (trees.PROGRAM, "b\n")}))
    (item,) = merged.undecided
    assert (item.kind, item.marked, item.left) == ("mode", True, "with markers")


def test_of_three_sides_each_that_did_something_is_named(store: Store) -> None:
    base = store.commit(FILES)
    a, b = store.changed(base, {"f.txt": "1\n2\n", "run": "a\n"}), store.changed(base, {"run": None})
    merged = store.merge(a, b, store.changed(base, {"f.txt": None, "run": "c\n"}))
    said = {item.path: (item.kind, [f"{side.stage} {side.did}" for side in item.sides]) for item in merged.undecided}
    assert said == {
        "f.txt": ("modify/delete", ["a changed", "c deleted"]),
        "run": ("modify/delete", ["a changed", "b deleted"]),
    }
    assert merged.conflicts == ("run", "f.txt")
    assert "<<<<<<< a+b\na\n" in str(store.files(merged.commit)["run"])
    assert [item.marked for item in merged.undecided if item.path == "run"] == [True]


# --- one side alone -------------------------------------------------------------------------------


def test_a_folder_that_one_side_renames_takes_nothing_of_the_other_along(store: Store) -> None:
    base = store.commit(FILES)
    moved = {"lib/a": None, "lib/b": None, "lib/c": None} | {f"pkg/{x}": f"{x}\n" * 9 for x in "abc"}
    a, b = store.changed(base, moved), store.changed(base, {"lib/d": "d\n"})
    for sources in ((a, b), (b, a)):
        merged = store.merge(*sources)
        assert merged.conflicts == ()
        assert "lib/d" in store.files(merged.commit)
        assert "pkg/d" not in store.files(merged.commit)


def test_a_file_that_one_side_renames_and_the_other_changes_is_to_be_decided(store: Store) -> None:
    base = store.commit(FILES)
    text = str(FILES["f.txt"])
    a = store.changed(base, {"f.txt": None, "g.txt": text})
    b = store.changed(base, {"f.txt": text.replace("5", "five")})
    merged = store.merge(a, b)
    assert [(item.path, item.kind) for item in merged.undecided] == [("f.txt", "modify/delete")]
    assert store.files(merged.commit)["g.txt"] == text


def test_no_attributes_of_the_user_decide_a_merge(tmp_path: Path) -> None:
    (tmp_path / "config/git").mkdir(parents=True)
    (tmp_path / "config/git/attributes").write_text("* merge=union\n")
    store = Store(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config"))
    base = store.commit(FILES)
    a, b = store.changed(base, {"run": "a\n"}), store.changed(base, {"run": "b\n"})
    assert store.merge(a, b).conflicts == ("run",)
    store.objects.close()


@pytest.mark.parametrize("path", ["f.txt", "new", "lib/a"])
def test_a_merge_that_is_not_as_the_sides_left_it_is_not_passed_on(
    store: Store, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours: it gives back a deletion, forgets an addition, changes what nobody did."""
    base = store.commit(FILES)
    a, b = store.changed(base, {"f.txt": None, "run": "a\n"}), store.changed(base, {"new": "b\n"})
    honest = merging._edits
    entry = None if path == "new" else Entry(trees.FILE, store.objects.write("blob", b"wrong\n"))
    monkeypatch.setattr(merging, "_edits", lambda *args: {**honest(*args), path.encode(): entry})
    with pytest.raises(InfrastructureError, match=f"merge of a and b .* at {path}: ") as raised:
        store.merge(a, b)
    assert raised.value.permanent


# --- shapes ---------------------------------------------------------------------------------------


def test_a_deletion_outlives_every_shape(store: Store) -> None:
    base = store.commit(FILES)
    gone = store.changed(base, {"f.txt": None})
    other = store.changed(base, {"run": "other\n"})
    fork = store.merge(gone, other)
    after = store.changed(fork.commit, {"new": "x\n"})
    late = store.changed(other, {"pic": b"\0late"})
    diamond = store.merge(after, late)
    nested = store.merge(diamond.commit, store.changed(gone, {"run": "gone\n"}), store.changed(base, {"link": None}))
    passed_on = store.merge(gone, base)  # a skipped stage hands the base on
    assert passed_on.commit == gone
    for merged in (fork, diamond, nested, passed_on):
        assert "f.txt" not in store.files(merged.commit)
        assert "f.txt" not in merged.conflicts
    assert nested.conflicts == ("run",)


def test_crossed_joins_that_decided_otherwise_are_in_conflict(store: Store) -> None:
    """Both joins merged the same two commits; git alone would take the base's own for what they were made from."""
    base = store.commit(FILES)
    a, b = store.changed(base, {"f.txt": None}), store.changed(base, {"f.txt": "b\n"})
    first, second = store.merge(a, b).commit, store.merge(b, a).commit
    deleted, kept = store.changed(first, {"f.txt": None}), store.changed(second, {"pic": b"\0x"})
    restored = store.changed(second, {"f.txt": FILES["f.txt"]})
    for sources in ((deleted, kept), (kept, deleted), (deleted, restored), (restored, deleted)):
        merged = store.merge(*sources)
        assert [(item.path, item.kind) for item in merged.undecided] == [("f.txt", "modify/delete")]
    alike = store.merge(deleted, store.changed(second, {"f.txt": None, "run": "x\n"}))
    assert alike.conflicts == ()
    assert "f.txt" not in store.files(alike.commit)


def test_crossed_joins_without_conflict_merge_as_their_sides_say(store: Store) -> None:
    base = store.commit(FILES)
    a, b = store.changed(base, {"run": "a\n"}), store.changed(base, {"pic": None})
    first = store.changed(store.merge(a, b).commit, {"run": str(FILES["run"])})  # takes a's change back
    second = store.changed(store.merge(b, a).commit, {"new": "x\n"})
    merged = store.merge(first, second)
    assert merged.conflicts == ()
    assert store.files(merged.commit) == {**store.files(first), "new": "x\n"}


# --- against a plain three-way merge of listings --------------------------------------------------

PATHS = ("x", "x/y", "x/z", "d/1", "d/2", "e/1", "f")
CONTENTS: tuple[Content, ...] = (
    "one\n", "two\n", "\0bin", "\0nib", (trees.PROGRAM, "one\n"), (trees.PROGRAM, "\0bin"), (trees.LINK, "f"),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_random_trees_merge_as_a_plain_three_way_merge_of_listings(store: Store, seed: int) -> None:
    draw = random.Random(seed)
    base_files = _tree(draw, {})
    sides_files = [_tree(draw, base_files) for _ in range(draw.choice((2, 2, 3)))]
    base = store.commit(base_files)
    sides = [store.commit({**files, f"own{n}": "x"}, base) for n, files in enumerate(sides_files)]
    merged = store.merge(*sides)
    now = store.files(merged.commit)
    for path in sorted({*PATHS, *now}):
        had = base_files.get(path)
        did = [files.get(path) for files in map(store.files, sides)]
        changed = _merged(had, [content for content in did if content != had])
        if path in merged.conflicts:
            assert len(changed) > 1 or _clashes(path, map(store.files, sides)), path
            continue
        assert all(content == changed[0] for content in changed), f"{path}: {did} is no conflict"
        assert now.get(path) == (changed[0] if changed else had), path
        assert not _clashes(path, [now]), path
    bare = [path for path in merged.conflicts if "<<<<<<<" not in str(now.get(path, ""))]
    assert {item.path for item in merged.undecided} >= set(bare)


def _tree(draw: random.Random, parent: Files) -> dict[str, Content]:
    """Some paths rewritten or removed, none of them a file and a folder at once."""
    files = {path: content for path, content in parent.items() if not draw.random() < 0.25}
    for path in draw.sample(PATHS, draw.randrange(1, 4)):
        files = {old: content for old, content in files.items() if not _within(path, old) and not _within(old, path)}
        files[path] = draw.choice(CONTENTS)
    return files


def _merged(had: Content | None, changed: list[Content | None]) -> list[Content | None]:
    """What was changed, as one where some changed only the mode of a file and the others only its text."""
    parts = [_parts(content) for content in (had, *changed)]
    if not changed or any(part is None for part in parts):
        return changed
    (mode, text), *now = [part for part in parts if part is not None]
    modes = {each for each, _ in now} - {mode} or {mode}
    texts = {each for _, each in now} - {text} or {text}
    if len(modes) > 1 or len(texts) > 1:
        return changed
    (mode,), (text,) = modes, texts
    return [text if mode == trees.FILE else (mode, text)] * len(changed)


def _parts(content: Content | None) -> tuple[str, str] | None:
    """Mode and text of a regular file."""
    if isinstance(content, tuple):
        return content if content[0] in trees.REGULAR else None
    return None if content is None else (trees.FILE, str(content))


def _within(above: str, path: str) -> bool:
    return path.startswith(f"{above}/")


def _clashes(path: str, sides: object) -> bool:
    """Whether the path is a file in one of the sides and a folder in another."""
    there = {name for files in sides for name in files}  # type: ignore[attr-defined]
    pairs = itertools.permutations(there, 2)
    return any(_within(above, below) and path in (above, below) for above, below in pairs)
