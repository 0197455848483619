"""What a page shows of findings."""

from __future__ import annotations

from interlock.core.events import Finding
from interlock.web.findings import PlacedFinding, grouped, message, told

_TRACE = (
    "tests.test_a::test_x failed\ndef test_x():\n>       assert 1 == 2\nE       assert 1 == 2\n\ntest_a.py:5: Error"
)


def found(text: str, rule: str = "test_failed", line: int = 5) -> Finding:
    return Finding(rule, text, file="test_a.py", line=line)


def test_of_a_traceback_the_first_lines_are_shown_with_their_blanks() -> None:
    said = message(found(_TRACE), 4000)
    assert said.head.splitlines() == ["tests.test_a::test_x failed", "def test_x():", ">       assert 1 == 2"]
    assert (said.rest, said.more, said.is_code) == ("E       assert 1 == 2\n\ntest_a.py:5: Error", 3, True)


def test_words_are_no_code() -> None:
    assert message(found("one\ntwo"), 4000) == message(found("one\ntwo\n"), 4000)
    said = message(found("It is wrong.\nMend it.\n\nAnd test it."), 4000)
    assert (said.head, said.rest, said.is_code) == ("It is wrong.\nMend it.\n", "And test it.", False)


def test_failures_of_a_parametrized_test_are_one() -> None:
    names = ["test_x[1] failed", "test_x[2] failed\nE  assert 2", "test_y[1] failed", "test_x[a[0]] failed", "test_z"]
    groups = told([found(name) for name in names])
    assert [(one.number, [number for number, _ in one.others]) for one in groups] == [(1, [2, 4]), (3, []), (5, [])]
    assert len(told([found("test_x[1]", line=1), found("test_x[2]", line=2)])) == 2
    assert len(told([found("x[1] is wrong", "F401"), found("x[2] is wrong", "F401")])) == 2
    assert len(told([found("the same", "F401"), found("the same", "F401")])) == 2


def test_at_a_line_they_are_one_too() -> None:
    names = ("test_x[1]", "test_y", "test_x[2]")
    one, other, two = (PlacedFinding(name, "tests", "failed", found(f"{name} failed")) for name in names)
    assert grouped((one, other, two)) == [(one, [two]), (other, [])]
