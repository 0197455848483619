"""Why a test failed, as far as its report tells, and whether that shows that something is missing. Pure.

Rule: an assertion, a missing name and an exception of the code under test show it. A fixture that fails, a timeout, and
a file that could not be loaded for another reason than a missing name (such as a syntax error) show nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum

from interlock.gates.reports.junit import RanTest


class Reason(StrEnum):
    """Texts that follow the word `failed`."""

    ASSERTION = "for an assertion"
    MISSING = "for a missing name"
    RAISED = "by an exception"
    FIXTURE = "in a fixture, not in the test"
    TIMEOUT = "by a timeout"
    SYNTAX = "for a syntax error"
    UNLOADED = "while its file was loaded, and not for a missing name"

    @property
    def proves(self) -> bool:
        return self in (Reason.ASSERTION, Reason.MISSING, Reason.RAISED)


_MISSING = re.compile(
    r"\b(?:ImportError|ModuleNotFoundError|AttributeError|NameError)\b|\bcannot import name\b"
    r"|\bis not a (?:function|constructor)\b|\bis not defined\b|Cannot find (?:module|package)\b|MODULE_NOT_FOUND"
    r"|does not provide an export named|Named export '[^']*' not found|Failed to resolve import|No matching export"
    r"|has no exported member|\bundefined: \w|\bundefined \(type .{1,200} has no field or method"
    r"|is not in (?:std|GOROOT)"
    r"|cannot find (?:symbol|package|function|value|type|struct|trait|macro|module|crate|derive)"
    r"|\bunresolved (?:import|name|module|reference)"
    r"|no (?:function|method|field|variant|associated item)\b.{0,80}? named"
    r"|no required module provides package|NoSuchMethodError|NoSuchFieldError|NoClassDefFoundError"
    r"|ClassNotFoundException|package [\w.]+ does not exist",
    re.IGNORECASE,
)
_SYNTAX = re.compile(
    r"\b(?:SyntaxError|IndentationError|TabError)\b|invalid JS syntax|Unexpected (?:token|end of)|syntax error"
    r"|Jest failed to parse a file|Transform failed with|reached end of file while parsing"
    r"|this file contains an unclosed delimiter|expected one of ",
    re.IGNORECASE,
)
_MISSING_EXPORT = re.compile(r"does not provide an export named|Named export '[^']*' not found")
_TIMEOUT = re.compile(
    r"Failed: Timeout\b|Test timed out in \d|Exceeded timeout of \d|test timed out after \d|Timeout of \d+ ?ms exceeded"
    r"|panic: test timed out|TestTimedOutException|timed out after \d+ (?:milli)?seconds"
)
_FIXTURE = re.compile(r"failed on (?:setup|teardown) with |^file .*, line \d+", re.IGNORECASE)
_ASSERTION = re.compile(
    r"\bassert|AssertionError|AssertionFailedError|ERR_ASSERTION|\bexpect(?:ed)?\b|panicked at|DID NOT RAISE",
    re.IGNORECASE,
)


# Counts of tests. They include the tests that must fail, which no agent may know of.
_COUNTS = re.compile(r"\s*(?:\u2139|#) (?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms)\b")
_MARK = re.compile(r"\s*\^+\s*")


def reason_of(test: RanTest) -> Reason:
    """The reason of a failed entry of a report."""
    if _TIMEOUT.search(test.message):
        return Reason.TIMEOUT
    if test.stands_for:
        return load_reason(test.message)
    last = _raised(test.message)
    if _FIXTURE.match(test.message):
        return Reason.MISSING if _MISSING.search(last) and "fixture '" not in last else Reason.FIXTURE
    if _MISSING.search(last):
        return Reason.MISSING
    return Reason.ASSERTION if _ASSERTION.search(test.message) else Reason.RAISED


def explained(failed: RanTest, log: str) -> RanTest:
    """The entry with the log's text near the file's name if the report has no reason: node:test writes it to the log
    only."""
    if not failed.stands_for or reason_of(failed) is not Reason.UNLOADED:
        return failed
    lines = [line for line in log.splitlines() if not _COUNTS.match(line)]
    near = [index for index, line in enumerate(lines) if failed.stands_for in line][:20]
    shown = dict.fromkeys(line for index in near for line in _paragraph(lines, index) if line.strip())
    if load_reason("\n".join(shown)) is Reason.UNLOADED:
        shown = dict.fromkeys(line for index in near for line in lines[max(0, index - 5) : index + 12])
    return replace(failed, message="\n".join((failed.message, *shown)))


def _paragraph(lines: list[str], index: int) -> Iterator[str]:
    """The lines from this one to a blank line, except the blank line that Node writes below a mark `^`."""
    for number in range(index, min(index + 12, len(lines))):
        if not lines[number].strip() and not _MARK.fullmatch(lines[number - 1]):
            return
        yield lines[number]


def load_reason(text: str) -> Reason:
    """Why a file could not be loaded or a program not be compiled, by its output."""
    if _MISSING_EXPORT.search(text):
        return Reason.MISSING
    if _SYNTAX.search(text):
        return Reason.SYNTAX
    return Reason.MISSING if _MISSING.search(text) else Reason.UNLOADED


def _raised(message: str) -> str:
    """The lines that name the exception if they are marked as pytest does; else the beginning."""
    marked = [line for line in message.splitlines() if line.startswith("E  ")]
    return "\n".join([message.partition("\n")[0], *marked[-20:]]) if marked else message[:2_000]
