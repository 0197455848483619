"""Globs: what matches, and that nothing makes a match slow."""

import pytest

from interlock.text import globs as module
from interlock.text.globs import matches, matches_any


@pytest.fixture(autouse=True)
def _compiled_anew() -> None:
    """Else `scripts/mutate` would ask what was compiled before the mutant was there."""
    module._compiled.cache_clear()


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("src/**", "src/a.py", True),
        ("src/**", "src/a/b.py", True),
        ("src/**", "src", False),
        ("src/**", "other/src/a.py", False),
        ("src", "src/a/b.py", True),
        ("src", "lib/src/a.py", True),
        ("src/", "src/a.py", True),
        ("src/", "src", False),
        ("/src", "lib/src/a.py", False),
        ("*.py", "a/b/c.py", True),
        ("*.py", "a.pyc", False),
        ("a/*.py", "a/b.py", True),
        ("a/*.py", "a/b/c.py", False),
        ("a/*", "a/b/c.py", True),
        ("**/b.py", "b.py", True),
        ("**/b.py", "a/x/b.py", True),
        ("a/**/b.py", "a/b.py", True),
        ("a/**/b.py", "a/x/y/b.py", True),
        ("a/**/b.py", "xa/b.py", False),
        ("**", "a/b", True),
        ("conftest.py", "tests/unit/conftest.py", True),
        ("/conftest.py", "tests/conftest.py", False),
        ("t?st", "test", True),
        ("t?st", "t/st", False),
        ("[a-c].py", "b.py", True),
        ("[!a-c].py", "b.py", False),
        ("[!a-c].py", "d.py", True),
        ("[]].py", "].py", True),
        ("[.py", "[.py", True),
        ("a[/]b", "a/b", False),
        (r"\*.py", "*.py", True),
        (r"\*.py", "a.py", False),
        ("a.b", "axb", False),
        ("a+(b)", "a+(b)", True),
        ("*a*b*", "xaybz", True),
        ("", "a", False),
        ("/", "a", False),
        ("*", ".hidden", True),
        ("a", "a\n", False),
        ("a*", "a\nb", True),
        ("caf\u00e9/**", "caf\u00e9/x", True),
    ],
)
def test_matches(glob: str, path: str, expected: bool) -> None:
    assert matches(glob, path) is expected


@pytest.mark.parametrize(
    ("globs", "path", "expected"),
    [
        ([], "a", False),
        (["src/**", "!src/gen/**"], "src/a.py", True),
        (["src/**", "!src/gen/**"], "src/gen/a.py", False),
        (["src/**", "!src/gen/**", "src/gen/keep.py"], "src/gen/keep.py", True),
        (["!src/**"], "src/a", False),
        ([r"\!a"], "!a", True),
    ],
)
def test_the_last_one_that_matches_decides(globs: list[str], path: str, expected: bool) -> None:
    assert matches_any(globs, path) is expected


def test_hostile_names_do_not_make_it_slow() -> None:
    assert not matches("*a*a*a*a*a*a*a*a*b", "a" * 200_000)
    assert not matches("**/a/**/a/**/a/**/b", "a/" * 200 + "c")
