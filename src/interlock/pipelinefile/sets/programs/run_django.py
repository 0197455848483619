"""Run Django's own test command and write a JUnit report: OWN REPORT, the project's own names and a path.

Django's runner starts unittest's, which records its results here. The functions that write the report are bound to
names here, and Django and its test modules are imported, before any code of the checkout runs. An interrupted run
leaves no report.
"""

import os
import re
import runpy
import sys
import unittest
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

from interlock.pipelinefile.sets.programs.order import Order

END = os._exit
LOADED = ("django.core.management", "django.test.runner", "django.test", "django.db.models", "django.urls")
WRITE, TEXT, ELEMENT, BELOW = Path.write_bytes, ElementTree.tostring, ElementTree.Element, ElementTree.SubElement
RUN = unittest.TextTestRunner.run
ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Recorder(unittest.TextTestResult):
    """Keeps the id of each test that was started, so that passed tests are reported too."""

    def startTest(self, test: unittest.TestCase) -> None:
        self.started = getattr(self, "started", {})
        self.started[test.id()] = True
        super().startTest(test)


def main(own: str, report: str) -> int:
    order = Order(own.split(","))
    for name in LOADED:
        with suppress(ImportError):  # manage.py itself reports what is missing
            import_module(name)
    order.join()
    results: list[unittest.TextTestResult] = []

    def recorded(runner: unittest.TextTestRunner, suite: unittest.TestSuite) -> unittest.TextTestResult:
        theirs = getattr(runner, "resultclass", None) or unittest.TextTestResult
        setattr(runner, "resultclass", type("Recorded", (Recorder, theirs), {}))  # noqa: B010 - of another type
        results.append(RUN(runner, suite))
        return results[-1]

    unittest.TextTestRunner.run = recorded  # type: ignore[assignment]
    for name in ("PYTHONPATH", "REPORT", "HELD_OUT"):
        os.environ.pop(name, None)
    sys.argv = ["manage.py", "test", "--noinput"]
    code = 0
    try:
        runpy.run_path("manage.py", run_name="__main__")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    if not results or not any(result.testsRun for result in results):
        sys.stderr.write("python.test: manage.py test has run no test\n")
        return code or 5
    WRITE(Path(report), TEXT(as_junit(results), encoding="utf-8", xml_declaration=True))
    return code or int(not all(result.wasSuccessful() for result in results))


def as_junit(results: list[unittest.TextTestResult]) -> ElementTree.Element:
    ends: dict[str, list[tuple[str, str]]] = {}
    for result in results:
        ends.update({name: [] for name in getattr(result, "started", {})})
        passed = [(test, "passed, though marked as an expected failure") for test in result.unexpectedSuccesses]
        for kind, found in (
            ("failure", [*result.failures, *passed]), ("error", result.errors), ("skipped", result.skipped),
        ):  # fmt: skip
            for test, message in found:
                ends.setdefault(getattr(test, "test_case", test).id(), []).append((kind, message))
    suite = ELEMENT("testsuite", name="django", tests=str(len(ends)))
    for name, how in ends.items():
        owner, _, method = name.removeprefix("unittest.loader._FailedTest.").rpartition(".")
        case = BELOW(suite, "testcase", classname=owner, name=method)
        for kind, message in how:
            last = message.strip().splitlines()[-1:] or [""]
            BELOW(case, kind, message=ILLEGAL.sub("?", last[0])).text = ILLEGAL.sub("?", message)
    return suite


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    END(code)
