"""Lines as HTML: their syntax, the words that differ, and what cannot be seen."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.text.cleaning import visible
from interlock.text.patches import Row
from interlock.web.rendering import Colours, changed_words, drawn_lines, line_html, markdown

_TEXT = st.text(max_size=40)
_LINE = st.lists(st.sampled_from(["a", "bb", " ", "  ", "(", "<i>", '"', "ä"]), max_size=14).map("".join)


def told(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


def marked(html: str) -> list[str]:
    return [told(part) for part in re.findall(r"<mark[^>]*>(.*?)</mark>", html)]


def test_what_cannot_be_seen_is_shown() -> None:
    assert (
        visible("a\x1b[31m\r\u202e\u2066\x7f\udcff\u200b\tb") == "a⟨ESC⟩[31m⟨CR⟩⟨U+202E⟩⟨U+2066⟩⟨DEL⟩\\xff⟨U+200B⟩\tb"
    )
    assert visible("häßlich 字 👍🏽") == "häßlich 字 👍🏽"
    assert visible("❤\ufe0f 1\ufe0f\u20e3 🏳\ufe0f") == "❤\ufe0f 1\ufe0f\u20e3 🏳\ufe0f"
    assert visible("ab\ufe0e\ufe0f'") == "ab⟨U+FE0E⟩⟨U+FE0F⟩'"  # a word of two letters that nobody sees


@pytest.mark.parametrize(
    "text",
    ["a&#x202e;b&shy;", "[a&#8238;b](https://e.example/x)", "a [b](https://e.example 'a&#x2066;')", "# a&#xE0041;b"],
)
def test_an_entity_hides_nothing_in_a_document(text: str) -> None:
    shown = str(markdown(text))
    assert all(visible(line) == line for line in shown.split("\n"))
    assert "b" in shown


@given(_TEXT)
def test_nothing_hidden_or_breaking_stays(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    assert not set(shown) & set("\n\r\x1b\x00\u202e\u2066")


def test_words_that_differ_are_found() -> None:
    old, new = "    return foo(a, b)", "    return foo(a, bar)  # x"
    assert [old[begin:end] for begin, end in changed_words(old, new)[0]] == ["b"]
    assert [new[begin:end] for begin, end in changed_words(old, new)[1]] == ["bar", "  # x"]
    assert changed_words("one thing", "quite another") == ((), ())
    assert changed_words("x = 1  y", "x = 2  z")[0] == ((4, 8),)  # only blanks are between


@given(_LINE, _LINE)
def test_what_is_not_marked_is_in_both(old: str, new: str) -> None:
    before, after = changed_words(old, new)
    if before or after:
        assert rest(old, before).replace(" ", "") == rest(new, after).replace(" ", "")


def rest(text: str, ranges: tuple[tuple[int, int], ...]) -> str:
    for begin, end in reversed(ranges):
        text = text[:begin] + text[end:]
    return text


@given(st.lists(st.tuples(st.sampled_from(["", "k"]), _LINE), max_size=5), st.lists(st.integers(0, 60), max_size=6))
def test_html_says_the_text_and_marks_its_ranges(tokens: list[tuple[str, str]], ends: list[int]) -> None:
    text = "".join(part for _, part in tokens)
    points = sorted({min(end, len(text)) for end in ends})
    ranges = tuple(zip(points[::2], points[1::2], strict=False))
    html = str(line_html(tokens, ranges))
    assert told(html) == text
    assert "".join(marked(html)) == "".join(text[begin:end] for begin, end in ranges)


def test_lines_have_the_colours_of_their_language() -> None:
    tokens = Colours().tokens(['def f(): return "x"  # yes', '    """open', 'still"""', "x" * 600], "a/b.py")
    assert tokens[0][0] == ("k", "def")
    assert ("c", "# yes") in tokens[0]
    assert ("s", "still") in [(kind, text.strip('"')) for kind, text in tokens[2]]
    assert "".join(text for _, text in tokens[3]) == "x" * 600
    assert Colours().tokens(["def f()"], "a/b.unknown") == [[("", "def f()")]]
    assert Colours(characters=3).tokens(["def f()"], "a.py") == [[("", "def f()")]]
    assert Colours(seconds=0).tokens(["def f()"], "a.py") == [[("", "def f()")]]


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=30), min_size=1, max_size=5))
def test_colours_lose_no_text(lines: list[str]) -> None:
    shown = [visible(line) for line in lines]
    for name in ("a.py", "a.js", "a.html", "a.md", "a.yaml", "a.sh"):
        assert ["".join(text for _, text in tokens) for tokens in Colours().tokens(shown, name)] == shown


def rows(*texts: str) -> list[Row]:
    return [Row(text[0], number, number, text[1:]) for number, text in enumerate(texts, 1)]


def test_lines_that_replace_each_other_are_compared() -> None:
    lines = drawn_lines(rows("-a = one(1)", "-zzz", "+b b b", "+a = one(2)", "+new"), "x.txt", Colours())
    assert [line.kind for line in lines] == ["removed", "removed", "added", "added", "added"]
    assert [marked(line.html) for line in lines] == [["1"], [], [], ["2"], []]


def test_lines_that_crossed_are_not_compared() -> None:
    lines = drawn_lines(rows("-a = one(1)", "-b = two(3)", "+b = two(4)", "+a = one(2)", "+new"), "x.txt", Colours())
    assert [marked(line.html) for line in lines] == [["1"], [], [], ["2"], []]


def test_ends_of_lines_are_shown_where_they_differ() -> None:
    assert [line.html for line in drawn_lines(rows(" a\r", "+b\r"), "x", Colours())] == ["a", "b"]
    assert [line.html for line in drawn_lines(rows(" a", "+b\r"), "x", Colours())] == ["a", "b⟨CR⟩"]


def test_a_very_long_line_is_cut_and_says_so() -> None:
    (line,) = drawn_lines(rows("+" + "y" * 5_000), "x.py", Colours())
    assert line.html == "y" * 2_000
    assert line.note == "3,000 more characters"
    (last,) = drawn_lines([Row("+", 0, 1, "a", has_newline=False)], "x", Colours())
    assert last.note == "no newline at the end of the file"


def test_a_document_that_would_take_long_is_not_rendered() -> None:
    assert "<h1>" in markdown("# a\n")
    assert markdown("[\n" * 200_000) == ""
