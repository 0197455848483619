"""Where the spending of a run went: by stage, by agent, and on rejected work. Pure, from its past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from interlock.core.judging import find_gate
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState, Spending
from interlock.readmodel.history import AttemptPhase, AttemptView, Past, VerdictView

_UNDECIDED = (AttemptPhase.WORKING, AttemptPhase.JUDGING)


@dataclass(frozen=True, slots=True)
class CostShare:
    """`of` is a stage, or an agent; of a gate that several agents decided, all of them with ` + ` between."""

    of: str
    spent: Spending
    reviews: int = 0  # verdicts that reviewers gave; they are no attempts


@dataclass(frozen=True, slots=True)
class Costs:
    """Largest first. `rejected` is what went into attempts, and their reviews, that did not come to be the result."""

    by_stage: tuple[CostShare, ...] = ()
    by_agent: tuple[CostShare, ...] = ()
    rejected: Spending = field(default_factory=Spending)


@dataclass(frozen=True, slots=True)
class _Charge:
    stage: str
    agent: str
    spent: Spending
    lost: bool
    reviews: int = 0


def costs(pipeline: Pipeline, state: RunState, past: Past) -> Costs:
    """Of all that the run's agents did."""
    charges = [charge for name in state.stages for charge in _of_stage(pipeline, state, past, name)]
    rejected = _sum(charge.spent for charge in charges if charge.lost)
    by_stage = _shares((charge.stage, charge) for charge in charges)
    return Costs(by_stage, _shares((charge.agent, charge) for charge in charges), rejected)


def _of_stage(pipeline: Pipeline, state: RunState, past: Past, name: str) -> Iterator[_Charge]:
    for verdict in past.on_input.get(name, ()):
        yield from _review(pipeline, name, verdict, lost=False)
    for attempt in past.of_stage(name):
        lost = not _is_taken(attempt, state.stages[name].epoch)
        if attempt.agent and attempt.phase is not AttemptPhase.WORKING:
            spent = Spending().plus(attempt.usage, 1 if attempt.commit else 0)
            yield _Charge(name, attempt.agent, spent, lost)
        for verdict in attempt.verdicts:
            yield from _review(pipeline, name, verdict, lost=lost)


def _is_taken(attempt: AttemptView, epoch: int) -> bool:
    """Accepted and still standing, or not yet decided."""
    standing = attempt.phase is AttemptPhase.ACCEPTED or attempt.phase in _UNDECIDED
    return standing and attempt.id.epoch == epoch


def _review(pipeline: Pipeline, stage: str, view: VerdictView, *, lost: bool) -> Iterator[_Charge]:
    verdict = view.verdict
    if verdict.hard or verdict.by:
        return
    options = find_gate(pipeline, verdict.gate)[1].options
    if options is not None and options.agents:
        given = 0 if verdict.cached else 1
        yield _Charge(stage, " + ".join(options.agents), Spending().plus(verdict.usage, 0), lost, given)


def _shares(charges: Iterator[tuple[str, _Charge]]) -> tuple[CostShare, ...]:
    shares: dict[str, CostShare] = {}
    for of, charge in charges:
        former = shares.get(of, CostShare(of, Spending()))
        shares[of] = CostShare(of, _plus(former.spent, charge.spent), former.reviews + charge.reviews)
    return tuple(sorted(shares.values(), key=lambda share: (-share.spent.cost_usd, -share.spent.tokens, share.of)))


def _sum(spent: Iterator[Spending]) -> Spending:
    total = Spending()
    for one in spent:
        total = _plus(total, one)
    return total


def _plus(one: Spending, other: Spending) -> Spending:
    return Spending(
        one.attempts + other.attempts,
        one.tokens + other.tokens,
        one.cost_usd + other.cost_usd,
        one.cost_known and other.cost_known,
    )
