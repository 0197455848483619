"""Where a run is: one whose history cannot be read, and one that a server drives."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from tests.unit.core.histories import ACCEPTED, ASKED, DELIVERING, PIPELINE, WORKING
from tests.unit.readmodel.test_history import seen

from interlock.core.events import Event, RunStarted
from interlock.core.state import Spending
from interlock.readmodel.run import RunPhase, RunSummary, describe, unreadable

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


@pytest.mark.parametrize("owner", ["", "temporal", "process 7"])
@pytest.mark.parametrize(
    ("events", "phases"),
    [
        (WORKING, ("interrupted", "running", "running")),
        (ASKED, ("waiting", "waiting", "waiting")),
        (ACCEPTED, ("interrupted", "interrupted", "running")),
        (DELIVERING, ("interrupted", "interrupted", "running")),
    ],
)
def test_of_what_a_server_drives_only_the_delivery_needs_a_process_here(
    events: tuple[Event, ...], phases: tuple[str, ...], owner: str
) -> None:
    started = events[0]
    assert isinstance(started, RunStarted)
    view = describe(PIPELINE, seen(replace(started, engine="temporal"), *events[1:]), owner)
    assert view.phase == phases[("", "temporal", "process 7").index(owner)]
    assert view.is_remote == (owner == "temporal")
    there = "it waits for its repository: `interlock resume r` there"
    assert (there in view.why) == (view.is_remote and view.phase is RunPhase.INTERRUPTED)
    assert view.word == ("unattended" if there in view.why else view.phase)
