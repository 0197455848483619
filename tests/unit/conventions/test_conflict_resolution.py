"""A protected file in conflict: one side, or of tests both, and nothing else."""

from __future__ import annotations

import pytest

from interlock.conventions.conflict_resolution import is_reconciled

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


OLD = "test('a', () => {\n    call();\n    return;\n});\n"
ONE_JS, TWO_JS = (f"test('{name}', () => {{\n    other('{name}');\n    return;\n}});\n" for name in "bc")
ENDS = "    return;\n});\n"  # of both, behind the marks, as git leaves it
CLASH = f"{OLD}<<<<<<< x\n{ONE_JS.removesuffix(ENDS)}=======\n{TWO_JS.removesuffix(ENDS)}>>>>>>> y\n{ENDS}// end\n"
JS = "test/a.test.js"


def holds(new: str, marked: str = CLASH, base: str = f"{OLD}// end\n") -> bool:
    return is_reconciled(JS, marked.encode(), new.encode(), base.encode())


@pytest.mark.parametrize("added", [f"{ONE_JS}\n{TWO_JS}", TWO_JS + ONE_JS, ONE_JS, TWO_JS])
def test_lines_that_both_sides_added_come_twice(added: str) -> None:
    assert holds(f"{OLD}{added}// end\n")


@pytest.mark.parametrize(
    "old",
    [
        OLD.replace("    call();\n", "    return;\n    call();\n"),
        OLD.replace("    call();\n", "    call();\n    call();\n"),
        OLD + "// end\n",
        OLD + OLD,
        "",
    ],
)
def test_a_line_of_the_base_comes_once(old: str) -> None:
    """Neither as a copy, nor as the line of an added test that does without it."""
    both = ONE_JS + TWO_JS
    for added in (both, both.replace(ENDS, "});\n", 1), both.replace("});\n", "", 1)):
        assert not holds(f"{old}{added}// end\n")


def test_what_one_side_changed_is_as_it_changed_it() -> None:
    marked = "one\n<<<<<<< x\nb\n=======\nc\n>>>>>>> y\nlast\n"
    assert holds("one\nb\nc\nlast\n", marked, "one\nold\nlast\n")
    assert not holds("one\nb\none\nc\nlast\n", marked, "one\nold\nlast\n")


def test_what_both_added_may_come_once() -> None:
    marked = "<<<<<<< x\nimport os\nb\n=======\nimport os\nc\n>>>>>>> y\n"
    assert holds("import os\nb\nc\n", marked, "")
    assert holds("import os\nb\nimport os\nc\n", marked, "")


def test_a_long_file_is_decided() -> None:
    long = "    return;\n" * 3_000
    marked = f"{long}<<<<<<< x\nb\n=======\nc\n>>>>>>> y\n"
    assert holds(f"{long}b\nc\n", marked, long)
    assert not holds(f"{long}    return;\nb\nc\n", marked, long)
