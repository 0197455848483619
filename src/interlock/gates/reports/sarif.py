"""SARIF 2.1.0 (OASIS): results of linters and analysers as findings.

Rule: a result of level `error` fails the gate, others are only shown; a suppressed result is a note. A run that reports
that it was not successful is unreadable, because an incomplete analysis finds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast
from urllib.parse import unquote

from interlock.core.events import Finding, Severity
from interlock.gates.reports import Unreadable, in_repository

_RESULTS_MAX = 100_000
_FAILING_KINDS = frozenset({"fail", "open", "review"})
_LEVELS = {"error": Severity.ERROR, "warning": Severity.WARNING, "note": Severity.NOTE, "none": Severity.NOTE}

_Json = Mapping[str, object]


def parse(content: bytes, tree: Path, folder: str) -> tuple[Finding, ...]:
    """One finding for each result. `folder` is where the tool ran, relative to the checkout `tree`.
    Raises Unreadable."""
    try:
        document = _mapping(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the report is not JSON ({error}): it is truncated, or not SARIF") from None
    runs = document.get("runs")
    if not isinstance(runs, list) or not str(document.get("version", "")).startswith("2."):
        raise Unreadable("the report is JSON, but not SARIF: it has no `version` 2.x or no list of `runs`")
    if not runs:
        raise Unreadable("the report shows no run of an analysis")
    findings: list[Finding] = []
    for run in map(_mapping, runs):
        _check_success(run)
        for result in _results(run):
            findings.append(_finding(result, _default_levels(run), tree, folder))
            if len(findings) > _RESULTS_MAX:
                raise Unreadable(f"the report has more than {_RESULTS_MAX} results")
    return tuple(findings)


def _check_success(run: _Json) -> None:
    for invocation in _mappings(run.get("invocations")):
        if invocation.get("executionSuccessful") is False:
            raise Unreadable("the report says that the analysis did not finish (executionSuccessful is false)")
    results = run.get("results")
    if not run or not (
        results is None or (isinstance(results, list) and all(isinstance(one, dict) for one in results))
    ):
        raise Unreadable(
            "the report is JSON, but not SARIF: a run is no object, or its `results` are no list of objects"
        )


def _results(run: _Json) -> Iterator[_Json]:
    return (result for result in _mappings(run.get("results")) if result.get("kind", "fail") in _FAILING_KINDS)


def _default_levels(run: _Json) -> dict[str, str]:
    rules = _mappings(_mapping(_mapping(run.get("tool")).get("driver")).get("rules"))
    levels = ((rule.get("id", ""), _mapping(rule.get("defaultConfiguration"))) for rule in rules)
    return {str(name): str(configured.get("level", "warning")) for name, configured in levels}


def _finding(result: _Json, defaults: Mapping[str, str], tree: Path, folder: str) -> Finding:
    rule = str(result.get("ruleId") or _mapping(result.get("rule")).get("id") or "result")
    level = str(result.get("level") or defaults.get(rule, "warning"))
    severity = _LEVELS.get(level, Severity.ERROR)
    if _mappings(result.get("suppressions")):
        severity = Severity.NOTE
    place = _mapping(next(iter(_mappings(result.get("locations"))), {}).get("physicalLocation"))
    uri = str(_mapping(place.get("artifactLocation")).get("uri", ""))
    line = _mapping(place.get("region")).get("startLine", 0)
    message = _mapping(result.get("message"))
    text = str(message.get("text") or message.get("markdown") or "no message")
    return Finding(rule, text, severity, _path(uri, tree, folder), line if isinstance(line, int) else 0)


def _path(uri: str, tree: Path, folder: str) -> str:
    return in_repository(uri if uri.startswith("file:") else unquote(uri), tree, folder)


def _mapping(value: object) -> _Json:
    return cast(_Json, value) if isinstance(value, dict) else {}


def _mappings(value: object) -> list[_Json]:
    return [cast(_Json, item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []
