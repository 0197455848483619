"""How much of what a gate found is in the event of its verdict; the rest lies in its evidence.

Rule: an event stays small, and nothing that was found is lost: what a rejection tells the next attempt is made of all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, takewhile

from interlock.core.events import Evidence, Finding, Severity, VerdictGiven
from interlock.core.feedback import MORE
from interlock.core.wire import dump_json
from interlock.ports import Blobs
from interlock.text.cleaning import cut

FINDINGS = "findings"  # the evidence with all of them
_BYTES_MAX = 16_000  # of the findings of one verdict, encoded
_NAMES = ("rule", "message", "severity", "file", "line", "reason", "secret")


def fitted(blobs: Blobs, found: Sequence[Finding]) -> tuple[tuple[Finding, ...], tuple[Evidence, ...]]:
    """The findings that an event keeps, in their order, and the evidence with all if there are more. At least the
    first is kept, its message shortened if it must be. Raises InfrastructureError."""
    sizes = list(takewhile(lambda size: size <= _BYTES_MAX, accumulate(map(_size, found))))
    if len(sizes) == len(found):
        return tuple(found), ()
    content = json.dumps([_row(finding) for finding in found], indent=1).encode()
    kept = found[: len(sizes)] or (_short(found[0]),)
    left = found[len(kept) :]
    about = f"and {len(left)} more findings" if left else "the end of its message"
    more = Finding(
        MORE,
        f"{about}: `interlock logs STAGE/N GATE --findings` prints all",
        max(
            (one.severity for one in left), key=lambda severity: -list(Severity).index(severity), default=Severity.NOTE
        ),
        secret=any(finding.secret for finding in found),
    )
    return (*kept, more), (Evidence(FINDINGS, blobs.put(content), len(content)),)


def whole(blobs: Blobs, verdict: VerdictGiven) -> VerdictGiven:
    """The verdict with all of its findings. Raises InfrastructureError if their evidence is gone."""
    digest = verdict.evidence_of(FINDINGS)
    return replace(verdict, findings=read_findings(blobs.get(digest))) if digest else verdict


def read_findings(content: bytes) -> tuple[Finding, ...]:
    return tuple(Finding(**{**row, "severity": Severity(row["severity"])}) for row in json.loads(content))


def _row(finding: Finding) -> dict[str, object]:
    return {name: getattr(finding, name) for name in _NAMES}


def _size(finding: Finding) -> int:
    return len(dump_json(_row(finding)))


def _short(finding: Finding) -> Finding:
    while _size(finding) > _BYTES_MAX:
        finding = replace(finding, message=cut(finding.message, len(finding.message) * 3 // 4))
    return finding
