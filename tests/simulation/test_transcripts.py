"""Whole simulated runs, event by event: what is wanted after each, and how people are shown it.

`INTERLOCK_WRITE_EXPECTED=1 pytest tests/simulation/test_transcripts.py` writes `transcripts/` anew: then read the
difference in git. A change of the simulation changes all of them; a change of the protocol, what it is about.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.simulation.chance import Scenario
from tests.simulation.simulate import Simulation
from tests.simulation.transcripts import transcript

FOLDER = Path(__file__).parent / "transcripts"
WRITE = bool(os.environ.get("INTERLOCK_WRITE_EXPECTED"))  # read now: tests run without it
# Together they reach nearly all that 200 such runs reach of `core` and `readmodel`.
SEEDS = (60_203, 60_028, 60_178, 60_029, 60_196, 60_101, 60_015, 60_119, 60_024, 60_166)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_is_as_it_was(seed: int) -> None:
    simulation = Simulation(Scenario(seed, stages_max=3))
    result = simulation.run()
    assert result.violation is None
    text = transcript(simulation.pipeline, result.history)
    expected = FOLDER / f"{seed}.txt"
    if WRITE:
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")
