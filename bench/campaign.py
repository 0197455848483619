"""(d) 1,000 simulated runs of four stages, one attempt in five wrong, beside theory and beside no gates at all."""

from __future__ import annotations

from dataclasses import asdict

from tests.simulation.reliability import measure as simulated


def measure() -> dict[str, float]:
    """Rates of runs that end right, and attempts for each accepted handoff."""
    return asdict(simulated(runs=1_000, p=0.2, attempts=3, stages=4))
