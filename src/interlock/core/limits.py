"""Limits: what a run and its stages may spend, and how often an effect is tried before a person is asked. Pure.

Rule: everything counts, failed attempts and reviews too. A cost that nobody reported is unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import assert_never

from interlock.core.effects import (
    AcceptHandoff,
    CheckWhen,
    DeliverBranch,
    Effect,
    FinishRun,
    Pause,
    PrepareInput,
    RejectCandidate,
    Remaining,
    WaitUntil,
)
from interlock.core.events import PauseReason, RunStatus, VerdictGiven
from interlock.core.pipeline import Limits, Pipeline
from interlock.core.state import QUOTA_WAIT_MAX_S, QuotaWait, RunState, Spending, StageState

NEAR = 0.8  # of a limit, from which on it is shown
OF_RUN = ("attempts", "tokens", "cost_usd", "wall")
OF_STAGE = ("attempts", "tokens", "cost_usd")


Numbered = PrepareInput | CheckWhen | AcceptHandoff | RejectCandidate | DeliverBranch
TRIES_MAX = 3  # of one effect, gate or attempt in a row
WAIT_MAX_S = 90_000.0  # of one wait: a day, the longest one of a year too; then it is tried again
QUOTA_WAITS_MAX = 50  # in a row, beside those that `quota_wait` has room for: one that never resets is no quota
MACHINE = "infrastructure"  # the rule of findings that tell of the machine, and not of what was judged


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


def effect_key(effect: Numbered) -> str:
    """The name under which failures of an effect are counted: its kind and its target."""
    match effect:
        case PrepareInput() | CheckWhen():
            return f"{type(effect).__name__} {effect.subject}"
        case AcceptHandoff() | RejectCandidate():
            return f"{type(effect).__name__} {effect.attempt}"
        case DeliverBranch():
            return type(effect).__name__
        case _:
            assert_never(effect)


def bounded(state: RunState, effect: Numbered, stage: str, reason: PauseReason) -> Iterator[Effect]:
    """`effect` with its try number; a wait or a pause where it has failed before."""
    error = state.errors.get(effect_key(effect))
    if error is None:
        yield effect
    elif error.permanent or error.number >= TRIES_MAX:
        yield Pause(stage, reason, error.why)
    elif error.retry_at > state.now:
        yield WaitUntil(error.retry_at, error.why)
    else:
        yield replace(effect, number=error.number + 1)


def tried_again_at(now: float, backoff_s: float, tries: int) -> float:
    """When to try again after `tries` failures: after 1, 4, 16... times the backoff, a minute at most."""
    return now + min(60.0, backoff_s * float(4 ** min(tries, 6)))


def quota_waits_max(pipeline: Pipeline) -> int:
    return QUOTA_WAITS_MAX + int(pipeline.quota_wait_s // QUOTA_WAIT_MAX_S)


def waited_enough(pipeline: Pipeline, waited: QuotaWait, retry_at: float) -> bool:
    """Whether a quota is not waited for any more, the newest wait for which would end at `retry_at`."""
    untold_s = retry_at - waited.untold if waited.untold else 0.0
    return untold_s > pipeline.quota_wait_s or waited.waits >= quota_waits_max(pipeline)


def undecided(stage: str, gate: str, verdict: VerdictGiven, now: float) -> Effect | None:
    """A wait or a pause where the gate could not decide before; None where it is to be asked again."""
    why = f"gate {gate}: {first_message(verdict)}"
    if verdict.permanent or verdict.number >= TRIES_MAX:
        return Pause(stage, PauseReason.INFRASTRUCTURE, why)
    return WaitUntil(verdict.retry_at, why) if verdict.retry_at > now else None


def undecided_review(pipeline: Pipeline, of: StageState, verdict: VerdictGiven, now: float) -> Effect | None:
    """As `undecided`, of a gate that may wait for a quota: those waits are no tries."""
    stage, gate = verdict.subject.stage, verdict.gate.partition("/")[2]
    waited = of.gates_waited.get(verdict.gate, QuotaWait())
    if not verdict.quota:
        return undecided(stage, gate, replace(verdict, number=verdict.number - waited.waits), now)
    why = f"gate {gate}: {first_message(verdict)}"
    if waited_enough(pipeline, waited, verdict.retry_at):
        return Pause(stage, PauseReason.INFRASTRUCTURE, why)
    return WaitUntil(verdict.retry_at, why, waited.since) if verdict.retry_at > now else None


def unjudged_base(verdict: VerdictGiven) -> Effect:
    """The end of a run whose base a gate cannot judge; a pause where it was the machine that kept it from that."""
    why = f"gate {verdict.gate} cannot run on the base: {first_message(verdict)}"
    if not verdict.permanent and verdict.findings and verdict.findings[0].rule == MACHINE:
        return Pause("", PauseReason.INFRASTRUCTURE, why)
    return FinishRun(RunStatus.STOPPED, why)


def first_message(verdict: VerdictGiven) -> str:
    return verdict.findings[0].message if verdict.findings else verdict.status
