"""SARIF as ruff, eslint and analysers write it, and what is none."""

import json
from pathlib import Path

import pytest

from interlock.core.events import Finding, Severity
from interlock.gates.reports import Unreadable, sarif


def report(*results: object, **run: object) -> bytes:
    return json.dumps({"version": "2.1.0", "runs": [{"results": list(results), **run}]}).encode()


def result(uri: str = "src/a.py", **more: object) -> dict[str, object]:
    place = {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 3}}}
    return {"ruleId": "F401", "level": "error", "message": {"text": "unused"}, "locations": [place], **more}


@pytest.mark.parametrize(
    ("uri", "folder", "file"),
    [
        ("src/a.py", "", "src/a.py"),
        ("./src/a.py", "", "src/a.py"),
        ("file:///w/tree/src/a%20b.py", "", "src/a b.py"),
        ("/w/tree/src/a.py", "sub", "src/a.py"),
        ("a.py", "sub", "sub/a.py"),
        ("sub/a.py", "sub", "sub/a.py"),
        ("file:///elsewhere/a.py", "sub", "/elsewhere/a.py"),
    ],
)
def test_files(uri: str, folder: str, file: str) -> None:
    assert sarif.parse(report(result(uri)), Path("/w/tree"), folder) == (
        Finding("F401", "unused", Severity.ERROR, file, 3),
    )


@pytest.mark.parametrize(
    ("content", "severities"),
    [
        (report(result()), ["error"]),
        (report(result(level="warning"), result(level="note"), result(level="none")), ["warning", "note", "note"]),
        (report({key: value for key, value in result().items() if key != "level"}), ["warning"]),
        (report(result(kind="pass"), result(kind="notApplicable")), []),
        (report(result(suppressions=[{"kind": "inSource"}])), ["note"]),
        (report({"message": {}}), ["warning"]),
        (
            report(
                {"ruleId": "R", "message": {"text": "x"}},
                tool={"driver": {"rules": [{"id": "R", "defaultConfiguration": {"level": "error"}}]}},
            ),
            ["error"],
        ),
        (report(), []),
    ],
)
def test_levels(content: bytes, severities: list[str]) -> None:
    assert [finding.severity.value for finding in sarif.parse(content, Path("/t"), "")] == severities


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"version": "2.1.0"}',
        b'{"version": "1.0.0", "runs": []}',
        b"[" * 100_000,
        report(invocations=[{"executionSuccessful": False}]),
    ],
)
def test_what_is_no_report(content: bytes) -> None:
    with pytest.raises(Unreadable):
        sarif.parse(content, Path("/t"), "")
