"""The review gate: agents read the candidate and say approve, revise or escalate.

Rule: it is asked only of what passed every hard gate, and overrules none. Each reviewer works alone in a checkout
that is thrown away and holds no instruction files for agents. Who gives no answer of the asked shape counts for
nobody; where the others cannot decide without it, nothing is decided. What was answered is kept, so that a crash
pays no reviewer twice.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.core.codec import object_reader, object_writer
from interlock.core.events import Evidence, Finding, Severity, Usage, VerdictStatus
from interlock.core.pipeline import AgentSpec, Review
from interlock.gates.bench import Bench
from interlock.gates.caching import digest_of
from interlock.gates.reviews.answers import Answer, Asked, NoAnswer, Said, read, schema
from interlock.gates.reviews.asking import again, earlier_of, mark_of, question, requirements
from interlock.gates.reviews.instructions import remove_instructions
from interlock.ports import Brief, Cancel, Cancelled, Case, Ended, Judgement, Outcome, Place, Room
from interlock.process import scrubbed

ASKED_MAX = 3  # times, until an answer has the asked shape
_KEPT = "review/1"


@dataclass(frozen=True, slots=True)
class _Opinion:
    """Of one reviewer. `answer` is None where it gave none, for the reason `why`."""

    reviewer: str
    answer: Answer | None
    why: str = ""
    usage: Usage = Usage()
    evidence: tuple[Evidence, ...] = ()
    retry_at: float = 0.0
    permanent: bool = False
    quota: bool = False


def judge(bench: Bench, case: Case, cancel: Cancel) -> Judgement:
    """What the reviewers come to. Raises Cancelled, and InfrastructureError for the machine."""
    review = case.gate.review
    assert review is not None
    wanted = requirements(bench, case, review)
    with ThreadPoolExecutor(len(review.by)) as pool:
        asked = [Asked(name, earlier_of(case, name), wanted, mark_of(case, name)) for name in review.by]
        opinions = list(pool.map(lambda one: _opinion(bench, case, review, one, cancel), asked))
    if cancel.is_set():
        raise Cancelled(f"{case.stage.id}/{case.gate.id}: no longer wanted")
    return _together(review, opinions)


# --- what several opinions come to ------------------------------------------------------------------


def _together(review: Review, opinions: Sequence[_Opinion]) -> Judgement:
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
        usage=_sum(opinion.usage for opinion in opinions),
        retry_at=max((opinion.retry_at for opinion in silent), default=0.0),
        permanent=bool(silent) and all(opinion.permanent for opinion in silent),
        quota=bool(silent) and all(opinion.quota for opinion in silent),
    )


def _status(review: Review, opinions: Sequence[_Opinion]) -> VerdictStatus:
    """Enough approvals pass; where even the silent ones could not bring them about, it fails."""
    answers = [opinion.answer for opinion in opinions if opinion.answer is not None]
    if any(answer.said is Said.ESCALATE for answer in answers):
        return VerdictStatus.FAILED
    approvals = sum(answer.said is Said.APPROVE for answer in answers)
    if approvals >= review.approvals:
        return VerdictStatus.PASSED
    silent = len(opinions) - len(answers)
    return VerdictStatus.ERRORED if approvals + silent >= review.approvals else VerdictStatus.FAILED


def _counted(opinion: _Opinion, status: VerdictStatus) -> Iterable[Finding]:
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


def _silence(opinion: _Opinion) -> Finding:
    return Finding(opinion.reviewer, f"gave no verdict: {opinion.why}")


def _sum(usages: Iterable[Usage]) -> Usage:
    """Of all of them: tokens as far as they are known, and a cost where all of it is."""
    every = list(usages)
    return Usage(
        _total([usage.tokens_in for usage in every]),
        _total([usage.tokens_out for usage in every]),
        _total([usage.tokens_cached for usage in every]),
        _cost([usage.cost_usd for usage in every]),
    )


def _total(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _cost(amounts: Sequence[float | None]) -> float | None:
    return None if None in amounts else sum(amount for amount in amounts if amount is not None)


# --- one reviewer -----------------------------------------------------------------------------------


def _opinion(bench: Bench, case: Case, review: Review, asked: Asked, cancel: Cancel) -> _Opinion:
    key = digest_of(case.run, str(case.subject), case.gate.digest, case.commit, asked)
    kept = _recalled(bench.journal.recall(_KEPT, key), asked, case.number)
    if kept is not None:
        return kept
    opinion = _asked(bench, case, review, asked, cancel)
    if opinion.answer is not None:
        bench.journal.remember(_KEPT, key, _kept(opinion, case.number))
    return opinion


def _asked(bench: Bench, case: Case, review: Review, asked: Asked, cancel: Cancel) -> _Opinion:
    """Ask until there is an answer, ASKED_MAX times at most. What all the tries used counts."""
    text = first = question(bench, case, review, asked)
    usages: list[Usage] = []
    evidence: list[Evidence] = []
    why = ""
    for _ in range(ASKED_MAX):
        outcome, kept = _once(bench, case, asked, text, cancel)
        usages.append(outcome.usage)
        evidence += kept
        if outcome.ended is not Ended.COMPLETED:
            why = f"{outcome.ended}: {outcome.message}"
            break
        try:
            answer = read(outcome.answer or outcome.message, asked)
        except NoAnswer as error:
            why = f"its answer has not the asked shape ({error})"
            text = again(first, str(error))
            continue
        return _Opinion(asked.reviewer, answer, "", _sum(usages), tuple(evidence))
    quota = outcome.ended is Ended.RATE_LIMITED
    parts = (_sum(usages), tuple(evidence), outcome.retry_at, outcome.permanent, quota)
    return _Opinion(asked.reviewer, None, why, *parts)


def _once(bench: Bench, case: Case, asked: Asked, text: str, cancel: Cancel) -> tuple[Outcome, list[Evidence]]:
    """One run of the reviewer's program in a checkout of its own, and what is kept of it."""
    spec = case.pipeline.agent(asked.reviewer)
    with bench.workspaces.clean_room(case.commit, case.input_commit, Room()) as place:
        remove_instructions(place.tree)
        _write_protect(place.tree)
        brief = replace(_brief(bench, case, spec, place), text=text, answer_schema=schema(asked.mark))
        outcome = bench.agents[spec.use].work(spec, brief, place, cancel)
        return outcome, _evidence(bench, asked.reviewer, outcome)


def _brief(bench: Bench, case: Case, spec: AgentSpec, place: Place) -> Brief:
    return Brief(
        run=case.run,
        attempt=case.subject,
        text="",
        task=case.values.get("TASK", ""),
        model=spec.model,
        env=_environment(bench, case, spec, place),
        timeout_s=case.gate.timeout_s,
        idle_timeout_s=case.stage.idle_timeout_s,
        secrets=tuple(bench.environ.get(name, "") for name in (*case.gate.secrets, *spec.secrets)),
    )


def _environment(bench: Bench, case: Case, spec: AgentSpec, place: Place) -> Mapping[str, str]:
    allowed = (*case.gate.env, *case.gate.secrets, *spec.env, *spec.secrets)
    own = {"HOME": str(place.home), "TMPDIR": str(place.tmp), "TASK": case.values.get("TASK", "")}
    return {**scrubbed(bench.environ, allowed), **dict(place.env), **own}


def _write_protect(tree: Path) -> None:
    """Files only, as a sign to the reviewer: the checkout is thrown away whatever it does."""
    for path in tree.rglob("*"):
        if ".git" not in path.parts and path.is_file() and not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


def _evidence(bench: Bench, reviewer: str, outcome: Outcome) -> list[Evidence]:
    said = (outcome.answer or outcome.message).encode("utf-8", "replace")
    kept = [Evidence(f"{reviewer}.answer", bench.blobs.put(said), len(said))] if said else []
    if outcome.log is not None:
        kept.append(Evidence(f"{reviewer}.log", *bench.blobs.put_file(outcome.log)))
    return kept


# --- kept -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kept:
    """An opinion that was given in the try `number`."""

    number: int
    said: Said
    findings: tuple[Finding, ...]
    usage: Usage
    evidence: tuple[Evidence, ...]


def _kept(opinion: _Opinion, number: int) -> str:
    assert opinion.answer is not None
    answer = opinion.answer
    kept = _Kept(number, answer.said, answer.findings, opinion.usage, opinion.evidence)
    return json.dumps(object_writer(_Kept)(kept))


def _recalled(text: str | None, asked: Asked, number: int) -> _Opinion | None:
    """What it used counts once: in the try that asked it. None where nothing was kept that can be read."""
    try:
        kept = object_reader(_Kept)(json.loads(text or "null"))
    except (ValueError, TypeError, KeyError):
        return None
    usage = kept.usage if kept.number == number else Usage(0, 0, 0, 0.0)
    return _Opinion(asked.reviewer, Answer(kept.said, kept.findings), "", usage, kept.evidence)
