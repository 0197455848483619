"""Annotations that functions lost, by name."""

from __future__ import annotations

import pytest

from interlock.gates.suppressions import lost, signatures

OLD = """\
class Shop:
    def label(self, n: int, *more: str, key: str = "") -> str:
        def inner(a: int) -> int:
            return a
        return str(inner(n))

    def bare(self, n):
        return n

async def f(a: int, b):
    pass
"""


def said(new: str, old: str = OLD) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.name, names) for one, names in lost(signatures(old), signatures(new))]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("n: int", "n", ("Shop.label", ("n",))),
        (" -> str", "", ("Shop.label", ("return",))),
        ("n: int, *more: str", "n, *more", ("Shop.label", ("more", "n"))),
        ('key: str = ""', 'key=""', ("Shop.label", ("key",))),
        ("inner(a: int) -> int", "inner(a)", ("Shop.label.inner", ("a", "return"))),
        ("f(a: int", "f(a", ("f", ("a",))),
        ("async def f(a: int", "def f(a", ("f", ("a",))),
    ],
)
def test_what_is_gone_is_named(old: str, new: str, expected: tuple[str, tuple[str, ...]]) -> None:
    assert said(OLD.replace(old, new, 1)) == [expected]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n: int", "n: float"),
        ("n: int, ", ""),
        ("n: int", "number: int"),
        ("def bare", "def other(self, n):\n        return n\n\n    def bare"),
        ("f(a: int", "g(a"),
        ("b):", "b: int) -> None:"),
        ("class Shop", "class Shop2"),
        ("class Shop:", "class Shop"),
    ],
)
def test_what_is_other_or_new_is_fine(old: str, new: str) -> None:
    assert said(OLD.replace(old, new, 1)) == []


def test_of_overloads_one_without_is_fine() -> None:
    both = "@overload\ndef f(a: int) -> int: ...\ndef f(a):\n    return a\n"
    assert said(both, both) == []
