"""How the story of a run tells that it was cut off or ended."""

from __future__ import annotations

import pytest

from interlock.cli.lines import Story
from interlock.core.events import AttemptLost, Event, Recorded, RunFinished, RunStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            AttemptLost(AttemptId("code", 1, 1), "its owner drives the run no more"),
            "cut off: its owner drives the run no more; no attempt is charged",
        ),
        (RunFinished(RunStatus.CANCELLED, "cancelled by me: enough"), "cancelled by me: enough"),
        (RunFinished(RunStatus.STOPPED, "the base is red"), "stopped: the base is red"),
        (RunFinished(RunStatus.ACCEPTED, ""), "accepted"),
    ],
)
def test_one_line(event: Event, words: str) -> None:
    told = Story(Pipeline("p", ())).told(Recorded(1, 0.0, event))
    assert told is not None
    assert told.text == words
