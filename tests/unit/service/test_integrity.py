"""A look at the evidence sees what is gone or cut short, and has a bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core.events import CandidateRejected, Evidence, HandoffAccepted, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.journal import FileBlobs, MemoryJournal
from interlock.service import integrity

ONE = AttemptId("code", 1, 1)


def test_what_the_newest_events_name_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, blobs = MemoryJournal(), FileBlobs(tmp_path)
    log, record, told = blobs.put(b"a log"), blobs.put(b"a record"), blobs.put(b"feedback")
    given = VerdictGiven(ONE, "code/test", 1, VerdictStatus.PASSED, evidence=(Evidence("log", log, 5),))
    journal.create("old", 0.0, given)
    journal.create("new", 0.0, given)
    fence = journal.take("new")
    journal.append("new", fence, 1, 0.0, CandidateRejected(ONE, "t", told, ""))
    journal.append("new", fence, 2, 0.0, HandoffAccepted(ONE, "c", "t", record))
    runs, records = ["new", "old"], journal.records
    assert integrity.check_evidence(records, blobs, runs) == integrity.EvidenceCheck(3, ())
    blobs.path(record).unlink()
    blobs.path(log).chmod(0o644)
    blobs.path(log).write_bytes(b"a l")
    assert integrity.check_evidence(records, blobs, runs) == integrity.EvidenceCheck(3, (("new", record), ("new", log)))
    monkeypatch.setattr(integrity, "EVIDENCE_CHECKED_MAX", 1)
    assert integrity.check_evidence(records, blobs, runs) == integrity.EvidenceCheck(1, (("new", record),))
