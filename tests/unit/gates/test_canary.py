"""What a report says of the tests that must fail, and that nothing of the project hides behind them."""

import pytest

from interlock.gates.canary import Words, new_words, result_of, with_mark, without_lines

WORDS = Words("name", ("one", "two"), ("four",), "left", "right")
ENDS = {"passed": "", "failed": "<failure/>", "skipped": "<skipped/>"}


def report(*extra: str, **ends: str) -> bytes:
    cases = [
        f'<testcase classname="t.test_name" name="test_{name}">{ENDS[end]}</testcase>' for name, end in ends.items()
    ]
    return f"<testsuite>{''.join((*cases, *extra))}</testsuite>".encode()


RIGHT = {"one": "failed", "two": "failed", "four": "passed"}
OWN = '<testcase classname="t" name="own"/>'


def test_they_are_taken_out_where_all_is_right() -> None:
    found = result_of(with_mark((report(OWN, **RIGHT),), WORDS))
    assert (found.planted, found.failed) == (True, True)
    assert [test.id for test in found.tests] == ["t::own"]


@pytest.mark.parametrize(
    "ends",
    [
        {**RIGHT, "one": "passed"},
        {**RIGHT, "two": "skipped"},
        {**RIGHT, "four": "failed"},
        {"one": "failed", "four": "passed"},
        {"one": "failed", "two": "failed"},
        {},
    ],
)
def test_whatever_else_they_say_is_wrong(ends: dict[str, str]) -> None:
    assert not result_of(with_mark((report(OWN, **ends),), WORDS)).failed


def test_one_that_failed_is_enough_where_the_run_stops_there() -> None:
    assert result_of(with_mark((report(one="failed"),), WORDS), any_of_them=True).failed
    assert not result_of(with_mark((report(one="failed", two="passed"),), WORDS), any_of_them=True).failed
    assert not result_of(with_mark((report(OWN),), WORDS), any_of_them=True).failed


TWINS = {"one[a]": "failed", "one[b]": "skipped", "two[a]": "failed", "two[b]": "skipped"}


@pytest.mark.parametrize("any_of_them", [False, True])
def test_a_skipped_twin_does_not_matter(any_of_them: bool) -> None:
    """An autouse fixture repeats each test with its parameters, and one of these is skipped."""
    ends = {**TWINS, "four[a]": "passed", "four[b]": "skipped"}
    assert result_of(with_mark((report(OWN, **ends),), WORDS), any_of_them=any_of_them).failed


@pytest.mark.parametrize(
    "ends",
    [
        {"one[a]": "skipped"},
        {"one[b]": "passed"},
        {"four[b]": "failed"},
        {"four[a]": "skipped"},
    ],
)
def test_a_twin_that_ran_matters(ends: dict[str, str]) -> None:
    right = {**TWINS, "four[a]": "passed", "four[b]": "skipped"}
    assert not result_of(with_mark((report(OWN, **{**right, **ends}),), WORDS)).failed


def test_each_file_must_have_failed() -> None:
    words = Words("name", ("one",), (), files=2)
    once = report(one="failed")
    assert not result_of(with_mark((once,), words)).failed
    assert result_of(with_mark((once, once), words)).failed


def test_a_line_that_a_candidate_wrote_hides_nothing() -> None:
    failing = report('<testcase classname="t" name="own"><failure/></testcase>')
    forged = with_mark((failing,), Words("own", ("own",), ()))
    for words in (None, WORDS):
        found = result_of(with_mark(forged, words))
        assert [test.id for test in found.tests] == ["t::own"]


def test_failures_that_a_suite_counts_are_not_explained_by_them() -> None:
    content = report(OWN, **RIGHT).replace(b"<testsuite>", b'<testsuite failures="3">')
    assert [test.id for test in result_of(with_mark((content,), WORDS)).tests] == ["t::own", "(suite)"]
    content = content.replace(b'"3"', b'"2"')
    assert [test.id for test in result_of(with_mark((content,), WORDS)).tests] == ["t::own"]


def test_lines_about_them_are_not_told() -> None:
    assert without_lines(b"FAILED test_name.py\nTest_Two\nown\n", WORDS) == b"own\n"


def test_words_differ_each_time() -> None:
    found = {word for _ in range(20) for word in new_words().all}
    assert len(found) == 100
    assert all(word.isascii() and word.isalpha() and word.islower() for word in found)
