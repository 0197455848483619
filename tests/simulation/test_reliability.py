"""What checking each handoff makes of workers that fail: simulated runs beside the arithmetic."""

from math import sqrt

from tests.simulation.reliability import measure


def test_simulated_runs_come_to_what_theory_says() -> None:
    found = measure(runs=300, p=0.3, attempts=3, stages=3)
    for measured, theory in (
        (found.success, found.success_in_theory),
        (found.ungated_success, found.ungated_in_theory),
    ):
        assert abs(measured - theory) < 4 * sqrt(theory * (1 - theory) / found.runs)
    handoffs = found.runs * found.success * 3  # at least; failures for each are geometric: variance p / (1 - p)^2
    assert abs(found.attempts_per_handoff - found.attempts_in_theory) < 4 * sqrt(0.3) / 0.7 / sqrt(handoffs)
    assert found.success > 2 * found.ungated_success
