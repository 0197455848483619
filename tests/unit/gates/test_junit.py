"""JUnit XML in the shapes that programs write it in, and in those that are none."""

import pytest

from interlock.gates.baseline import reason_of
from interlock.gates.reports import Unreadable, junit
from interlock.gates.reports.junit import RanTest, Status, in_numbers

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5" time="0.1" \
timestamp="2026-01-01T00:00:00" hostname="h">
<testcase classname="tests.test_a" name="test_one" time="0.001" />
<testcase classname="tests.test_a.TestX" name="test_two[a-1]" time="0.0"><failure message="assert 1 == 2">def test():
&gt;       assert 1 == 2
E       assert 1 == 2

tests/test_a.py:12: AssertionError</failure></testcase>
<testcase classname="tests.test_a" name="test_three"><skipped type="pytest.xfail" message="later" /></testcase>
<testcase classname="tests.test_a" name="test_four"><system-out>out</system-out></testcase>
<testcase classname="" name="tests.test_b"><error message="collection failure">ImportError</error></testcase>
</testsuite></testsuites>"""

JEST = b"""<testsuites name="jest tests" tests="1"><testsuite name="math" tests="1">
<testcase classname="math adds" name="math adds" time="0.003"><failure>Error: x
    at Object.toBe (/w/src/math.test.js:4:21)</failure></testcase></testsuite></testsuites>"""

GO = b"""<testsuites tests="2"><testsuite tests="2" failures="0" name="example.com/m/p">
<testcase classname="example.com/m/p" name="TestA/sub"></testcase>
<testcase classname="example.com/m/p" name="TestB"><skipped message="short"></skipped></testcase></testsuite>
</testsuites>"""

SUREFIRE = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="com.acme.AppTest" tests="2" errors="0">
<properties><property name="java.version" value="17"/></properties>
<testcase name="works" classname="com.acme.AppTest"/>
<testcase name="shaky" classname="com.acme.AppTest"><flakyFailure message="once" type="E"><stackTrace>x</stackTrace>
</flakyFailure></testcase></testsuite>"""

NEXTEST = b"""<testsuites name="nextest-run"><testsuite name="krate::bin" tests="1" disabled="0">
<testcase name="tests::adds" classname="krate::bin" timestamp="x"><failure type="test failure">thread panicked at \
src/lib.rs:9:5:
no</failure></testcase></testsuite></testsuites>"""

NODE = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="outer" tests="1"><testsuite name="inner"><testcase name="it" classname="test"/></testsuite>
</testsuite><testcase name="top" classname="test"><failure type="x" message="no"/></testcase></testsuites>"""


def told(*contents: bytes) -> dict[str, str]:
    return {test.id: test.status.value for test in junit.parse(contents)}


def test_a_report_in_numbers() -> None:
    many = [RanTest(f"t{number}", Status.PASSED) for number in range(1985)]
    some = [RanTest("f", Status.FAILED)] * 2 + [RanTest("s", Status.SKIPPED)] * 4
    files = [RanTest("a.js", Status.PASSED, stands_for="a.js")]
    assert in_numbers([*many, *some, *files]) == "1,991 tests, 2 failed, 4 skipped"
    assert in_numbers(many[:1]) == "1 test"
    assert in_numbers(files) == ""


def test_pytest() -> None:
    assert told(PYTEST) == {
        "tests.test_a::test_one": "passed",
        "tests.test_a.TestX::test_two[a-1]": "failed",
        "tests.test_a::test_three": "skipped",
        "tests.test_a::test_four": "passed",
        "pytest::tests.test_b": "failed",
    }
    failed = junit.parse([PYTEST])[1]
    assert (failed.file, failed.line) == ("tests/test_a.py", 12)
    assert [test.stands_for for test in junit.parse([PYTEST])] == [""] * 4 + ["tests.test_b"]
    assert failed.message.startswith("assert 1 == 2\ndef test():")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (JEST, {"math adds::math adds": "failed"}),
        (GO, {"example.com/m/p::TestA/sub": "passed", "example.com/m/p::TestB": "skipped"}),
        (SUREFIRE, {"com.acme.AppTest::works": "passed", "com.acme.AppTest::shaky": "passed"}),
        (NEXTEST, {"krate::bin::tests::adds": "failed"}),
        (NODE, {"outer::inner::it": "passed", "top": "failed"}),
    ],
)
def test_other_programs(content: bytes, expected: dict[str, str]) -> None:
    assert told(content) == expected


def test_places_in_failures() -> None:
    assert [(test.file, test.line) for test in junit.parse([NEXTEST])] == [("src/lib.rs", 9)]


@pytest.mark.parametrize(
    ("said", "line"),
    [("tests/test_a.py:9: AssertionError", 9), ("src/a.py:7: ValueError", 5), ("no place", 5),
     ("tests/test_a.py:9: in test_it\n    f()\nsrc/a.py:7: ValueError", 9)],
)  # fmt: skip
def test_the_line_that_failed_is_told_before_that_of_the_test(said: str, line: int) -> None:
    case = (
        f'<testcase classname="tests.test_a" name="test_it" file="tests/test_a.py" line="5"><failure>{said}</failure>'
    )
    (test,) = junit.parse([f"<testsuite>{case}</testcase></testsuite>".encode()])
    assert (test.file, test.line) == ("tests/test_a.py", line)


def test_what_passed_only_on_retry_is_told() -> None:
    assert [test.retried for test in junit.parse([SUREFIRE])] == [False, True]


def test_several_files_are_one_report() -> None:
    both = junit.merged((SUREFIRE, GO))
    assert junit.parse(junit.split(both)) == junit.parse([SUREFIRE, GO])
    assert junit.split(junit.merged((PYTEST,))) == (PYTEST,)


def test_failures_that_only_the_suite_counts() -> None:
    tests = junit.parse([b'<testsuite name="s" tests="1" errors="1"><testcase classname="a" name="b"/></testsuite>'])
    assert [(test.id, test.status) for test in tests][1] == ("(suite)", Status.FAILED)


def test_control_characters_and_bad_utf8_are_no_obstacle() -> None:
    content = b'<testsuite><testcase classname="a" name="b"><failure>\x1b[31m\x00 \xff</failure></testcase></testsuite>'
    assert junit.parse([content]) == (RanTest("a::b", Status.FAILED, "[31m \ufffd"),)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (PYTEST[:-20], "not well-formed XML"),
        (b"", "not well-formed XML"),
        (b"{}", "not well-formed XML"),
        (b"<html/>", "neither testsuites nor testsuite"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite/>', "document type"),
        (b'<?xml version="1.0"?><!DOCTYPE testsuite SYSTEM "file:///etc/passwd"><testsuite/>', "document type"),
        (
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><testsuite/>'.encode("utf-16"),
            "document",
        ),
        (b"<testsuite>" * 60 + b"</testsuite>" * 60, "deeper"),
        (b'<?xml version="1.0" encoding="rot13"?><testsuite/>', "report"),
        (PYTEST + PYTEST, "not well-formed XML"),
    ],
)
def test_what_is_no_report(content: bytes, what: str) -> None:
    with pytest.raises(Unreadable, match=what):
        junit.parse([content])


def test_too_many_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "_TESTS_MAX", 3)
    assert len(junit.parse([b"<testsuite>" + b'<testcase name="a"/>' * 3 + b"</testsuite>"])) == 3
    with pytest.raises(Unreadable, match="more than 3 tests"):
        junit.parse([b"<testsuite>" + b'<testcase name="a"/>' * 4 + b"</testsuite>"])


UNITTEST = b"""<testsuite name="unittest" tests="4">
<testcase classname="tests.test_u.B" name="test_b"><error message="RuntimeError: b">Traceback (most recent call last):
  File "/r/gate-x/tree/tests/test_u.py", line 7, in setUp</error></testcase>
<testcase classname="tests" name="test_v"><error message="ModuleNotFoundError: No module named 'x'">
ImportError: Failed to import test module: tests.test_v
Traceback (most recent call last):
ModuleNotFoundError: No module named 'x'</error></testcase>
<testcase classname="" name="setUpClass (tests.test_u.A)"><error message="RuntimeError: x">Traceback</error></testcase>
</testsuite>"""
NODE_FILES = b"""<testsuites>
<testcase name="/r/gate-a1b2/tree/test/broken.test.js" classname="test" failure="test failed">
<failure type="testCodeFailure" message="test failed">[Error: test failed]</failure></testcase>
<testcase name="test/empty.test.js" classname="test"/>
<testcase name="GET /index.html" classname="test"><failure message="no"/></testcase>
<testsuite name="app.js"><testcase name="lib.js" classname="test"><failure message="no"/></testcase></testsuite>
</testsuites>"""
JEST_SUITE = b"""<testsuites name="jest tests"><testsuite name="test/broken.test.js" errors="1">
<testcase classname="Test suite failed to run" name="test/broken.test.js" file="test/broken.test.js">
<error>  * Test suite
 Cannot find module './nothing.js' from 'test/broken.test.js'</error></testcase></testsuite></testsuites>"""
JEST_OWN = b"""<testsuites><testsuite name="jest">
<testcase classname="" name="test/b.test.js" file="test/b.test.js"><error>Cannot find module './x.js'</error></testcase>
<testcase classname="test/a.test.js" name="good" file="test/a.test.js"></testcase></testsuite></testsuites>"""
VITEST = b"""<testsuites name="vitest tests"><testsuite name="test/b.test.js" failures="1">
<testcase classname="test/b.test.js" name="test/b.test.js"><failure message="Cannot find module './nothing.js'"/>
</testcase></testsuite><testsuite name="test/a.test.js">
<testcase classname="test/a.test.js" name="good"/></testsuite></testsuites>"""
MOCHA = b"""<testsuite name="Mocha Tests"><testcase classname="outer" \
name="&quot;before all&quot; hook for &quot;works&quot;" file="/r/gate-x/tree/test/a.js">
<failure>no</failure></testcase>
<testcase classname="outer" name="works"/></testsuite>"""
MOCHA_LOAD = b"""<testsuite name="Mocha Tests"><testcase classname="" name="test/b.js" \
file="/r/gate-x/tree/test/b.js"><failure>Cannot find module './nothing.js'</failure></testcase>
<testcase classname="" name="works" file="/r/gate-x/tree/test/a.js"/></testsuite>"""
GO_BUILD = b"""<testsuites><testsuite name="example.com/m/p"><testcase classname="" name="TestMain">\
<failure message="Failed">p/a_test.go:8:5: undefined: Mul
FAIL example.com/m/p [build failed]</failure></testcase></testsuite></testsuites>"""
SETUP = b"""<testsuites><testsuite name="pytest">
<testcase classname="tests.test_a" name="test_fx" file="tests/test_a.py">
<error message="failed on setup with &quot;RuntimeError: x&quot;">E   RuntimeError: x</error></testcase>
<testcase classname="" name="tests.test_s" file="tests/test_s.py"><skipped message="collection skipped">no</skipped>
</testcase></testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (UNITTEST, {"tests::test_v": "tests.test_v", "unittest::setUpClass (tests.test_u.A)": "tests.test_u.A"}),
        (NODE_FILES, {"test/broken.test.js": "test/broken.test.js", "test/empty.test.js": "test/empty.test.js"}),
        (JEST_SUITE, {"Test suite failed to run::test/broken.test.js": "test/broken.test.js"}),
        (JEST_OWN, {"test/b.test.js": "test/b.test.js"}),
        (VITEST, {"test/b.test.js": "test/b.test.js"}),
        (MOCHA, {'outer::"before all" hook for "works"': "outer"}),
        (MOCHA_LOAD, {"test/b.js": "test/b.js"}),
        (GO_BUILD, {"example.com/m/p::TestMain": "example.com/m/p"}),
        (SETUP, {"pytest::tests.test_s": "tests/test_s.py"}),
    ],
)
def test_what_stands_for_a_file_and_is_no_test(content: bytes, expected: dict[str, str]) -> None:
    assert {test.id: test.stands_for for test in junit.parse([content]) if test.stands_for} == expected


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        (PYTEST, ["ASSERTION", "MISSING"]),
        (UNITTEST, ["RAISED", "MISSING", "UNLOADED"]),
        (JEST_SUITE, ["MISSING"]),
        (JEST_OWN, ["MISSING"]),
        (VITEST, ["MISSING"]),
        (GO_BUILD, ["MISSING"]),
        (SETUP, ["FIXTURE"]),
        (NEXTEST, ["ASSERTION"]),
    ],
)
def test_why_tests_failed(content: bytes, reasons: list[str]) -> None:
    failed = [test for test in junit.parse([content]) if test.status is Status.FAILED]
    assert [reason_of(test).name for test in failed] == reasons


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("SyntaxError: The requested module './a.js' does not provide an export named 'mul'", "MISSING"),
        ('E   File "/x/test_a.py", line 1\nE   SyntaxError: invalid syntax', "SYNTAX"),
        ("E   RuntimeError: no", "UNLOADED"),
        ("Failed: Timeout >5.0s", "TIMEOUT"),
    ],
)
def test_why_a_file_could_not_be_loaded(message: str, reason: str) -> None:
    assert reason_of(RanTest("a", Status.FAILED, message, stands_for="a")).name == reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "failed on setup with \"AttributeError: module 'calc' has no attribute 'x'\"\nE   AttributeError: no",
            "MISSING",
        ),
        ("failed on setup with \"file /x/test_a.py, line 3\"\nE   fixture 'nothing' not found", "FIXTURE"),
        ("ZeroDivisionError: division by zero\nE   ZeroDivisionError: division by zero", "RAISED"),
        ("TypeError: (0 , _calc.mul) is not a function", "MISSING"),
        ("Test timed out in 5000ms.", "TIMEOUT"),
        ("SyntaxError: from the parser under test", "RAISED"),
    ],
)
def test_why_a_test_failed(message: str, reason: str) -> None:
    assert reason_of(RanTest("a", Status.FAILED, message)).name == reason
