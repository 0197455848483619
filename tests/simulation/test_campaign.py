"""The campaign: 300 seeded runs at each push, 20,000 at night, in shares that may go to different processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import get_args

import pytest
from tests.nightly import rest_at_night
from tests.simulation.campaign import Tally, campaign, coverage, main, missing, report, shrink, tell
from tests.simulation.chance import Scenario
from tests.simulation.simulate import Simulation, check_fold, simulate

from interlock.core.effects import Effect
from interlock.core.state import TRANSITIONS, trigger_name
from interlock.core.wire import decode_effect, encode_effect
from interlock.execution.ledger import Ledger

RUNS = 20_000
PUSHED = 300
SHARE = 2_000  # large enough that each takes every transition: the rarest comes a few times in a thousand

# Seeds that once broke a promise: a branch delivered beside the answer that sent it back, inputs prepared and gates
# asked by a former owner, a script's refused result kept, a claim after an answer, an agent tried after it was
# given up because another waited for its quota, a delivery beside its former try.
REGRESSIONS = (
    37,
    46,
    81,
    107,
    135,
    150,
    206,
    230,
    247,
    268,
    273,
    339,
    394,
    494,
    5546,
    33037,
    52511,
    501034,
    501726,
    2000403,
    2003074,
    2011091,
)


@pytest.mark.parametrize(
    ("seed", "runs"), rest_at_night([(0, PUSHED), *((seed, SHARE) for seed in range(0, RUNS, SHARE))])
)
def test_every_promise_holds_after_every_event_and_every_transition_is_taken(
    seed: int, runs: int, record_property: Callable[[str, object], None]
) -> None:
    tally = campaign(seed, runs)
    record_property("simulated", coverage(tally))  # the end of the test session reports the sum
    for scenario, _ in tally.failures[:1]:
        pytest.fail(f"{len(tally.failures)} of {runs} runs:\n{tell(shrink(scenario))}")
    assert missing(tally) == []
    assert tally.status["unfinished"] == 0


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_failed_holds(seed: int) -> None:
    result = simulate(Scenario(seed))
    assert result.violation is None, tell(result)


def test_a_transition_that_is_never_taken_is_named_and_fails_the_campaign(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", "1", "--seed", "3", "--workers", "1"]) == 1
    said = capsys.readouterr().out
    assert "never taken: " in said
    assert "never taken: none" not in said
    assert "promises broken: 0" in said


def test_each_transition_of_the_table_is_asked_for() -> None:
    tally = Tally()
    tally.seen.update((phase, trigger_name(trigger)) for phase, trigger in TRANSITIONS)
    assert missing(tally) == []
    for phase, trigger in TRANSITIONS:
        without = Tally(seen=tally.seen - Counter({(phase, trigger_name(trigger)): 1}))
        assert missing(without) == [f"{phase} on {trigger_name(trigger)}"]


def test_the_report_sums_what_several_processes_saw() -> None:
    parts = [coverage(campaign(seed, 2)) for seed in (0, 2)]
    text = "\n".join(report(parts))
    assert "4 runs" in text
    assert all(f"{phase:9} {trigger_name(trigger):21}" in text for phase, trigger in TRANSITIONS)


def test_the_same_seed_is_the_same_run() -> None:
    first, second = simulate(Scenario(17)), simulate(Scenario(17))
    assert first.history == second.history


@pytest.mark.parametrize("seed", range(40))
def test_the_history_folds_to_what_the_last_owner_knew(seed: int) -> None:
    simulation = Simulation(Scenario(seed))
    simulation.run()
    check_fold(simulation)


def test_every_command_of_many_runs_is_read_back_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    plan = Ledger.next_effects

    def planned(ledger: Ledger) -> tuple[Effect, ...]:
        effects = plan(ledger)
        for effect in effects:
            assert decode_effect(encode_effect(effect)) == effect
            seen[type(effect).__name__] += 1
        return effects

    monkeypatch.setattr(Ledger, "next_effects", planned)
    for seed in range(100):
        assert simulate(Scenario(seed)).violation is None
    assert set(seen) == {cls.__name__ for cls in get_args(Effect)}
