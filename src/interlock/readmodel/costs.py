"""Where the spending of a run went: by stage, by agent, and on rejected work. Pure, from its past."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from interlock.core.events import Usage
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


class _Charge(NamedTuple):
    agent: str
    usage: Usage
    lost: bool
    attempts: int = 0
    reviews: int = 0


@dataclass(slots=True)
class _Sum:
    """It grows in place, since a run can have thousands of attempts and is shown at each of its events."""

    attempts: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    cost_known: bool = True
    reviews: int = 0

    def add(self, charge: _Charge) -> None:
        usage = charge.usage
        self.attempts += charge.attempts
        self.reviews += charge.reviews
        self.tokens += (usage.tokens_in or 0) + (usage.tokens_out or 0)
        self.cost_usd += usage.cost_usd or 0.0
        self.cost_known = self.cost_known and usage.cost_usd is not None

    def spending(self) -> Spending:
        return Spending(self.attempts, self.tokens, self.cost_usd, self.cost_known)


def costs(pipeline: Pipeline, state: RunState, past: Past) -> Costs:
    """Of all that the run's agents did."""
    by_stage: defaultdict[str, _Sum] = defaultdict(_Sum)
    by_agent: defaultdict[str, _Sum] = defaultdict(_Sum)
    rejected = _Sum()
    for name in state.stages:
        for charge in _of_stage(pipeline, state, past, name):
            by_stage[name].add(charge)
            by_agent[charge.agent].add(charge)
            if charge.lost:
                rejected.add(charge)
    return Costs(_shares(by_stage), _shares(by_agent), rejected.spending())


def _of_stage(pipeline: Pipeline, state: RunState, past: Past, name: str) -> Iterator[_Charge]:
    epoch = state.stages[name].epoch
    for verdict in past.on_input.get(name, ()):
        yield from _review(pipeline, verdict, lost=False)
    for attempt in past.of_stage(name):
        lost = not _is_taken(attempt, epoch)
        if attempt.agent and attempt.phase is not AttemptPhase.WORKING:
            yield _Charge(attempt.agent, attempt.usage, lost, attempts=1 if attempt.commit else 0)
        for verdict in attempt.verdicts:
            yield from _review(pipeline, verdict, lost=lost)


def _is_taken(attempt: AttemptView, epoch: int) -> bool:
    """Accepted and still standing, or not yet decided."""
    standing = attempt.phase is AttemptPhase.ACCEPTED or attempt.phase in _UNDECIDED
    return standing and attempt.id.epoch == epoch


def _review(pipeline: Pipeline, view: VerdictView, *, lost: bool) -> Iterator[_Charge]:
    verdict = view.verdict
    if verdict.hard or verdict.by:
        return
    options = find_gate(pipeline, verdict.gate)[1].options
    if options is not None and options.agents:
        yield _Charge(" + ".join(options.agents), verdict.usage, lost, reviews=0 if verdict.cached else 1)


def _shares(sums: Mapping[str, _Sum]) -> tuple[CostShare, ...]:
    shares = [CostShare(of, total.spending(), total.reviews) for of, total in sums.items()]
    return tuple(sorted(shares, key=lambda share: (-share.spent.cost_usd, -share.spent.tokens, share.of)))
