"""The run gate: a command in a checkout of its own, judged by its exit code and its report.

Rule: exactly the same is judged once; `repeat` runs it again on the same tree, keeps every run, and
where they disagree nothing is decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from interlock.core.events import Evidence, Finding, VerdictStatus
from interlock.gates.bench import Bench
from interlock.gates.caching import recall, remember
from interlock.gates.findings import bounded
from interlock.gates.fingerprint import verdict_key
from interlock.gates.held_out import HeldOutMissing
from interlock.gates.locks import held, slot
from interlock.gates.running import Ran, run_once
from interlock.gates.verdicts import HINDRANCES, verdict
from interlock.ports import Cancel, Case, Judgement


def judge(bench: Bench, case: Case, cancel: Cancel) -> Judgement:
    """What the command said of the candidate. Raises Cancelled, and InfrastructureError for the machine."""
    try:
        key = verdict_key(case, bench.environ, bench.held_out)
    except HeldOutMissing as error:
        return Judgement(VerdictStatus.ERRORED, (Finding("held_out", str(error), secret=True),), permanent=True)
    if not case.gate.cached or case.pipeline.carry:  # what is carried in has no digest that we know of
        return replace(_judged(bench, case, cancel), digest=key)
    with bench.flights.alone(key, cancel):
        kept = recall(bench.journal, bench.blobs, key)
        if kept is not None:
            return kept
        judgement = replace(_judged(bench, case, cancel), digest=key)
        if not any(finding.rule in HINDRANCES for finding in judgement.findings):  # a slow machine is no verdict
            remember(bench.journal, key, judgement)
        return judgement


def _judged(bench: Bench, case: Case, cancel: Cancel) -> Judgement:
    with _turn(bench, case, cancel) as number:
        judgements = [_judged_once(bench, case, number, cancel) for _ in range(max(1, case.gate.repeat))]
    return judgements[0] if len(judgements) == 1 else _agreed(judgements)


@contextmanager
def _turn(bench: Bench, case: Case, cancel: Cancel) -> Iterator[int]:
    with held(bench.locks, case.gate.exclusive, cancel), slot(bench.slots, cancel) as number:
        yield number


def _judged_once(bench: Bench, case: Case, number: int, cancel: Cancel) -> Judgement:
    ran: Ran = run_once(bench, case, number, cancel)
    judgement = verdict(case, ran)
    findings = bounded(judgement.findings, secret=bool(case.gate.held_out))
    return replace(judgement, findings=findings, evidence=ran.evidence)


def _agreed(judgements: Sequence[Judgement]) -> Judgement:
    """The verdict of runs that agree; else errored and flaky. Every run is kept as evidence."""
    evidence = tuple(_numbered(judgements))
    voices = {(judgement.status, _blamed(judgement)) for judgement in judgements}
    if len(voices) == 1:
        return replace(judgements[0], evidence=evidence)
    said = ", ".join(judgement.status for judgement in judgements)
    message = f"the same tree was judged {len(judgements)} times and not alike ({said}): mend the flaky check"
    others = dict.fromkeys(finding for judgement in judgements for finding in judgement.findings)
    return Judgement(VerdictStatus.ERRORED, (Finding("flaky", message), *others), evidence, flaky=True)


def _blamed(judgement: Judgement) -> frozenset[str]:
    """What a verdict hangs on, without texts that name times or addresses."""
    about_tests = (finding.message for finding in judgement.findings if finding.rule.startswith("test_"))
    return frozenset(message.split(" failed", 1)[0] for message in about_tests)


def _numbered(judgements: Sequence[Judgement]) -> Iterator[Evidence]:
    for number, judgement in enumerate(judgements, 1):
        for item in judgement.evidence:
            yield item if number == 1 else replace(item, name=f"{item.name}.{number}")
