"""Text of others is made safe, shortened at its ends, and laid out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.text.cleaning import (
    bullets,
    count,
    cut,
    ending,
    fenced,
    glob_here,
    listed,
    path_here,
    plain,
    plain_patch,
    without_place,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07a", "a"),
        ("\x1b]0;title\x1b\\a", "a"),
        ("\x1b]no end\nerror\x07", "no end\nerror"),
        ("\x1b[m" * 1_000 + "is bad.", "[...]\nis bad."),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x00\x08b\u202e\u200bc", "abc"),
        ("a\xad\u061c\u180eb\ufff9\ufffb\u206ac\u3164", "abc"),
        ("a\U000e0041\U000e007fb\U000e0100\U000e01efc\ufe00\u034f", "abc"),
        ("a\u2028::error\u2029b", "a\n| ::error\nb"),
        (
            "\u2764\ufe0f \U0001f469\u200d\U0001f4bb \u0645\u06cc\u200c",
            "\u2764\ufe0f \U0001f469\u200d\U0001f4bb \u0645\u06cc\u200c",
        ),
        ("a\tb", "a\tb"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800x", "x"),
        ("\n\na\n", "a"),
        ("::error::x", "| ::error::x"),
        ("a\n ##[x\n##vso[", "a\n|  ##[x\n| ##vso["),
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 10 + "\n[...]\n" + "x" * 2),
        ("one\ntwo\nthree\nfour\nfive\nsix", "one\ntwo\n[...]\nix"),
    ],
)
def test_what_is_not_to_be_shown_is_left_out(text: str, shown: str) -> None:
    assert plain(text, 20) == shown


@given(st.text(max_size=300), st.integers(20, 80))
def test_it_is_never_longer_than_asked_and_stays_as_it_is(text: str, limit: int) -> None:
    shown = plain(text, limit)
    assert len(shown) <= limit + 2  # a quotation mark may stand before each end
    assert not any(ord(char) < 32 and char not in "\t\n" for char in shown)


@pytest.mark.parametrize(
    ("output", "limit", "shown"),
    [
        (b"one\n\n two \nthree\n", 100, "one\n two\nthree"),
        (b"one\ntwo\nthree\n", 9, "two\nthree"),
        (b"one\ntwo\nthree\n", 8, "three"),
        (b"one\na very long last line", 10, " last line"),
        (b"\xff\n", 10, "\ufffd"),
        (b"", 10, ""),
    ],
)
def test_the_end_of_an_output_is_its_last_whole_lines(output: bytes, limit: int, shown: str) -> None:
    assert ending(output, limit) == shown


def test_a_place_is_not_named_twice() -> None:
    assert without_place("a.py:3: wrong", "a.py", 3) == "wrong"
    assert without_place("a.py: wrong", "a.py", 3) == "wrong"
    assert without_place("a.py:4: wrong", "a.py", 3) == "a.py:4: wrong"
    assert without_place(": wrong", "", 3) == ": wrong"


def test_lists_end_where_the_room_does() -> None:
    assert bullets(["a", "b"]) == "- a\n- b"
    assert listed(["aa", "bb", "cc"], 15, "files") == "- aa\n- bb\n- cc"
    assert listed(["aa", "bb", "cc"], 14, "files") == "- aa\n- bb\n- and 1 more files"
    assert listed(["aa", "bb", "cc"], 0, "files") == "- aa\n- and 2 more files"
    assert listed([], 9, "files") == ""


def test_quotations_lines_and_counts() -> None:
    assert fenced("a ``` b", "py") == "````py\na ``` b\n````"
    assert fenced("a") == "```\na\n```"
    assert cut(" a  b\nc ", 5) == "a b c"
    assert cut("abcd efgh", 9) == "abcd efgh"
    assert cut("abcd efghi", 9) == "abcd ..."
    assert (count(1, "file"), count(2, "file"), count(0, "file")) == ("1 file", "2 files", "0 files")


@pytest.mark.parametrize(
    ("folder", "glob", "here"),
    [
        ("", "src/a.py", "src/a.py"),
        ("src", "src/a.py", "/a.py"),
        ("src", "src/", "src/"),
        ("src", "src/x/", "/x/"),
        ("src", "tests/**", "../tests/**"),
        ("src", "*.py", "*.py"),
        ("src", "**/a.py", "**/a.py"),
        ("src", "src/**/a.py", "a.py"),
        ("src", "src/p.toml#tool.ruff", "p.toml#tool.ruff"),
    ],
)
def test_a_glob_is_written_as_in_the_folder(folder: str, glob: str, here: str) -> None:
    assert glob_here(folder, glob) == here.removeprefix("/")


def test_a_path_is_named_from_the_folder() -> None:
    assert path_here("src", "src/a.py") == "a.py"
    assert path_here("src", "b.py") == "../b.py"
    assert (path_here("", "b.py"), path_here("src", "")) == ("b.py", "")


def test_no_character_of_a_patch_begins_a_line_or_hides_one() -> None:
    patch = b"+a\r\n+# note\r os.system(x)\n+# ok\rdiff --git a/x b/x\n+\x1b[2K\xe2\x80\xaeb\xff\n"
    shown = ["+a", "+# note⟨CR⟩ os.system(x)", "+# ok⟨CR⟩diff --git a/x b/x", "+⟨ESC⟩[2K⟨U+202E⟩b\ufffd"]
    assert plain_patch(patch, 1000).split("\n") == shown
