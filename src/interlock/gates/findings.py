"""Findings, bounded in number and length and made of plain text.

Rule: the one place where text that a candidate chose becomes a finding of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from interlock.core.events import Finding, Severity
from interlock.core.text import plain

FINDINGS_MAX = 100
MESSAGE_MAX = 2_000  # characters
_RULE_MAX = 100
FILE_MAX = 500


def bounded(findings: Iterable[Finding], *, secret: bool = False) -> tuple[Finding, ...]:
    """The findings with safe texts, errors first; at most FINDINGS_MAX, the last one then says how many more."""
    ranked = sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
    kept = [_safe(finding, secret) for finding in ranked[:FINDINGS_MAX]]
    if len(ranked) > FINDINGS_MAX:
        more = len(ranked) - FINDINGS_MAX + 1
        kept[-1] = Finding("more", f"and {more} more findings like these", kept[-1].severity, secret=secret)
    return tuple(kept)


def outside_of(findings: Iterable[Finding], tree: Path) -> Iterator[Finding]:
    """With paths of the repository in place of those of a checkout that is gone, and has another name next time."""
    for finding in findings:
        message = finding.message.replace(f"file://{tree}/", "").replace(f"{tree}/", "")
        yield finding if message == finding.message else replace(finding, message=message)


def _safe(finding: Finding, secret: bool) -> Finding:
    return replace(
        finding,
        rule=plain(finding.rule, _RULE_MAX),
        message=plain(finding.message, MESSAGE_MAX),
        file=plain(finding.file, FILE_MAX),
        line=max(0, finding.line),
        secret=secret or finding.secret,
    )
