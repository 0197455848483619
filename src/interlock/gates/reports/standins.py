"""Entries of a JUnit report that are no tests: they stand for a file, class or package that could not begin. Pure.

Rule: told by the shapes of the programs themselves, and narrowly. What looks like none of these is a test, so that a
test's own error (a fixture that fails) is never taken for a file that could not be loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# node:test names a file that failed, or that has no tests, by its path; newer versions by one from the current folder.
_NODE_FILE = re.compile(r"(?:(?:/|[A-Za-z]:[\\/])[^\n]*|[\w@.+/\\-]+)\.[cm]?[jt]sx?")
_CHECKOUT = re.compile(r"^/.*?/gate-[^/]+/tree/")  # each run has one of its own, and ids are compared between runs
_UNITTEST_FIXTURE = re.compile(r"(?:setUp|tearDown)(?:Class|Module) \((?P<of>[\w.]+)\)")
_UNITTEST_LOADER = ("ImportError: Failed to import test module: ", "Failed to call load_tests:")
_MOCHA_HOOK = re.compile(r"(?:.* )?\"(?:before|after)(?: all| each)?\" hook\b.*")
_GO_BUILD = re.compile(r"\[(?:build|setup) failed\]")
_JUNIT_CLASS = frozenset({"", "initializationError", "executionError", "classMethod"})


def stands_for(group: str, name: str, suites: list[str], file: str) -> str:
    """What an entry stands for by its names alone, whatever became of it; empty: a test."""
    if group == "test" and not suites and _NODE_FILE.fullmatch(name):
        return _CHECKOUT.sub("", name)
    if not group and "Mocha Tests" in suites and _NODE_FILE.fullmatch(name):  # as our own module for mocha says it
        return name
    named_twice = group == name and file in ("", name) and name in suites  # vitest
    if (named_twice or (file == name and not group)) and _NODE_FILE.fullmatch(name):
        return name
    return ""


def failed_for(group: str, name: str, suite: str, file: str, message: str) -> str:
    """What a failed or skipped entry with this message and text stands for; empty: a test."""
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
    """Whether a test is one of those that an entry stands for."""
    if file and _ends_alike(file, to):
        return True
    stem = to.removesuffix(".py").strip("/").replace("/", ".") if to.endswith(".py") else to
    return test_id.startswith((f"{stem}::", f"{stem}.", f"{stem} "))


def _ends_alike(one: str, other: str) -> bool:
    longer, shorter = sorted((one, other), key=len, reverse=True)
    return longer == shorter or longer.endswith(f"/{shorter}")


def file_of(test_id: str, file: str) -> str:
    """The file that a report tells a test to be of, without the checkout that it was in; empty where it tells none."""
    named = _CHECKOUT.sub("", file) or test_id.partition("::")[0]
    return named if not named.startswith(("/", "file:")) and (file or _NODE_FILE.fullmatch(named)) else ""


def names_files(tests: Iterable[tuple[str, str]]) -> bool:
    """Whether a report tells which file a test is of: by a `file`, or by an id that begins with one."""
    return any(file or _NODE_FILE.fullmatch(test_id.partition("::")[0]) for test_id, file in tests)
