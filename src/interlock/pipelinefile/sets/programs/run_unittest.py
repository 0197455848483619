"""Run unittest's discovery and write a JUnit report: OWN REPORT START TOP, the project's own names and three paths.

One test case for each test method; a failing subtest fails its method. A module that cannot be imported is a failed
case with its name. The report is written last, so that an interrupted run leaves none. The functions that write it are
imported and bound to names here before any code of the checkout runs.
"""

import os
import re
import sys
import time
import unittest
from pathlib import Path
from xml.etree import ElementTree

from interlock.pipelinefile.sets.programs.order import Order

END = os._exit
LOADER, RUNNER, WRITE, TEXT = unittest.TestLoader, unittest.TextTestRunner, Path.write_bytes, ElementTree.tostring
ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Recorder(unittest.TextTestResult):
    """Keeps the start and end of each test by id, so that passed tests are reported too."""

    def startTest(self, test: unittest.TestCase) -> None:
        self.spans = getattr(self, "spans", {})
        self.spans[test.id()] = [time.monotonic()]
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        self.spans[test.id()].append(time.monotonic())
        super().stopTest(test)


def main(own: str, report: str, start: str, top: str) -> int:
    for name in ("REPORT", "HELD_OUT"):
        os.environ.pop(name, None)
    sys.argv[1:] = []
    Order(own.split(",")).join()
    suite = LOADER().discover(start, top_level_dir=top)
    result = RUNNER(resultclass=Recorder, verbosity=2).run(suite)  # type: ignore[arg-type]
    WRITE(Path(report), TEXT(as_junit(result), encoding="utf-8", xml_declaration=True))
    if not result.testsRun and result.wasSuccessful():
        sys.stderr.write(f"python.test: no tests were found in {start}\n")
        return 5
    return 0 if result.wasSuccessful() else 1


def as_junit(result: unittest.TestResult) -> ElementTree.Element:
    spans: dict[str, list[float]] = getattr(result, "spans", {})
    ends: dict[str, list[tuple[str, str]]] = {name: [] for name in spans}
    for kind, found in (
        ("failure", result.failures),
        ("error", result.errors),
        ("skipped", result.skipped),
        ("failure", [(test, "passed, though marked as an expected failure") for test in result.unexpectedSuccesses]),
    ):
        for test, message in found:
            whole = getattr(test, "test_case", test)  # of a subtest
            ends.setdefault(whole.id(), []).append((kind, message))
    suite = ElementTree.Element("testsuite", name="unittest", tests=str(len(ends)))
    for name, how in ends.items():
        suite.append(case(name, how, spans.get(name, [0.0])))
    return suite


def case(name: str, how: list[tuple[str, str]], span: list[float]) -> ElementTree.Element:
    name = name.removeprefix("unittest.loader._FailedTest.")  # a module that could not be imported
    owner, _, method = name.rpartition(".") if not name.endswith(")") else ("", "", name)
    element = ElementTree.Element("testcase", classname=owner, name=method, time=f"{span[-1] - span[0]:.3f}")
    for kind, message in how:
        last = message.strip().splitlines()[-1:] or [""]
        ElementTree.SubElement(element, kind, message=clean(last[0])).text = clean(message)
    return element


def clean(text: str) -> str:
    """The text without characters that XML cannot contain."""
    return ILLEGAL.sub("?", text)


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    END(code)
