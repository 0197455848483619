"""A protected file in conflict: one side, or of tests both, and nothing else."""

from __future__ import annotations

import pytest

from interlock.core.reconciled import is_reconciled

HEAD = "from app import add\n\n\ndef test_old():\n    assert add(1, 1) == 2\n"
ONE = "\n\ndef test_one():\n    assert add(1, 0) == 1\n"
TWO = "\n\ndef test_two():\n    assert add(2, 0) == 2\n"
MARKED = f"{HEAD}<<<<<<< a\n{ONE}||||||| base\n=======\n{TWO}>>>>>>> b\n"
TESTS = "tests/test_app.py"


@pytest.mark.parametrize("new", [HEAD + ONE, HEAD + TWO, HEAD + ONE + TWO, HEAD + TWO + ONE])
def test_a_side_or_both(new: str) -> None:
    assert is_reconciled(TESTS, MARKED.encode(), new.encode())
    assert is_reconciled(TESTS, MARKED.replace("||||||| base\n", "").encode(), new.encode())


@pytest.mark.parametrize(
    "new",
    [
        HEAD,
        ONE + TWO,
        HEAD + ONE + TWO + "\n\ndef test_three():\n    pass\n",
        HEAD + ONE + TWO.replace("== 2", "!= 2"),
        HEAD + ONE + TWO + "pytestmark = skip\n",
        HEAD + ONE.replace("def test_one():\n", "def test_one():\n    assert add(2, 0) == 2\n") + TWO,
        MARKED,
        "",
    ],
)
def test_nothing_else(new: str) -> None:
    assert not is_reconciled(TESTS, MARKED.encode(), new.encode())


def test_imports_of_both_sides_on_one_line() -> None:
    marked = MARKED.replace(
        "from app import add\n", "<<<<<<< a\nfrom app import add, one\n=======\nfrom app import add, two\n>>>>>>> b\n"
    )
    both = HEAD.replace("add\n", "add, one, two\n", 1) + ONE + TWO
    assert is_reconciled(TESTS, marked.encode(), both.encode())


def test_of_configuration_one_side_only() -> None:
    assert is_reconciled("ruff.toml", b"<<<<<<< a\nx = 1\n=======\ny = 1\n>>>>>>> b\n", b"x = 1\n")
    assert not is_reconciled("ruff.toml", b"<<<<<<< a\nx = 1\n=======\ny = 1\n>>>>>>> b\n", b"x = 1\ny = 1\n")


def test_marks_of_more_than_one_merge_are_nobodys_side() -> None:
    nested = f"<<<<<<< b\n{MARKED}=======\nx\n>>>>>>> c\n"
    assert not is_reconciled(TESTS, nested.encode(), (HEAD + ONE + TWO).encode())
