"""Patches of git, read as data."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from interlock.text.patches import Bounds, FilePatch, read_patch, with_last

_LINES = st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=6) | st.sampled_from(
    ["", "a", "b", "-- a", "++ b", "@@ -1 +1 @@", "diff --git a/x b/x", "\\ No newline at end of file", "\r", "\x0c"]
), max_size=12)  # fmt: skip


def patch_of(old: list[str], new: list[str], around: int) -> bytes:
    """As git writes it for a file `x` whose lines all end with a newline."""
    lines = difflib.unified_diff(old, new, "a/x", "b/x", n=around, lineterm="")
    return "\n".join(["diff --git a/x b/x", "index 1..2 100644", *lines, ""]).encode()


@given(_LINES, _LINES, st.integers(0, 4))
def test_every_line_of_a_diff_is_read_with_its_numbers(old: list[str], new: list[str], around: int) -> None:
    (file,) = read_patch(patch_of(old, new, around))
    made, at = [], 1
    for hunk in file.hunks:
        first = next((row.old for row in hunk.rows if row.old), None)
        if first is not None:
            made += old[at - 1 : first - 1]
            at = first
        elif hunk.old > at:
            made += old[at - 1 : hunk.old - 1]
            at = hunk.old
        for row in hunk.rows:
            if row.sign != "+":
                assert old[row.old - 1] == row.text
                at = row.old + 1
            if row.sign != "-":
                made.append(row.text)
                assert row.new == len(made)
    assert [*made, *old[at - 1 :]] == new
    assert file.added - file.removed == len(new) - len(old)
    assert file.dropped == 0


def read(*lines: str) -> FilePatch:
    (file,) = read_patch("\n".join((*lines, "")).encode("utf-8", "surrogateescape"))
    return file


def test_names_that_git_quotes_are_read() -> None:
    name = '"a/\\303\\244 \\"q\\"\\t\\033[31m.txt"'
    file = read(f"diff --git {name} {name.replace('a/', 'b/', 1)}", "old mode 100644", "new mode 100755")
    assert file.path == file.old_path == 'ä "q"\t\x1b[31m.txt'
    assert (file.old_mode, file.new_mode) == ("100644", "100755")
    raw = read(
        'diff --git "a/\\377.txt" "b/\\377.txt"', '--- "a/\\377.txt"\t', '+++ "b/\\377.txt"\t', "@@ -1 +1 @@", "-a"
    )
    assert raw.path == "\udcff.txt"


def test_names_with_blanks_and_slashes_are_read() -> None:
    assert read("diff --git a/x b/x b/x b/x", "new file mode 100644", "index 0..0").path == "x b/x"
    file = read("diff --git a/x y b/x y", "--- a/x y\t", "+++ b/x y\t", "@@ -1 +1 @@", "-a", "+b")
    assert file.path == file.old_path == "x y"


def test_what_became_of_a_file() -> None:
    renamed = read(
        "diff --git a/a b/b c", "similarity index 96%", "rename from a", "rename to b c", "--- a/a", "+++ b/b c\t",
        "@@ -1 +1 @@ def x():", "-a", "+b",
    )  # fmt: skip
    assert (renamed.status, renamed.old_path, renamed.path, renamed.similarity) == ("renamed", "a", "b c", 96)
    assert renamed.hunks[0].title == "def x():"
    assert read("diff --git a/a b/b", "similarity index 100%", "copy from a", "copy to b").status == "copied"
    new = read("diff --git a/l b/l", "new file mode 120000", "--- /dev/null", "+++ b/l", "@@ -0,0 +1 @@", "+to")
    assert (new.status, new.new_mode, new.path, new.added, new.removed) == ("added", "120000", "l", 1, 0)
    gone = read("diff --git a/l b/l", "deleted file mode 100755", "--- a/l", "+++ /dev/null", "@@ -1 +0,0 @@", "-to")
    assert (gone.status, gone.old_mode, gone.path) == ("deleted", "100755", "l")


def test_binary_files_have_a_size_and_no_lines() -> None:
    file = read(
        "diff --git a/b b/b", "index 1..2 100644", "GIT binary patch", "literal 12", "zcmZ", "", "literal 3", "Kcmd"
    )
    assert (file.is_binary, file.size, file.hunks, file.added) == (True, 12, (), 0)
    delta = read("diff --git a/b b/b", "GIT binary patch", "delta 9", "zcmZ", "", "literal 3", "Kcmd", "")
    assert (delta.is_binary, delta.size) == (True, -1)
    assert read("diff --git a/b b/b", "index 1..2", "Binary files a/b and b/b differ").is_binary


def test_an_end_without_a_newline_is_known() -> None:
    rows = read("diff --git a/x b/x", "@@ -1 +1 @@", "-a", "\\ No newline at end of file", "+a").hunks[0].rows
    assert [(row.text, row.has_newline) for row in rows] == [("a", False), ("a", True)]


def test_no_difference_is_no_file() -> None:
    assert read_patch(b"") == ()


def test_what_is_too_much_is_counted() -> None:
    many = patch_of([], [str(number) for number in range(10)], 3)
    one, two = read_patch(many + many, Bounds(lines=12, of_file=8))
    assert (len(one.hunks[0].rows), one.dropped, one.added) == (8, 2, 10)
    assert (len(two.hunks[0].rows), two.dropped, two.added) == (4, 6, 10)
    (short,) = read_patch(many, Bounds(characters=9))
    assert (len(short.hunks[0].rows), short.dropped) == (4, 6)
    (cut,) = read_patch(patch_of([], ["1", "2" * 50, "3"], 3), Bounds(characters=9))
    assert ([row.text for row in cut.hunks[0].rows], cut.dropped) == (["1"], 2)  # no gap inside
    (none,) = read_patch(many, Bounds(lines=0))
    assert (none.hunks, none.dropped) == ((), 10)


def test_a_folder_comes_last_and_nothing_is_lost() -> None:
    text = "@@ -0,0 +1 @@\n+diff --git a/notes/x b/notes/x\n"
    plan, odd, code = (
        f"diff --git {names}\n{text}".encode()
        for names in (
            "a/notes/plan.md b/notes/plan.md",
            '"a/notes/\\303.md" "b/notes/\\303.md"',
            "a/src/a.py b/src/a.py",
        )
    )
    assert with_last(plan + odd + code, "notes") == code + plan + odd
    assert with_last(b"", "notes") == b""
