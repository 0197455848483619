"""What has no slot yet is no work, and what waits for its turn says so."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import pytest

from interlock.cli.listing import list_page
from interlock.cli.overview import Around, run_page, status_page
from interlock.cli.pages import full_page
from interlock.core.ids import AttemptId
from interlock.core.state import Phase
from interlock.gates.locks import Slots, WaitingWork
from interlock.ports import Cancelled
from interlock.readmodel.costs import Costs
from interlock.readmodel.history import AttemptPhase, AttemptView
from interlock.readmodel.run import RunPhase, RunSummary, RunView, StageView, unreadable

WAITS = WaitingWork("r1", "code/1.1", "", "waits for a slot: all 2 are taken")
TRIED = AttemptView(AttemptId("code", 1, 1), AttemptPhase.WORKING, "coder", "", "", "t", 0.0)
STAGE = StageView("code", (), Phase.WORKING, 1, "coder", (TRIED,), None)


def view() -> RunView:
    known: dict[str, Any] = {
        each.name: getattr(unreadable("r1", "", damaged=False), each.name) for each in fields(RunSummary)
    }
    known |= {"phase": RunPhase.RUNNING, "owner": "process 7"}
    return RunView(**known, stages=(STAGE,), base_verdicts=(), refused=0, answers=(), costs=Costs())


def test_a_worker_without_a_slot_is_queued() -> None:
    for page in (
        status_page(view(), Around((WAITS,))),
        run_page(view(), Around((WAITS,))),
        full_page(view(), (), (WAITS,)),
    ):
        said = click.unstyle("\n".join([*page, ""]))
        assert "○ code           queued" in said
        assert "\n    code/1.1 waits for a slot: all 2 are taken\n" in said
        assert "working" not in said
    gate = replace(WAITS, gate="test")
    assert "▶ code           working" in click.unstyle("\n".join(full_page(view(), (), (gate,))))


def test_the_list_tells_of_the_wait() -> None:
    others = replace(WAITS, run="r2")
    rows = [click.unstyle(line) for line in list_page([view()], 0.0, 0, (WAITS, others))]
    assert rows[1:] == ["    code/1.1 waits for a slot: all 2 are taken"]


@pytest.mark.parametrize(("count", "words"), [(1, "the only one is taken,"), (2, "all 2 are taken,")])
def test_how_many_are_taken(count: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def told(folder: Path, waits: WaitingWork) -> object:
        seen.append(waits.why)
        raise Cancelled

    monkeypatch.setattr("interlock.gates.locks.show_waiting", told)
    monkeypatch.setattr(Slots, "_try_slots", lambda _: None)
    with pytest.raises(Cancelled), Slots(tmp_path, count).acquire(threading.Event(), WAITS):
        pass
    assert seen == [f"waits for a slot: {words} over all your runs (`slots` in your settings)"]
