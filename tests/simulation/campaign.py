"""Many simulated runs: on several processes, with coverage of the transition table, failures shrunk.

scripts/simulate --runs N --seed S [--workers W]
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from tests.simulation.chance import Fault, Scenario
from tests.simulation.fate import Violation
from tests.simulation.simulate import Result, simulate

from interlock.core.state import TRANSITIONS, trigger_name

BATCH = 50  # runs between two collections
CHUNK = 250  # runs that a worker does before it reports
NEIGHBOURS = 50  # seeds tried for each simpler scenario while shrinking


@dataclass(slots=True)
class Tally:
    """What a campaign saw. `failures` are the scenarios in which a promise did not hold."""

    runs: int = 0
    events: int = 0
    owners: int = 0
    steps_most: int = 0
    took_s: float = 0.0
    status: Counter[str] = field(default_factory=Counter)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[tuple[Scenario, str]] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.runs += 1
        self.events += result.events
        self.owners += result.owners
        self.steps_most = max(self.steps_most, result.steps)
        self.status[result.status] += 1
        self.seen.update(result.seen)
        if result.violation is not None:
            self.failures.append((result.scenario, str(result.violation)))

    def merge(self, other: Tally) -> None:
        self.runs += other.runs
        self.events += other.events
        self.owners += other.owners
        self.steps_most = max(self.steps_most, other.steps_most)
        self.status.update(other.status)
        self.seen.update(other.seen)
        self.failures.extend(other.failures)


def campaign(seed: int, runs: int) -> Tally:
    """`runs` simulated runs from `seed` on, in this process."""
    tally = Tally()
    gc.disable()  # what a run leaves behind is one large cycle: collected a batch at a time
    try:
        for number in range(seed, seed + runs):
            tally.add(simulate(Scenario(number)))
            if number % BATCH == 0:
                gc.collect(1)
    finally:
        gc.enable()
    return tally


def campaign_on(workers: int, seed: int, runs: int) -> Tally:
    """The same on `workers` processes; the sum does not depend on how the runs were dealt out."""
    began = time.monotonic()
    chunks = [(start, min(CHUNK, seed + runs - start)) for start in range(seed, seed + runs, CHUNK)]
    tally = Tally()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for part in pool.imap(_chunk, chunks):
            tally.merge(part)
    tally.took_s = time.monotonic() - began
    return tally


def missing(tally: Tally) -> list[str]:
    """Transitions of the table that no run took."""
    wanted = {(str(phase), trigger_name(trigger)) for phase, trigger in TRANSITIONS}
    return sorted(f"{phase} on {event}" for phase, event in wanted - {(str(p), e) for p, e in tally.seen})


def summary(tally: Tally) -> str:
    """The campaign as text: how many, how they ended, how often each transition was taken."""
    ends = ", ".join(f"{count} {status}" for status, count in sorted(tally.status.items()))
    counts = {(str(phase), event): count for (phase, event), count in tally.seen.items()}
    lines = [
        f"{tally.runs} runs, {tally.events} events, {tally.owners} owners, {tally.took_s:.1f} s: {ends}",
        *(
            f"  {phase:9} {trigger_name(trigger):21} {counts.get((str(phase), trigger_name(trigger)), 0):8}"
            for phase, trigger in TRANSITIONS
        ),
        f"never taken: {', '.join(missing(tally)) or 'none'}; promises broken: {len(tally.failures)}",
    ]
    return "\n".join(lines)


def coverage(tally: Tally) -> dict[str, int]:
    """The counts of a campaign by name, in a form that passes between processes."""
    taken = {f"{phase} on {event}": count for (phase, event), count in tally.seen.items()}
    return {"runs": tally.runs, "events": tally.events, "failures": len(tally.failures), **taken}


def report(parts: Iterable[dict[str, int]]) -> Iterator[str]:
    """Several of these together: each transition of the table, and how often it was taken."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part)
    yield f"{counts['runs']} runs, {counts['events']} events; promises broken: {counts['failures']}"
    for phase, trigger in TRANSITIONS:
        taken = counts[f"{phase} on {trigger_name(trigger)}"]
        yield f"  {phase:9} {trigger_name(trigger):21} {taken or 'never taken':>11}"


def shrink(scenario: Scenario) -> Result:
    """The shortest failing history found with fewer stages, fewer faults and a shorter prefix of them."""
    best = simulate(scenario)
    if best.violation is None:
        return best
    promise = best.violation.promise
    improved = True
    while improved:
        improved = False
        for simpler in _simpler(best.scenario):
            found = _first_failure(simpler, promise, len(best.history))
            if found is not None:
                best, improved = found, True
                break
    return best


def tell(result: Result) -> str:
    """A failure as text: what did not hold, the scenario that shows it, and its history."""
    scenario = result.scenario
    faults = ", ".join(sorted(scenario.faults)) or "none"
    lines = [
        str(result.violation),
        f"seed {scenario.seed}, at most {scenario.stages_max} stages, faults: {faults}; none after event "
        f"{scenario.quiet_after}",
        *(f"  {record.seq:4} {str(record.event)[:200]}" for record in result.history),
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="the first one; the runs take it and those that follow")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    chosen = parser.parse_args(arguments)
    tally = campaign_on(chosen.workers, chosen.seed, chosen.runs)
    print(summary(tally))
    for scenario, _ in tally.failures[:3]:
        print(tell(shrink(scenario)), file=sys.stderr)
    return 1 if tally.failures or missing(tally) else 0


def _chunk(dealt: tuple[int, int]) -> Tally:
    return campaign(*dealt)


def _simpler(scenario: Scenario) -> Iterator[Scenario]:
    for count in range(1, scenario.stages_max):
        yield replace(scenario, stages_max=count)
    for fault in sorted(scenario.faults):
        yield scenario.without(Fault(fault))
    for prefix in (5, 10, 20, 40, 80):
        if prefix < scenario.quiet_after:
            yield replace(scenario, quiet_after=prefix)


def _first_failure(scenario: Scenario, promise: str, shorter_than: int) -> Result | None:
    """With the same seed or one of its neighbours."""
    seeds = range(scenario.seed, scenario.seed + NEIGHBOURS)
    results = (simulate(replace(scenario, seed=seed)) for seed in seeds)
    fitting = (found for found in results if _fails(found, promise) and len(found.history) < shorter_than)
    return next(islice(fitting, 1), None)


def _fails(result: Result, promise: str) -> bool:
    return isinstance(result.violation, Violation) and result.violation.promise == promise


if __name__ == "__main__":
    sys.exit(main())
