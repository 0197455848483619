"""How people are told the phases of stages and attempts: nothing is at work in a run that nobody drives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.ids import AttemptId
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptPhase, AttemptView
from interlock.readmodel.run import RunPhase, StageView, attempt_word, stage_word

TRIED = AttemptView(AttemptId("code", 1, 1), AttemptPhase.WORKING, "coder", "", "", "t", 0.0)
ASKED = replace(TRIED, phase=AttemptPhase.JUDGING, asked=("code/look",))
NEW = StageView("code", (), Phase.READY, 1, "coder", (), None)


@pytest.mark.parametrize(
    ("phase", "attempts", "running", "interrupted", "cancelled"),
    [
        (Phase.WAITING, (), "waiting", "waiting", "not begun"),
        (Phase.READY, (), "ready", "ready", "not begun"),
        (Phase.READY, (TRIED,), "ready", "ready", "cancelled"),
        (Phase.WORKING, (TRIED,), "working", "interrupted", "cancelled"),
        (Phase.JUDGING, (TRIED,), "judging", "interrupted", "cancelled"),
        (Phase.JUDGING, (ASKED,), "judging", "judging", "cancelled"),
        (Phase.PAUSED, (TRIED,), "paused", "paused", "cancelled"),
        (Phase.REJECTED, (TRIED,), "rejected", "rejected", "rejected"),
        (Phase.ACCEPTED, (TRIED,), "accepted", "accepted", "accepted"),
        (Phase.SKIPPED, (), "skipped", "skipped", "skipped"),
    ],
)
def test_a_stage(
    phase: Phase, attempts: tuple[AttemptView, ...], running: str, interrupted: str, cancelled: str
) -> None:
    stage = replace(NEW, phase=phase, attempts=attempts)
    said = [stage_word(stage, run) for run in (RunPhase.RUNNING, RunPhase.INTERRUPTED, RunPhase.CANCELLED)]
    assert said == [running, interrupted, cancelled]


def test_an_attempt() -> None:
    runs = (RunPhase.RUNNING, RunPhase.WAITING, RunPhase.INTERRUPTED, RunPhase.CANCELLED)
    assert [attempt_word(TRIED, run) for run in runs] == ["working", "working", "interrupted", "cancelled"]
    assert [attempt_word(ASKED, run) for run in runs] == ["judging", "judging", "judging", "cancelled"]
    lost = replace(TRIED, phase=AttemptPhase.LOST)
    assert {attempt_word(lost, run) for run in runs} == {"lost"}
