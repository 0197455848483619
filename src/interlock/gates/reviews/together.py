"""What the opinions of several reviewers come to.

Rule: pure. Enough approvals pass; where even the silent ones could not bring them about, it fails; an escalation
fails it whatever the others say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from interlock.core.events import Finding, Severity, Usage, VerdictStatus
from interlock.gates.kinds.review import Review
from interlock.gates.reviews.answers import Said
from interlock.gates.reviews.kept import ASKED_MAX, Opinion
from interlock.ports import Judgement


def together(review: Review, opinions: Sequence[Opinion]) -> Judgement:
    status = _status(review, opinions)
    silent = [opinion for opinion in opinions if opinion.answer is None]
    findings = [_silence(opinion) for opinion in silent]
    if status is not VerdictStatus.ERRORED:
        findings = [replace(finding, severity=Severity.NOTE) for finding in findings]
        findings += [finding for opinion in opinions for finding in _counted(opinion, status)]
    return Judgement(
        status,
        tuple(findings),
        tuple(item for opinion in opinions for item in opinion.evidence),
        usage=total(opinion.usage for opinion in opinions),
        retry_at=max((opinion.retry_at for opinion in silent), default=0.0),
        permanent=bool(silent) and all(opinion.permanent or opinion.asked >= ASKED_MAX for opinion in silent),
        quota=bool(silent) and all(opinion.quota for opinion in silent),
    )


def is_settled(review: Review, opinions: Sequence[Opinion]) -> bool:
    """Whether nothing that the reviewers who are still to answer could say lets the candidate through. An approval
    settles nothing: who is still to answer may ask for a person."""
    answers = [opinion.answer for opinion in opinions if opinion.answer is not None]
    if any(answer.said is Said.ESCALATE for answer in answers):
        return True
    refusals = sum(answer.said is not Said.APPROVE for answer in answers)
    return len(review.by) - refusals < review.approvals


def total(usages: Iterable[Usage]) -> Usage:
    """Of all of them: tokens as far as they are known, and a cost where all of it is."""
    every = list(usages)
    return Usage(
        _known([usage.tokens_in for usage in every]),
        _known([usage.tokens_out for usage in every]),
        _known([usage.tokens_cached for usage in every]),
        _cost([usage.cost_usd for usage in every]),
    )


def _status(review: Review, opinions: Sequence[Opinion]) -> VerdictStatus:
    answers = [opinion.answer for opinion in opinions if opinion.answer is not None]
    if any(answer.said is Said.ESCALATE for answer in answers):
        return VerdictStatus.FAILED
    approvals = sum(answer.said is Said.APPROVE for answer in answers)
    if approvals >= review.approvals:
        return VerdictStatus.PASSED
    silent = len(opinions) - len(answers)
    return VerdictStatus.ERRORED if approvals + silent >= review.approvals else VerdictStatus.FAILED


def _counted(opinion: Opinion, status: VerdictStatus) -> Iterable[Finding]:
    """Its findings. What is asked for beside enough approvals is a note; what only a person can answer says so."""
    answer = opinion.answer
    if answer is None:
        return
    for finding in answer.findings:
        if answer.said is Said.ESCALATE:
            yield replace(finding, severity=Severity.ERROR, reason="escalate")
        elif status is VerdictStatus.PASSED and finding.severity is Severity.ERROR:
            yield replace(finding, severity=Severity.WARNING)
        else:
            yield finding


def _silence(opinion: Opinion) -> Finding:
    if opinion.ended:
        message = "was ended before it answered: with what the others said, it could change the verdict no more"
        return Finding(opinion.reviewer, message)
    return Finding(opinion.reviewer, f"gave no verdict: {opinion.why}")


def _known(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _cost(amounts: Sequence[float | None]) -> float | None:
    return None if None in amounts else sum(amount for amount in amounts if amount is not None)
