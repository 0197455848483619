"""JUnit XML in the shapes that programs write it in, and in those that are none."""

import pytest

from interlock.gates.reports import Unreadable, junit
from interlock.gates.reports.junit import RanTest, Status

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
    assert [test.stood_in for test in junit.parse([PYTEST])] == [False] * 4 + [True]
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
        (PYTEST[:-20], "no well-formed XML"),
        (b"", "no well-formed XML"),
        (b"{}", "no well-formed XML"),
        (b"<html/>", "neither testsuites nor testsuite"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite/>', "document type"),
        (b'<?xml version="1.0"?><!DOCTYPE testsuite SYSTEM "file:///etc/passwd"><testsuite/>', "document type"),
        (
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><testsuite/>'.encode("utf-16"),
            "document",
        ),
        (b"<testsuite>" * 60 + b"</testsuite>" * 60, "deeper"),
        (b'<?xml version="1.0" encoding="rot13"?><testsuite/>', "report"),
        (PYTEST + PYTEST, "no well-formed XML"),
    ],
)
def test_what_is_no_report(content: bytes, what: str) -> None:
    with pytest.raises(Unreadable, match=what):
        junit.parse([content])


def test_too_many_tests() -> None:
    with pytest.raises(Unreadable, match="more than"):
        junit.parse([b"<testsuite>" + b'<testcase name="a"/>' * 200_001 + b"</testsuite>"])
