"""What a run may spend, and what it has: the limits of the run and of its stages. Pure.

Rule: all counts: failed attempts and reviews too. What nobody could tell is not known, which is never nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from interlock.core.effects import Remaining
from interlock.core.pipeline import Limits, Pipeline
from interlock.core.state import RunState, Spending

NEAR = 0.8  # of a limit, from which on it is shown
OF_RUN = ("attempts", "tokens", "cost_usd", "wall")
OF_STAGE = ("attempts", "tokens", "cost_usd")


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """How much of a limit is used, in its own unit; `name` is that of `resume --raise`, such as `tokens` or
    `code.tokens`."""

    name: str
    used: float
    bound: float
    near: bool  # four fifths of it or more


def amounts(pipeline: Pipeline, state: RunState) -> tuple[LimitUsage, ...]:
    """Every limit that is set: of the run, then of its stages."""
    return tuple(_all(pipeline, state, state.stages))


def limit_reached(pipeline: Pipeline, state: RunState, stage: str, *, reviewing: bool = False) -> str:
    """The limit that stops a new attempt at `stage`, or a review, and how much of it is used; empty where none does."""
    for amount in _all(pipeline, state, (stage,)):
        counts_attempts = amount.name.rpartition(".")[2] == "attempts"
        if amount.used >= amount.bound and not (reviewing and counts_attempts):
            return f"{amount.name}: {amount.used:g} of {amount.bound:g} used"
    return ""


def remaining(pipeline: Pipeline, state: RunState, stage: str) -> Remaining:
    """Of the run's limits and the stage's own, the least."""
    rest: dict[str, float] = {}
    for amount in _all(pipeline, state, (stage,)):
        unit = amount.name.rpartition(".")[2]
        rest[unit] = min(rest.get(unit, inf), max(0.0, amount.bound - amount.used))
    return Remaining(rest.get("tokens", inf), rest.get("cost_usd", inf))


def attempts_left(pipeline: Pipeline, state: RunState) -> float:
    """Of the run's attempts, those that are not charged yet."""
    return pipeline.limits.attempts + state.raised.get("attempts", 0.0) - state.spent.attempts


def limit_names(stages: Iterable[str]) -> tuple[str, ...]:
    """Every limit that can be raised."""
    return (*OF_RUN, *(f"{stage}.{name}" for stage in stages for name in OF_STAGE))


def _all(pipeline: Pipeline, state: RunState, stages: Iterable[str]) -> Iterator[LimitUsage]:
    yield from _amounts(pipeline.limits, state.spent, OF_RUN, "", state)
    for name in stages:
        limits = pipeline.stage(name).limits
        yield from _amounts(limits, state.stages[name].spent, OF_STAGE, f"{name}.", state)


def _amounts(
    limits: Limits, spent: Spending, names: Iterable[str], prefix: str, state: RunState
) -> Iterator[LimitUsage]:
    known: dict[str, tuple[float, float]] = {
        "attempts": (spent.attempts, limits.attempts),
        "tokens": (spent.tokens, limits.tokens),
        "cost_usd": (spent.cost_usd, limits.cost_usd),
        "wall": (spent.wall_s, limits.wall_s),
    }
    for name in names:
        used, limit = known[name]
        if limit:
            bound = limit + state.raised.get(f"{prefix}{name}", 0.0)
            yield LimitUsage(f"{prefix}{name}", used, bound, used >= NEAR * bound)
