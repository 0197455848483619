"""JUnit XML as pytest, jest-junit, go-junit-report, surefire, gradle, cargo-nextest and node's runner write it.

Rule: a streaming parse that refuses document types (and so entities) and bounds depth, count and text. There is no
standard; the shapes were taken from the programs themselves. A test's id is its class and name, or if there is no
telling class, the names of the suites around it and its own. Some entries are no tests: they stand for a file, class or
package that could not be loaded. They are recognised narrowly, by the shapes of the programs, so that a test's own
error (a fixture that fails) is never taken for a file that could not be loaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from xml.parsers import expat

from interlock.gates.reports import Unreadable

_TESTS_MAX = 200_000
_DEPTH_MAX = 50
_TEXT_MAX = 8_000  # characters of one failure
_ID_MAX = 1_000
_PLACE = re.compile(
    r"^(?:.{0,200}panicked at |\s{0,20}File \"|\s{0,20}at .{0,200}\(|\s{0,20})"
    r"(?P<file>[\w./\\@+-]{1,300}\.\w{1,10})\"?(?::|, line )(?P<line>\d{1,9})",
    re.MULTILINE,
)
_CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r")


class Status(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class RanTest:
    """One test case as it ran. `retried`: it passed only after it had failed. `stands_for`: the entry is no test but
    stands for this file, class or package. Then it failed if that could not be loaded, is skipped if that was skipped
    as a whole, and passed if that has no tests."""

    id: str
    status: Status
    message: str = ""
    file: str = ""
    line: int = 0
    retried: bool = False
    stands_for: str = ""

    @property
    def ran(self) -> bool:
        """Whether it is a test that passed or failed."""
        return not self.stands_for and self.status is not Status.SKIPPED


def parse(contents: Iterable[bytes], added: Iterable[str] = ()) -> tuple[RanTest, ...]:
    """The tests of all files, in order; ids may repeat. A suite may count more failures than it has tests that failed;
    a test whose id contains a word of `added` does not explain that. Raises Unreadable."""
    tests: list[RanTest] = []
    for content in contents:
        tests.extend(_parse_one(content, tuple(added)))
        if len(tests) > _TESTS_MAX:
            raise Unreadable(f"the report has more than {_TESTS_MAX} tests")
    return tuple(tests)


def merged(contents: tuple[bytes, ...]) -> bytes:
    """The files as one, which `split` separates again; a single file stays as it is."""
    return contents[0] if len(contents) == 1 else _BETWEEN.join(contents)


def split(content: bytes) -> tuple[bytes, ...]:
    return tuple(content.split(_BETWEEN))


_BETWEEN = b"\n<!-- interlock: next file -->\n"


@dataclass(slots=True)
class _Open:
    """The test case that is being read."""

    test: RanTest
    depth: int
    names: tuple[str, str, str]  # its class, its own name, and that of the innermost suite
    text: list[str] = field(default_factory=list)
    length: int = 0


class _Reading:
    """The state of one parse: expat calls the methods start, text and end."""

    def __init__(self) -> None:
        self.tests: list[RanTest] = []
        self._depth = 0
        self._suites: list[tuple[int, str]] = []
        self._open: _Open | None = None
        self._failed = 0  # tests so far
        self._counted: list[
            tuple[int, int]
        ] = []  # for each open suite: the failures that it counts, and the failures before it
        self._unexplained = False
        self.is_report = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise Unreadable(f"the report is nested deeper than {_DEPTH_MAX}")
        name = name.rpartition(":")[2]
        if self._depth == 1:
            self.is_report = name in {"testsuites", "testsuite"}
        if name == "testsuite":
            self._suites.append((self._depth, attributes.get("name", "")))
            counted = max(_count(attributes, "failures"), _count(attributes, "errors"))  # mocha counts each as both
            self._counted.append((counted, self._failed))
        elif name == "testcase" and self._open is None:
            names = (attributes.get("classname", ""), attributes.get("name", ""), self._suite())
            self._open = _Open(self._test(attributes), self._depth, names)
        elif self._open is not None and self._depth == self._open.depth + 1:
            self._result(self._open, name, attributes)

    def text(self, data: str) -> None:
        if self._open is not None and self._open.length < _TEXT_MAX:
            self._open.text.append(data[:_TEXT_MAX])
            self._open.length += len(data)

    def end(self, name: str) -> None:
        if self._open is not None and self._depth == self._open.depth:
            self.tests.append(_closed(self._open))
            self._failed += self.tests[-1].status is Status.FAILED
            self._open = None
            if len(self.tests) > _TESTS_MAX:
                raise Unreadable(f"the report has more than {_TESTS_MAX} tests")
        while self._suites and self._suites[-1][0] >= self._depth:
            self._suites.pop()
            counted, before = self._counted.pop()
            self._unexplained |= counted > self._failed - before
        self._depth -= 1

    def finished(self, added: tuple[str, ...]) -> list[RanTest]:
        """The tests, and a failing one of our own if suites count failures that no test shows."""
        failed = (test.id.casefold() for test in self.tests if test.status is Status.FAILED)
        if self._unexplained and all(any(word in name for word in added) for name in failed):
            message = "a suite counts failures or errors, but no test case shows them"
            self.tests.append(RanTest("(suite)", Status.FAILED, message))
        return self.tests

    def _suite(self) -> str:
        return self._suites[-1][1] if self._suites else ""

    def _test(self, attributes: dict[str, str]) -> RanTest:
        suites = [name for _, name in self._suites if name]
        group = attributes.get("classname", "")
        name = attributes.get("name", "")
        parts = [group, name] if group not in {"", "test"} else [*suites, name]
        idle = attributes.get("status", "") in {"notrun", "disabled", "skipped"}
        of = stands_for(group, name, suites, attributes.get("file", ""))
        return RanTest(
            (of or "::".join(parts))[:_ID_MAX],
            Status.SKIPPED if idle else Status.PASSED,
            file=attributes.get("file", ""),
            line=_count(attributes, "line"),
            stands_for=of,
        )

    def _result(self, opened: _Open, name: str, attributes: dict[str, str]) -> None:
        test = opened.test
        message = attributes.get("message", "")[:_TEXT_MAX]
        if name in {"failure", "error"}:
            opened.text.clear()
            opened.length = 0
            opened.test = replace(test, status=Status.FAILED, message=message)
        elif name == "skipped" and test.status is Status.PASSED:
            opened.test = replace(test, status=Status.SKIPPED, message=message)
        elif name in {"flakyFailure", "flakyError"}:
            opened.test = replace(test, retried=True)


def _parse_one(content: bytes, added: tuple[str, ...]) -> list[RanTest]:
    reading = _Reading()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = reading.start
    parser.CharacterDataHandler = reading.text
    parser.EndElementHandler = reading.end
    try:
        parser.Parse(_cleaned(content), True)
    except expat.ExpatError as error:
        raise Unreadable(f"the report is not well-formed XML ({error}): it is truncated, or not JUnit") from None
    except (ValueError, LookupError) as error:
        raise Unreadable(f"the report cannot be decoded: {error}") from None
    if not reading.is_report:
        raise Unreadable("the report is XML, but not JUnit: its outermost element is neither testsuites nor testsuite")
    return reading.finished(added)


def _refuse(*_: object) -> None:
    raise Unreadable("the report declares a document type, which test runners do not do")


def _cleaned(content: bytes) -> bytes:
    """UTF-8 without the control characters that some runners copy from a test's output."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content
    content = content.translate(None, _CONTROL)
    declared = re.search(rb"""^\s*<\?xml[^>]*encoding=["']([\w.-]+)""", content[:200])
    if declared and declared[1].lower() not in {b"utf-8", b"utf8"}:
        return content
    return content.decode("utf-8", "replace").encode()


def _closed(opened: _Open) -> RanTest:
    """The test with the text of its failure, what it stands for, and the last place in that text: if the report tells a
    place, which is where the test begins, only of a line in that file."""
    if opened.test.status is Status.PASSED:
        return opened.test
    text = "".join(opened.text).strip()
    message = "\n".join(part for part in (opened.test.message, text) if part)
    of = opened.test.stands_for or failed_for(*opened.names, opened.test.file, message)
    if opened.test.status is Status.SKIPPED:
        return replace(opened.test, stands_for=of)
    places = list(_PLACE.finditer(text))
    test = replace(opened.test, message=message, stands_for=of)
    if test.line and not of:
        places = [place for place in places if _ends_alike(place["file"], test.file)]
        return replace(test, line=int(places[-1]["line"])) if places and test.file else test
    if places and not test.line and not (of and test.file):
        own = [place for place in places if "node_modules/" not in place["file"]] or places
        test = replace(test, file=own[-1]["file"], line=int(own[-1]["line"]))
    return test


def _count(attributes: dict[str, str], name: str) -> int:
    text = attributes.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def counted(tests: Iterable[RanTest], status: Status) -> Counter[str]:
    """How often each id has this status."""
    return Counter(test.id for test in tests if test.status is status)


def in_numbers(tests: Iterable[RanTest], wanted: Container[str] = ()) -> str:
    """`1,991 tests, 2 failed, 4 skipped`; empty without tests. `wanted` are new tests that fail as their gate asks:
    `1,991 tests, 6 new ones fail as asked`."""
    own = [test for test in tests if not test.stands_for]
    if not own:
        return ""
    asked = sum(test.id in wanted for test in own if test.status is Status.FAILED)
    found = Counter(test.status for test in own)
    failed = found[Status.FAILED] - asked
    parts = (
        f"{len(own):,} test{'' if len(own) == 1 else 's'}",
        f"{failed:,} failed" if failed else "",
        f"{asked:,} new {'one fails' if asked == 1 else 'ones fail'} as asked" if asked else "",
        f"{found[Status.SKIPPED]:,} skipped" if found[Status.SKIPPED] else "",
    )
    return ", ".join(part for part in parts if part)


# node:test reports a file that failed or has no tests by its path; newer versions by the relative one.
_NODE_FILE = re.compile(r"(?:(?:/|[A-Za-z]:[\\/])[^\n]*|[\w@.+/\\-]+)\.[cm]?[jt]sx?")
_CHECKOUT = re.compile(r"^/.*?/gate-[^/]+/tree/")  # each run has its own, and ids are compared between runs
_UNITTEST_FIXTURE = re.compile(r"(?:setUp|tearDown)(?:Class|Module) \((?P<of>[\w.]+)\)")
_UNITTEST_LOADER = ("ImportError: Failed to import test module: ", "Failed to call load_tests:")
_MOCHA_HOOK = re.compile(r"(?:.* )?\"(?:before|after)(?: all| each)?\" hook\b.*")
_GO_BUILD = re.compile(r"\[(?:build|setup) failed\]")
_JUNIT_CLASS = frozenset({"", "initializationError", "executionError", "classMethod"})


def stands_for(group: str, name: str, suites: list[str], file: str) -> str:
    """What an entry stands for, by its names alone; empty: it is a test."""
    if group == "test" and not suites and _NODE_FILE.fullmatch(name):
        return _CHECKOUT.sub("", name)
    if not group and "Mocha Tests" in suites and _NODE_FILE.fullmatch(name):  # as our own mocha reporter writes it
        return name
    named_twice = group == name and file in ("", name) and name in suites  # vitest
    if (named_twice or (file == name and not group)) and _NODE_FILE.fullmatch(name):
        return name
    return ""


def failed_for(group: str, name: str, suite: str, file: str, message: str) -> str:
    """What a failed or skipped entry with this message stands for; empty: it is a test."""
    if message.startswith(("collection failure", "collection skipped")):
        return file or ".".join(part for part in (group, name) if part)
    if group == "unittest.loader._FailedTest":
        return name
    if any(phrase in message[:2_000] for phrase in _UNITTEST_LOADER) and "Traceback" in message:
        return ".".join(part for part in (group, name) if part)
    if found := _UNITTEST_FIXTURE.fullmatch(name):
        return found["of"]
    if group == "Test suite failed to run":  # jest-junit
        return name
    if _MOCHA_HOOK.fullmatch(name):
        return group or suite
    if _GO_BUILD.fullmatch(name) or (name == "TestMain" and group in ("", suite)):
        return group or suite
    return group if name in _JUNIT_CLASS and group else ""


def belongs(to: str, test_id: str, file: str) -> bool:
    """Whether a test belongs to the file, class or package `to` that an entry stands for."""
    if file and _ends_alike(file, to):
        return True
    stem = to.removesuffix(".py").strip("/").replace("/", ".") if to.endswith(".py") else to
    return test_id.startswith((f"{stem}::", f"{stem}.", f"{stem} "))


def _ends_alike(one: str, other: str) -> bool:
    longer, shorter = sorted((one, other), key=len, reverse=True)
    return longer == shorter or longer.endswith(f"/{shorter}")


def file_of(test_id: str, file: str) -> str:
    """The file of a test as the report tells it, without the path of the checkout; empty if it tells none."""
    named = _CHECKOUT.sub("", file) or test_id.partition("::")[0]
    return named if not named.startswith(("/", "file:")) and (file or _NODE_FILE.fullmatch(named)) else ""


def names_files(tests: Iterable[tuple[str, str]]) -> bool:
    """Whether a report tells the files of tests: by `file`, or by ids that begin with one."""
    return any(file or _NODE_FILE.fullmatch(test_id.partition("::")[0]) for test_id, file in tests)
