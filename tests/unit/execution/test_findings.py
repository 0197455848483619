"""How much of what a gate found is in its event: at most 16 kB, and all of it in the evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.events import Finding, Severity, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.wire import encode_event
from interlock.execution.findings import fitted, whole
from interlock.journal.memory import MemoryBlobs

LONG = Finding("r", "\U0001f600" * 2_000, file="\U0001f600" * 500, line=3)


def verdict(*findings: Finding) -> VerdictGiven:
    return VerdictGiven(AttemptId("code", 1, 1), "code/g", 1, VerdictStatus.FAILED, findings)


def test_few_findings_stay_in_the_event_alone() -> None:
    few = (Finding("a", "x"), Finding("b", "y", Severity.NOTE))
    assert fitted(MemoryBlobs(), few) == (few, ())
    assert fitted(MemoryBlobs(), ()) == ((), ())


@pytest.mark.parametrize("found", [[LONG] * 100, [replace(LONG, message="m" * 2_000)] * 100, [LONG]])
def test_of_many_the_event_keeps_16_kb_and_the_evidence_all(found: list[Finding]) -> None:
    blobs = MemoryBlobs()
    kept, evidence = fitted(blobs, found)
    event = replace(verdict(*kept), evidence=evidence)
    assert len(encode_event(event)) < 17_000
    assert kept[0].file == found[0].file
    assert "--findings" in kept[-1].message
    assert whole(blobs, event).findings == tuple(found)


def test_whole_findings_are_kept_in_their_order() -> None:
    found = [Finding("r", f"{number} " + "m" * 1_000) for number in range(100)]
    kept, _ = fitted(MemoryBlobs(), found)
    assert list(kept[:-1]) == found[: len(kept) - 1]
    assert len(kept) > 10
    assert kept[-1].message.startswith(f"and {101 - len(kept)} more findings")
    assert kept[-1].severity is Severity.ERROR


def test_what_only_people_may_see_stays_so() -> None:
    blobs = MemoryBlobs()
    kept, evidence = fitted(blobs, [replace(LONG, secret=True)] * 3)
    assert all(finding.secret for finding in kept)
    assert all(finding.secret for finding in whole(blobs, replace(verdict(*kept), evidence=evidence)).findings)
