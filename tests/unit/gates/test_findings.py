"""Findings are bounded and plain, whatever they were made of."""

from pathlib import Path

import pytest

from interlock.core.events import Finding, Severity
from interlock.gates.reports import FINDINGS_MAX, MESSAGE_MAX, bounded, outside_of
from interlock.text.cleaning import ending, plain, without_place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("a\x00b\x07c\x08d", "abcd"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("::error::x\n  ::set-output name=a::b", "| ::error::x\n|   ::set-output name=a::b"),
        ("##vso[task.complete]\n##[error]x", "| ##vso[task.complete]\n| ##[error]x"),
        ("a ::error:: b", "a ::error:: b"),
        ("a\r::error::b", "a\n| ::error::b"),
        ("\x1b[0m::error::b", "| ::error::b"),
        ("\u202eevil\u200b", "evil"),
        ("na\udcffme", "na\\xffme"),
        ("\ud800", ""),
        ("tab\tstays\n", "tab\tstays"),
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text, 1000) == expected
    assert plain(expected, 1000) == expected


def test_a_long_text_keeps_its_two_ends() -> None:
    text = plain("a" * 3000 + "z" * 3000, 100)
    assert (len(text) <= 100, text[0], text[-1]) == (True, "a", "z")
    assert plain(text, 100) == text


@pytest.mark.parametrize(
    ("output", "limit", "expected"),
    [
        (b"one\n\n two \n\n", 100, "one\n two"),
        (b"one\ntwo\nthree\n", 9, "two\nthree"),
        (b"one\ntwo\nthree\n", 8, "three"),
        (b"x" * 50, 10, "x" * 10),
        (b"", 10, ""),
        (b"\xff\n", 10, "\ufffd"),
    ],
)
def test_ending(output: bytes, limit: int, expected: str) -> None:
    assert ending(output, max(limit, 8)) == expected


def test_findings_are_bounded_errors_first() -> None:
    many = [Finding("n", f"note {number}", Severity.NOTE) for number in range(150)] + [Finding("e", "x" * 9999)]
    kept = bounded(many)
    assert len(kept) == FINDINGS_MAX
    assert (kept[0].rule, len(kept[0].message) <= MESSAGE_MAX) == ("e", True)
    assert kept[-1].message == "and 52 more findings like these"
    assert bounded(kept) == kept


def test_files_rules_and_lines_are_plain_too() -> None:
    (finding,) = bounded([Finding("r\x1b[1m", "m", file="a\x07b", line=-3)], secret=True)
    assert finding == Finding("r", "m", file="ab", line=0, secret=True)


def test_a_long_text_is_cut_between_lines() -> None:
    cut = plain("\n".join(f"line {number} of the output" for number in range(200)), 400)
    assert len(cut) <= 400
    assert all(line == "[...]" or line.endswith("of the output") for line in cut.splitlines())


def test_a_place_is_named_once() -> None:
    assert without_place("src/a.py: was changed: put it back", "src/a.py", 0) == "was changed: put it back"
    assert without_place("src/a.py:3: a marker", "src/a.py", 3) == "a marker"
    assert without_place("src/a.py.bak: was added", "src/a.py", 0) == "src/a.py.bak: was added"
    assert without_place("it failed", "", 0) == "it failed"


def test_a_checkout_that_is_gone_is_named_by_no_finding() -> None:
    tree = Path("/room/x1/tree")
    said = [Finding("test_failed", f"{tree}/test/a.test.js failed\nfile://{tree}/test/a.test.js:3"), Finding("x", "y")]
    one, other = outside_of(said, tree)
    assert one.message == "test/a.test.js failed\ntest/a.test.js:3"
    assert other is said[1]
