"""The arithmetic of gates: what checking each handoff makes of workers that fail with a known rate.

Attempts fail independently with probability `p`, and a gate sees every failure; that is the ideal that a
pipeline can be measured against, and no promise about agents.
"""

from __future__ import annotations


def handoff_success(p: float, attempts: int) -> float:
    """Probability that one of `attempts` tries passes: 1 - p^k. Raises ValueError for what is no probability."""
    if not 0 <= p <= 1 or attempts < 1:
        raise ValueError(f"p is {p} and attempts is {attempts}: expected 0 <= p <= 1 and at least one attempt")
    return 1.0 - float(p**attempts)


def run_success(p: float, attempts: int, stages: int) -> float:
    """Probability that all `stages` in a row are accepted: (1 - p^k)^n."""
    return float(handoff_success(p, attempts) ** stages)


def ungated_success(p: float, stages: int) -> float:
    """The same with one try each and nobody looking: (1 - p)^n."""
    return run_success(p, 1, stages)


def attempts_per_handoff(p: float) -> float:
    """Attempts for each accepted handoff, those of given-up stages included: 1 / (1 - p), whatever the bound.

    A stage has (1 - p^k) / (1 - p) attempts on average and is accepted with probability 1 - p^k.
    Raises ValueError where nothing is ever accepted.
    """
    if not 0 <= p < 1:
        raise ValueError(f"p is {p}: expected 0 <= p < 1")
    return 1.0 / (1.0 - p)
