"""The answers of reviewers: their schema, reading one, and the verdict of several.

Rule: reading is strict. Prose, two answers, a wrong type, an unknown id, a rejection without a finding: none of these
is an answer, and the text of `NoAnswer` tells the reviewer what was wrong. Enough approvals pass; an escalation fails
the gate whatever the others say; a missing answer decides nothing, unless it cannot change the verdict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, cast

from interlock.core.events import Evidence, Finding, Severity, Usage, VerdictStatus
from interlock.core.feedback import ASKED_AGAIN
from interlock.core.pipeline import Text
from interlock.gates import documents
from interlock.gates.kinds.review import Review
from interlock.ports import Judgement

ASKED_MAX = 3  # tries of a reviewer until an answer matches the schema
ANSWER_MAX = 200_000  # characters
REASONS = ("code", "design", "plan", "requirement")
_SEVERITIES = {str(severity): severity for severity in Severity} | {  # words with one meaning; `major` has several
    **dict.fromkeys(("critical", "blocker", "blocking", "fatal"), Severity.ERROR),
    "warn": Severity.WARNING,
    **dict.fromkeys(("info", "information", "informational", "nit", "nitpick", "suggestion", "hint"), Severity.NOTE),
}
_SAID = re.compile(r'"(?:verdict|decision)"\s*:\s*"(\w{1,20})"')
_WHY_MAX = 300  # characters


class ReviewDecision(StrEnum):
    APPROVE = "approve"
    REVISE = "revise"
    ESCALATE = "escalate"


class NoAnswer(Exception):
    """It is no valid answer. The text tells the reviewer why."""


@dataclass(frozen=True, slots=True)
class ReviewAnswer:
    decision: ReviewDecision
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is no valid answer: the verdicts that stand in it, and what was wrong."""

    said: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class AnswerRequirements:
    """What an answer must cover: `earlier` findings by number from 1, and requirements by their ids.

    `mark` distinguishes an answer to this question from one that is quoted in the work under review.
    """

    reviewer: str
    earlier: tuple[Finding, ...] = ()
    requirements: tuple[str, ...] = ()
    mark: str = ""


def schema(mark: str = "", *, any_severity: bool = False) -> str:
    """JSON Schema of an answer. No other keys, and each key required, as providers of structured output want it.
    `any_severity`: other words for a severity are read, too."""
    finding = _object(
        file={"type": "string", "description": "path in the repository, or empty"},
        line={"type": "integer", "minimum": 0, "description": "from 1; 0 if it is not about a line"},
        severity={"type": "string"} if any_severity else {"enum": [str(severity) for severity in Severity]},
        reason={"enum": list(REASONS), "description": "what is wrong: the code itself, or what it was made from"},
        message={"type": "string", "minLength": 1, "maxLength": 4_000},
    )
    earlier = _object(
        id={"type": "string"},
        status={"enum": ["answered", "open", "reversed"], "description": "reversed: you now ask for the opposite"},
    )
    requirement = _object(
        id={"type": "string"},
        status={"enum": ["kept", "changed", "lost"]},
        evidence={"type": "string", "maxLength": 2_000, "description": "file and line, or what is missing"},
    )
    marked = {MARK: {"enum": [mark], "description": "copy it: it shows that this is your answer"}} if mark else {}
    answer = _object(
        **marked,
        verdict={"enum": [str(decision) for decision in ReviewDecision]},
        findings={"type": "array", "maxItems": 100, "items": finding},
        earlier={"type": "array", "maxItems": 100, "items": earlier},
        requirements={"type": "array", "maxItems": 500, "items": requirement},
    )
    return json.dumps(answer)


def read(text: str, required: AnswerRequirements) -> ReviewAnswer:
    """The answer in the last message of a reviewer. Raises NoAnswer."""
    answer = _document(text, required.mark)
    decision = ReviewDecision(answer["verdict"])
    findings = [
        *(_finding(required, number, item) for number, item in enumerate(answer["findings"], 1)),
        *_earlier(required, answer["earlier"]),
        *_requirements(required, answer["requirements"]),
    ]
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if decision is ReviewDecision.REVISE and not errors:
        raise NoAnswer("`revise` needs at least one finding of severity error that says what to change")
    if decision is ReviewDecision.ESCALATE and not findings:
        raise NoAnswer("`escalate` needs a finding that says what a person must decide")
    if decision is ReviewDecision.APPROVE and errors:
        raise NoAnswer("`approve` contradicts an error finding or a lost requirement: correct the answer")
    return ReviewAnswer(decision, tuple(findings))


def refused(text: str, why: str) -> Refused:
    """What is kept of a text for which `read` raised NoAnswer."""
    said = dict.fromkeys(word.lower() for word in _SAID.findall(text[-ANSWER_MAX:]))
    return Refused(tuple(said)[:5], why[:_WHY_MAX])


def _document(text: str, mark: str) -> dict[str, Any]:
    """The one answer in the text that matches the schema."""
    if len(text) > ANSWER_MAX:
        raise NoAnswer(f"{len(text)} characters, but at most {ANSWER_MAX} are allowed")
    try:
        content = final_object(text, mark)
    except NoFinal as error:
        raise NoAnswer(str(error)) from error
    wanted = mark if f'"{MARK}"' in content else ""  # a text that contains nothing but the answer may omit it
    shape = Text(schema(wanted, any_severity=True))
    wrong = [
        f"line {line}: {message}" for line, message in documents.mistakes(shape, content.encode("utf-8", "replace"))
    ]
    if wrong:
        raise NoAnswer("; ".join(wrong[:5]))
    return cast(dict[str, Any], json.loads(content))


def _finding(required: AnswerRequirements, number: int, item: dict[str, Any]) -> Finding:
    severity = _SEVERITIES.get(item["severity"].strip().lower())
    if severity is None:
        known = ", ".join(Severity)
        raise NoAnswer(f"finding {number}: severity must be one of {known}, and it is {item['severity'][:40]!r}")
    return Finding(required.reviewer, item["message"], severity, item["file"], item["line"], reason=item["reason"])


def _earlier(required: AnswerRequirements, items: Sequence[dict[str, Any]]) -> Iterable[Finding]:
    """An open finding is repeated with its first text, so that repetition without progress is noticed."""
    status = _by_id("earlier", [str(number) for number in range(1, len(required.earlier) + 1)], items)
    for number, finding in enumerate(required.earlier, 1):
        state = status[str(number)]["status"]
        if state == "open":
            yield finding
        elif state == "reversed":
            yield Finding(required.reviewer, f"now asks for the opposite: {finding.message}", reason="escalate")


def _requirements(required: AnswerRequirements, items: Sequence[dict[str, Any]]) -> Iterable[Finding]:
    status = _by_id("requirements", required.requirements, items)
    for name in required.requirements:
        item = status[name]
        message = f"{name} is {item['status']}: {item['evidence'] or 'no evidence given'}"
        if item["status"] == "lost":
            yield Finding(required.reviewer, message, reason="requirement")
        elif item["status"] == "changed":
            yield Finding(required.reviewer, message, Severity.WARNING, reason="requirement")


def _by_id(key: str, wanted: Sequence[str], items: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    status = {str(item["id"]): item for item in items}
    if set(status) != set(wanted) or len(status) != len(items):
        raise NoAnswer(f"`{key}` must have exactly these ids, each once: {', '.join(wanted) or 'none'}")
    return status


def _object(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


ASKED = "answer with one JSON object and nothing else"
MARK = "mark"
_OPENING = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})[ \t]*(.*)")
_LANGUAGES = ("", "json")


class NoFinal(Exception):
    """There is no answer, or more than one. The text says why."""


@dataclass(frozen=True, slots=True)
class _Last:
    """The last block of a text, without the fence around it, and the text before it."""

    before: str
    body: str


def final_object(text: str, mark: str) -> str:
    """The text of the JSON object that is the answer; it is not validated here. Raises NoFinal.

    `mark` is the mark of the question. If it is empty, only a text that is the object and nothing else counts.
    """
    last = _last(text.replace("\r\n", "\n").removeprefix("\ufeff").strip())
    if not last.body.startswith("{"):
        raise NoFinal(f"it does not end with a JSON object: {ASKED}")
    if not last.before:
        return last.body
    marked = re.compile(rf'"{MARK}"\s*:\s*"{re.escape(mark)}"')
    if not mark or not marked.search(last.body):
        wanted = f', with "{MARK}": "{mark}" in it' if mark else ""
        raise NoFinal(f"there is text before the object, so it may be a quotation: {ASKED}{wanted}")
    if marked.search(last.before):
        raise NoFinal(f"there are two answers: {ASKED}")
    return last.body


def _last(text: str) -> _Last:
    """The fenced block that ends the text, or the text after the last block, from its first line with a brace."""
    lines = text.split("\n")
    blocks = _blocks(lines)
    if blocks and blocks[-1][1] == len(lines) - 1:
        start, end = blocks[-1]
        opened = _OPENING.fullmatch(lines[start])
        if opened is None or opened[2].strip().lower() not in _LANGUAGES:
            return _Last("\n".join(lines[:start]), "")
        return _Last("\n".join(lines[:start]).strip(), "\n".join(lines[start + 1 : end]).strip())
    behind = blocks[-1][1] + 1 if blocks else 0
    start = next((at for at in range(behind, len(lines)) if lines[at].startswith("{")), len(lines))
    return _Last("\n".join(lines[:start]).strip(), "\n".join(lines[start:]))


def _blocks(lines: list[str]) -> list[tuple[int, int]]:
    """The first and last line of each fenced block of CommonMark; a block without an end ends after the text."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(lines):
        opened = _OPENING.fullmatch(lines[at])
        if opened is not None:
            closing = re.compile(rf" {{0,3}}{re.escape(opened[1][0])}{{{len(opened[1])},}}[ \t]*")
            end = next((n for n in range(at + 1, len(lines)) if closing.fullmatch(lines[n])), len(lines))
            found.append((at, end))
            at = end
        at += 1
    return found


# --- what several answers come to --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opinion:
    """The opinion of one reviewer. `answer` is None if it gave none, for the reason `why`; `asked` counts the failed
    tries."""

    reviewer: str
    answer: ReviewAnswer | None
    why: str = ""
    usage: Usage = Usage()
    evidence: tuple[Evidence, ...] = ()
    retry_at: float = 0.0
    permanent: bool = False
    asked: int = 0
    quota: bool = False  # a limit of its provider: the run waits for it, and it is no try
    ended: bool = False  # before it answered, since it could not change the verdict any more
    refused: tuple[Refused, ...] = ()  # its messages before that were no valid answers


def judgement_of(review: Review, opinions: Sequence[Opinion]) -> Judgement:
    status = _status(review, opinions)
    silent = [opinion for opinion in opinions if opinion.answer is None]
    findings = [_silence(opinion) for opinion in silent]
    if status is not VerdictStatus.ERRORED:
        findings = [replace(finding, severity=Severity.NOTE) for finding in findings]
        findings += [finding for opinion in opinions for finding in _counted(opinion, status)]
        findings += [_asked_again(opinion) for opinion in opinions if opinion.refused and opinion.answer is not None]
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
    """Whether the candidate fails whatever the remaining reviewers answer. Approvals never settle it: a remaining
    reviewer may escalate."""
    answers = [opinion.answer for opinion in opinions if opinion.answer is not None]
    if any(answer.decision is ReviewDecision.ESCALATE for answer in answers):
        return True
    refusals = sum(answer.decision is not ReviewDecision.APPROVE for answer in answers)
    return len(review.by) - refusals < review.approvals


def total(usages: Iterable[Usage]) -> Usage:
    """The sum: tokens as far as they are known, and the cost if all costs are known."""
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
    """The findings of an opinion. If the gate passed, an error is only a warning; an escalation asks a person."""
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
        message = "stopped before it answered: its answer could no longer change the verdict"
        return Finding(opinion.reviewer, message)
    objections = _objections(opinion)
    said = f"; it said {objections} in an answer that was refused" if objections else ""
    return Finding(opinion.reviewer, f"the reviewer gave no verdict: {opinion.why}{said}")


def _asked_again(opinion: Opinion) -> Finding:
    """A note for people: only a valid answer counts, but what was refused may have been an objection."""
    whys = "; ".join(dict.fromkeys(refused.why for refused in opinion.refused))
    objections = _objections(opinion)
    decision = opinion.answer.decision if opinion.answer is not None else ""
    said = f"{decision}, after {objections} in an answer that was refused; " if objections else ""
    message = f"{opinion.reviewer}: {said}asked {len(opinion.refused) + 1} times; refused before: {whys}"
    return Finding(ASKED_AGAIN, message, Severity.NOTE)


def _objections(opinion: Opinion) -> str:
    """The verdicts in its refused answers that do not approve."""
    said = dict.fromkeys(word for refused in opinion.refused for word in refused.said)
    return " and ".join(word for word in said if not word.startswith("approv"))


def _known(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _cost(amounts: Sequence[float | None]) -> float | None:
    return None if None in amounts else sum(amount for amount in amounts if amount is not None)
