"""A run whose history cannot be read: what is shown of it, and the way out."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from interlock.core.state import Spending
from interlock.readmodel.run import RunPhase, RunSummary, unreadable

NOTHING_KNOWN = {
    "pipeline": "", "task": "", "base_commit": "", "sandbox": "", "by": "", "started_at": 0.0, "at": 0.0, "seq": 0,
    "owner": "", "spent": asdict(Spending()), "limits": (), "waits": (), "branch": "", "commit": "",
    "sleeps_until": 0.0, "sleeps_since": 0.0, "overrides": (), "progress": (),
    "engine": "", "behind": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("damaged", "phase", "way_out"),
    [(True, RunPhase.DAMAGED, "interlock doctor --set-aside r1"), (False, RunPhase.UNREADABLE, "")],
)
def test_of_a_run_that_cannot_be_read_only_its_name_and_the_reason_are_known(
    damaged: bool, phase: RunPhase, way_out: str
) -> None:
    view: RunSummary = unreadable("r1", "event 7 is missing", damaged=damaged)
    assert asdict(view) == {"id": "r1", "why": "event 7 is missing", "phase": phase, **NOTHING_KNOWN}
    assert not view.is_readable
    assert view.way_out == way_out
