"""What the checks and statuses of a commit come to. Pure.

Rule: a yes needs at least one check that said yes and none that did not; what nobody decided is no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from interlock.core.events import Finding, Severity, VerdictStatus
from interlock.core.pipeline import Ci
from interlock.ports import Judgement

_SUMMARY_MAX = 600


class Said(StrEnum):
    PENDING = "pending"
    YES = "yes"
    NOTHING = "nothing"  # skipped, or neutral: neither yes nor no
    NO = "no"
    BROKEN = "broken"  # it ended, and did not judge


_CONCLUSIONS = {
    "success": Said.YES,
    "neutral": Said.NOTHING,
    "skipped": Said.NOTHING,
    "failure": Said.NO,
    "timed_out": Said.NO,
}  # cancelled, stale, startup_failure, action_required: nobody judged
_STATES = {"success": Said.YES, "failure": Said.NO, "pending": Said.PENDING}


@dataclass(frozen=True, slots=True)
class Check:
    """A check run or a commit status. `run` is the id of a check run, 0 for a status."""

    name: str
    said: Said
    word: str  # as the CI puts it
    text: str = ""
    url: str = ""
    run: int = 0


def checks_of(runs: Iterable[dict[str, Any]], statuses: Iterable[dict[str, Any]]) -> tuple[Check, ...]:
    """By name; where a name comes twice, both count."""
    found = [*(_of_run(item) for item in runs), *(_of_status(item) for item in statuses)]
    return tuple(sorted(found, key=lambda check: (check.name, check.run)))


def wanted(ci: Ci, checks: Sequence[Check]) -> tuple[Check, ...]:
    """Those that count."""
    return tuple(check for check in checks if not ci.checks or check.name in ci.checks)


def missing(ci: Ci, checks: Sequence[Check]) -> tuple[str, ...]:
    """Names of checks that count and have not appeared."""
    there = {check.name for check in checks}
    return tuple(name for name in ci.checks if name not in there)


def pending(ci: Ci, checks: Sequence[Check]) -> tuple[str, ...]:
    """Names of those that have not ended."""
    return tuple(check.name for check in wanted(ci, checks) if check.said is Said.PENDING)


def verdict(ci: Ci, checks: Sequence[Check]) -> Judgement:
    """Of checks that have all ended."""
    count = wanted(ci, checks)
    no = [check for check in count if check.said is Said.NO]
    if no:
        return Judgement(VerdictStatus.FAILED, tuple(_finding(check) for check in no))
    broken = [check for check in count if check.said is Said.BROKEN]
    skipped = [check for check in count if check.said is Said.NOTHING and check.word == "skipped" and ci.checks]
    if broken or skipped:
        findings = tuple(_finding(check, "did not judge") for check in (*broken, *skipped))
        return Judgement(VerdictStatus.ERRORED, findings, permanent=True)
    if not any(check.said is Said.YES for check in count):
        names = ", ".join(check.name for check in count)
        message = f"no check said yes ({names}: skipped or neutral): let one of them judge this branch"
        return Judgement(VerdictStatus.ERRORED, (Finding("ci", message),), permanent=True)
    return Judgement(VerdictStatus.PASSED, tuple(_note(check) for check in count if check.said is Said.NOTHING))


def annotated(check: Check, annotations: Iterable[dict[str, Any]]) -> tuple[Finding, ...]:
    """The failures and warnings that a check run wrote on lines."""
    levels = {"failure": Severity.ERROR, "warning": Severity.WARNING}
    return tuple(
        Finding(check.name, _text(item, "message"), levels[level], _text(item, "path"), _number(item, "start_line"))
        for item in annotations
        if (level := _text(item, "annotation_level")) in levels
    )


def _of_run(item: dict[str, Any]) -> Check:
    name, url = _text(item, "name"), _text(item, "html_url")
    if item.get("status") != "completed":
        return Check(name, Said.PENDING, _text(item, "status"), url=url)
    word = _text(item, "conclusion")
    output = item.get("output")
    texts = [_text(output, key) for key in ("title", "summary")] if isinstance(output, dict) else []
    text = ": ".join(part for part in texts if part)[:_SUMMARY_MAX]
    return Check(name, _CONCLUSIONS.get(word, Said.BROKEN), word, text, url, _number(item, "id"))


def _of_status(item: dict[str, Any]) -> Check:
    word = _text(item, "state")
    text = _text(item, "description")
    return Check(_text(item, "context"), _STATES.get(word, Said.BROKEN), word, text, _text(item, "target_url"))


def _finding(check: Check, why: str = "") -> Finding:
    said = f"{check.name}: {check.word}{f' ({why})' if why else ''}"
    return Finding(check.name, " - ".join(part for part in (said, check.text, check.url) if part))


def _note(check: Check) -> Finding:
    return Finding(check.name, f"{check.name}: {check.word}", Severity.NOTE)


def _text(item: dict[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _number(item: dict[str, Any], key: str) -> int:
    value = item.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
