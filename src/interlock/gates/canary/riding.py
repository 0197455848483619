"""Whether a test that must fail may ride along in the gate's own run, or needs a second one.

Rule: where a failing test would change what else the run says (fail-fast, thresholds of coverage, commands that
follow, a gate that speaks by its exit code alone), the run goes without it, and a second one shows it.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from interlock.core import canaries
from interlock.core.pipeline import Command, Gate, Report
from interlock.ports import UsageError, Workspaces

_CONFIGURATIONS = (
    "pyproject.toml", "pytest.ini", ".pytest.ini", "pytest.toml", "tox.ini", "setup.cfg", ".coveragerc", "package.json",
    "jest.config.*", "vitest.config.*", "vitest.workspace.*", "vite.config.*", ".mocharc*", ".nycrc*", ".c8rc*",
    "pom.xml", "settings.gradle*",
)  # fmt: skip
_READ_MAX = 1_000_000
_PYTEST_STOPS = r"addopts[^\n]*(\n[ \t]+[^\n]*)*?(\s|[\"'=])(-x\b|--exitfirst|--maxfail)"
_COVERED = r"--cov\b(?s:.*)fail[-_]under|fail[-_]under(?s:.*)--cov\b|--cov-fail-under"
_BAILS = r"\bbail[\"']?\s*[:=]\s*([1-9]|true)"
_ASIDE = MappingProxyType(
    {
        "pytest": rf"{_PYTEST_STOPS}|{_COVERED}",
        "jest": rf"{_BAILS}|coverageThreshold",
        "vitest": rf"{_BAILS}|thresholds",
        "mocha": rf"{_BAILS}|check-coverage",
        "node": r"check-coverage",
        "junit": r"<modules>|\binclude\b",
    }
)
# How a runner ends whose tests failed.
_ENDS = MappingProxyType({"cargo": (100, 101)})

# What else it may end so for, and says in its output alone.
_OTHERWISE = MappingProxyType({"vitest": rb"Unhandled (Errors?|Rejection)|unhandled errors? during"})


def rides(workspaces: Workspaces, gate: Gate, commit: str) -> bool:
    """Whether the test is added to the one run of the gate."""
    if gate.report is not Report.JUNIT:
        return False
    if not gate.used and canaries.stands_aside(gate.command or Command(), gate.canary):
        return False
    if gate.canary == "junit" and _goes_on(gate.command):
        return True
    pattern = _ASIDE.get(gate.canary, "")
    if gate.used and gate.canary == "pytest":
        pattern = _COVERED  # our line goes on after a failure, whatever the configuration says
    return not pattern or not re.search(pattern, _configuration(workspaces, gate, commit))


def is_end_of(recipe: str, code: int | None, tail: bytes) -> bool:
    """Whether the exit code says that tests failed, and no more; `tail` is the end of what was printed."""
    if recipe in _OTHERWISE and re.search(_OTHERWISE[recipe], tail):
        return False
    if recipe == "mocha":
        return code is not None and 0 < code <= 255
    return code in _ENDS.get(recipe, (1,))


def _goes_on(command: Command | None) -> bool:
    text = " ".join(command.words) if command else ""
    return any(word in text for word in ("-fae", "-fn", "--fail-at-end", "--continue"))


def _configuration(workspaces: Workspaces, gate: Gate, commit: str) -> str:
    """What the root and the gate's folder have, one file after the other."""
    folders = {f"/{gate.dir}/" if gate.dir else "/", "/"}
    found = workspaces.files(commit, tuple(folder + name for folder in sorted(folders) for name in _CONFIGURATIONS))
    return "\n".join(_text(workspaces, commit, path) for path in found)


def _text(workspaces: Workspaces, commit: str, path: str) -> str:
    try:
        return (workspaces.read(commit, path, _READ_MAX) or b"").decode("utf-8", "replace")
    except UsageError:
        return ""
