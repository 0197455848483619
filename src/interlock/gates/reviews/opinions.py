"""What reviewers said, kept in the journal's memory from one try of the gate to the next, and what it comes to.

Rule: who has answered is not asked again, what was paid counts once, and who gave no answer is asked ASKED_MAX times
in all until a person lets the run go on. Enough approvals pass; where even the silent ones could not bring them about,
it fails; an escalation fails it whatever the others say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from interlock.core.codec import object_reader, object_writer
from interlock.core.events import Evidence, Finding, Severity, Usage, VerdictStatus
from interlock.gates.cache import digest_of
from interlock.gates.kinds.review import Review
from interlock.gates.reviews.answers import AnswerRequirements, ReviewAnswer, ReviewDecision
from interlock.ports import GateRequest, Journal, Judgement

ASKED_MAX = 3  # times, until an answer matches the schema
_ANSWER = "review/1"
_TRY = "review-try/1"
_TRIES_MAX = 1_000  # of one gate on one candidate, people's answers in between


@dataclass(frozen=True, slots=True)
class Opinion:
    """Of one reviewer. `answer` is None where it gave none, for the reason `why`; `asked` is how often in vain."""

    reviewer: str
    answer: ReviewAnswer | None
    why: str = ""
    usage: Usage = Usage()
    evidence: tuple[Evidence, ...] = ()
    retry_at: float = 0.0
    permanent: bool = False
    asked: int = 0
    quota: bool = False  # a limit of its provider, which is waited for and is no try
    ended: bool = False  # before it answered, since it could change nothing any more


@dataclass(frozen=True, slots=True)
class Silent:
    """Who gave no answer in a try, and how often it was asked until then."""

    reviewer: str
    asked: int
    why: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answered:
    """An opinion that was given in the try `number`, of all the tries."""

    number: int
    said: ReviewDecision  # journals of released versions have it by this name
    findings: tuple[Finding, ...]
    usage: Usage
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class _Try:
    """One that decided nothing. `number` begins with 1 anew where a person let the run go on."""

    number: int
    silent: tuple[Silent, ...]


class KeptOpinions:
    """Of one gate on one candidate, as it is when the try begins."""

    def __init__(self, journal: Journal, request: GateRequest) -> None:
        self._journal = journal
        self._request = request
        self._subject = (request.run, str(request.subject), request.gate.digest, request.commit)
        self._tries = list(self._recalled())

    def answer_of(self, asked: AnswerRequirements) -> Opinion | None:
        """What it used counts once: in the try that asked it. None where nothing was kept that can be read."""
        text = self._journal.recall(_ANSWER, digest_of(*self._subject, asked))
        try:
            kept = object_reader(_Answered)(json.loads(text or "null"))
        except (ValueError, TypeError, KeyError):
            return None
        usage = kept.usage if kept.number == self._now else Usage(0, 0, 0, 0.0)
        return Opinion(asked.reviewer, ReviewAnswer(kept.said, kept.findings), "", usage, kept.evidence)

    def silence_of(self, reviewer: str) -> Silent | None:
        """In the try before this one, unless a person came in between."""
        if self._request.number == 1 or not self._tries:
            return None
        return next((silent for silent in self._tries[-1].silent if silent.reviewer == reviewer), None)

    def keep_answer(self, asked: AnswerRequirements, opinion: Opinion) -> None:
        assert opinion.answer is not None
        said, findings = opinion.answer.decision, opinion.answer.findings
        answered = _Answered(self._now, said, findings, opinion.usage, opinion.evidence)
        text = json.dumps(object_writer(_Answered)(answered))
        self._journal.remember(_ANSWER, digest_of(*self._subject, asked), text)

    def keep_try(self, opinions: list[Opinion]) -> None:
        """Once nothing was decided."""
        silent = tuple(Silent(one.reviewer, one.asked, one.why, one.evidence) for one in opinions if one.answer is None)
        text = json.dumps(object_writer(_Try)(_Try(self._request.number, silent)))
        self._journal.remember(_TRY, self._key(self._now), text)

    @property
    def _now(self) -> int:
        return len(self._tries) + 1

    def _key(self, number: int) -> str:
        return digest_of(*self._subject, number)

    def _recalled(self) -> Iterator[_Try]:
        for number in range(1, _TRIES_MAX):
            text = self._journal.recall(_TRY, self._key(number))
            if text is None:
                return
            yield object_reader(_Try)(json.loads(text))


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
    if any(answer.decision is ReviewDecision.ESCALATE for answer in answers):
        return True
    refusals = sum(answer.decision is not ReviewDecision.APPROVE for answer in answers)
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
    if any(answer.decision is ReviewDecision.ESCALATE for answer in answers):
        return VerdictStatus.FAILED
    approvals = sum(answer.decision is ReviewDecision.APPROVE for answer in answers)
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
        if answer.decision is ReviewDecision.ESCALATE:
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
