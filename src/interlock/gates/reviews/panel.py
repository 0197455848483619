"""A panel of reviewers: agents read the candidate and say approve, revise or escalate.

Rule: only what passed every hard gate is reviewed, and no review overrules a hard gate. Each reviewer works alone in a
checkout that is thrown away and holds no instruction files for agents. A reviewer without an answer that matches the
schema is not counted; it is asked ASKED_MAX times in all until a person lets the run go on. Enough approvals pass; if
even the missing answers could not bring them about, the gate fails; an escalation fails it whatever the others say. If
the others cannot decide, nothing is decided. Answers are kept in the cache, so that a crash pays no reviewer twice. A
reviewer who can no longer let the candidate through is not waited for.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.conventions.judge_files import AGENT_FILES
from interlock.core.codec import object_reader, object_writer
from interlock.core.events import Evidence, Finding, Usage, VerdictStatus
from interlock.core.pipeline import AgentSpec
from interlock.gates.cache import digest_of
from interlock.gates.kinds import options_of
from interlock.gates.kinds.review import Review
from interlock.gates.referee import GateContext
from interlock.gates.reviews.answers import (
    ASKED_MAX,
    AnswerRequirements,
    NoAnswer,
    Opinion,
    Refused,
    ReviewAnswer,
    ReviewDecision,
    is_settled,
    judgement_of,
    read,
    refused,
    schema,
    total,
)
from interlock.gates.reviews.questions import ask_again, earlier_of, mark_of, question, requirements
from interlock.ports import (
    Brief,
    Cache,
    Cancel,
    Cancelled,
    Checkout,
    CheckoutSpec,
    Ended,
    GateRequest,
    Judgement,
    Outcome,
    secrets_of,
)
from interlock.process import checkout_environment
from interlock.text.globs import matches_any

_POLL_S = 0.1
_NOTHING = Usage(0, 0, 0, 0.0)
_FAILED = frozenset({Ended.CRASHED, Ended.TIMED_OUT, Ended.OVER_LIMIT, Ended.REFUSED})  # it was asked and failed


def asked_panel(context: GateContext, request: GateRequest, review: Review, cancel: Cancel) -> Judgement:
    """The judgement of the reviewers. Raises Cancelled and InfrastructureError."""
    wanted = requirements(context, request, review)
    kept = KeptOpinions(context.cache, request)
    settled = _Either(cancel)
    opinions: dict[str, Opinion] = {}
    with ThreadPoolExecutor(len(review.by)) as pool:
        required = [
            AnswerRequirements(name, earlier_of(request, name), wanted, mark_of(request, name)) for name in review.by
        ]
        given = [pool.submit(_opinion, context, request, kept, one, settled) for one in required]
        for one in as_completed(given):
            opinions[one.result().reviewer] = one.result()
            if is_settled(review, list(opinions.values())):
                settled.set()
    if cancel.is_set():
        raise Cancelled(f"{request.stage.id}/{request.gate.id}: no longer wanted")
    inorder = [opinions[name] for name in review.by]
    judgement = judgement_of(review, inorder)
    if judgement.status is VerdictStatus.ERRORED:
        kept.keep_try(inorder)
    return judgement


class _Either:
    """Set if the gate is cancelled, or if the remaining reviewers are no longer needed."""

    def __init__(self, outer: Cancel) -> None:
        self._outer = outer
        self._own = threading.Event()

    def set(self) -> None:
        self._own.set()

    def is_set(self) -> bool:
        return self._own.is_set() or self._outer.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        until = time.monotonic() + timeout if timeout is not None else math.inf
        while not self.is_set() and (remaining := until - time.monotonic()) > 0:
            self._own.wait(min(remaining, _POLL_S))
        return self.is_set()


# --- one reviewer -----------------------------------------------------------------------------------


def _opinion(
    context: GateContext, request: GateRequest, kept: KeptOpinions, required: AnswerRequirements, cancel: Cancel
) -> Opinion:
    """Its opinion, now or from an earlier try. Without an answer if the gate was cancelled."""
    answered = kept.answer_of(required)
    if answered is not None:
        return answered
    before = kept.silence_of(required.reviewer)
    if before is not None and before.asked >= ASKED_MAX:
        silent = Opinion(required.reviewer, None, before.why, _NOTHING, before.evidence, asked=before.asked)
        return replace(silent, refused=kept.refused_of(required))
    if cancel.is_set():
        return Opinion(required.reviewer, None, usage=_NOTHING, ended=True)
    try:
        opinion = _ask(_Asking(context, request, kept, required), before.asked if before else 0, cancel)
    except Cancelled:
        return Opinion(required.reviewer, None, ended=True)
    opinion = replace(opinion, refused=kept.refused_of(required))
    if opinion.answer is not None:
        kept.keep_answer(required, opinion)
    return opinion


@dataclass(frozen=True, slots=True)
class _Asking:
    """All that asking one reviewer needs."""

    context: GateContext
    request: GateRequest
    kept: KeptOpinions
    required: AnswerRequirements


def _ask(asking: _Asking, times: int, cancel: Cancel) -> Opinion:
    """Ask until there is an answer. It was already asked `times` times. The usage is that of all tries."""
    context, request, required = asking.context, asking.request, asking.required
    text = first = question(context, request, options_of(request.gate, Review), required)
    usages: list[Usage] = []
    evidence: list[Evidence] = []
    while True:
        outcome, kept = _ask_once(context, request, required, text, cancel)
        usages.append(outcome.usage)
        evidence += kept
        silent = Opinion(required.reviewer, None, "", total(usages), tuple(evidence))
        if outcome.ended is Ended.CANCELLED:
            return replace(silent, ended=True)
        if outcome.ended is not Ended.COMPLETED:
            times += outcome.ended in _FAILED
            why = f"{outcome.ended}: {outcome.message}"
            quota = outcome.ended is Ended.RATE_LIMITED
            silent = replace(silent, why=why, retry_at=outcome.retry_at, permanent=outcome.permanent, asked=times)
            return replace(silent, quota=quota)
        try:
            answer = read(outcome.answer or outcome.message, required)
        except NoAnswer as error:
            times += 1
            asking.kept.keep_refused(required, refused(outcome.answer or outcome.message, str(error)))
            if times >= ASKED_MAX:
                return replace(silent, why=f"no valid JSON answer in {times} tries: {error}", asked=times)
            text = ask_again(first, str(error))
            continue
        return replace(silent, answer=answer)


def _ask_once(
    context: GateContext, request: GateRequest, required: AnswerRequirements, text: str, cancel: Cancel
) -> tuple[Outcome, list[Evidence]]:
    """One run of the reviewer's program in a checkout of its own, and its evidence."""
    spec = request.pipeline.agent(required.reviewer)
    with context.workspaces.clean_checkout(
        request.commit, request.input_commit, CheckoutSpec(sandbox=request.sandbox_spec)
    ) as checkout:
        remove_instructions(checkout.tree)
        if checkout.sandbox.level == "none":
            _write_protect(checkout.tree)
        brief = replace(_brief(context, request, spec, checkout), text=text, answer_schema=schema(required.mark))
        outcome = context.agents[spec.use].work(spec, brief, checkout, cancel)
        return outcome, _evidence(context, required.reviewer, outcome)


def _brief(context: GateContext, request: GateRequest, spec: AgentSpec, checkout: Checkout) -> Brief:
    return Brief(
        run=request.run,
        attempt=request.subject,
        text="",
        task=request.values.get("TASK", ""),
        model=spec.model,
        env=_environment(context, request, spec, checkout),
        timeout_s=request.gate.timeout_s,
        idle_timeout_s=request.stage.idle_timeout_s,
        hosts=spec.hosts,
        secrets=tuple(value for _, value in secrets_of(request.pipeline, context.environ, context.agents)),
    )


def _environment(context: GateContext, request: GateRequest, spec: AgentSpec, checkout: Checkout) -> Mapping[str, str]:
    allowed = (*request.gate.env, *request.gate.secrets, *spec.env, *spec.secrets)
    return checkout_environment(context.environ, checkout, allowed, {"TASK": request.values.get("TASK", "")})


def _write_protect(tree: Path) -> None:
    """Files only, as a hint for the reviewer: the checkout is thrown away in any case. In a sandbox nothing else can be
    written, and a new mode would copy each file of an overlay."""
    for path in tree.rglob("*"):
        if ".git" not in path.parts and path.is_file() and not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


def _evidence(context: GateContext, reviewer: str, outcome: Outcome) -> list[Evidence]:
    content = (outcome.answer or outcome.message).encode("utf-8", "replace")
    kept = [Evidence(f"{reviewer}.answer", context.blobs.put(content), len(content))] if content else []
    if outcome.log is not None:
        kept.append(Evidence(f"{reviewer}.log", *context.blobs.put_file(outcome.log)))
    return kept


def remove_instructions(tree: Path) -> None:
    """Remove instruction files for agents from a new checkout."""
    globs = tuple(glob.lower() for glob in AGENT_FILES)
    for folder, folders, files in os.walk(tree):
        below = os.path.relpath(folder, tree)
        for name in (*folders, *files):
            path = os.path.normpath(os.path.join(below, name)).lower()  # noqa: PTH118 - one string per file
            if matches_any(globs, path) or matches_any(globs, f"{path}/x"):
                _remove(Path(folder, name))
        folders[:] = [name for name in folders if name != ".git" and os.path.lexists(Path(folder, name))]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


_ANSWER = "review/1"
_TRY = "review-try/1"
_REFUSED = "review-refused/1"
_TRIES_MAX = 1_000  # of one gate on one candidate, over all resumes


@dataclass(frozen=True, slots=True)
class Silent:
    """A reviewer without an answer in a try, and how often it was asked until then."""

    reviewer: str
    asked: int
    why: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer that was given in the try `number`."""

    number: int
    said: ReviewDecision  # journals of released versions have it by this name
    findings: tuple[Finding, ...]
    usage: Usage
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class _Try:
    """A try that decided nothing. `number` starts again with 1 after a person resumed the run."""

    number: int
    silent: tuple[Silent, ...]


class KeptOpinions:
    """What the cache keeps of one gate on one candidate, as it is at the start of the try."""

    def __init__(self, cache: Cache, request: GateRequest) -> None:
        self._cache = cache
        self._request = request
        self._subject = (request.run, str(request.subject), request.gate.digest, request.commit)
        self._tries = list(self._recalled())

    def answer_of(self, required: AnswerRequirements) -> Opinion | None:
        """The kept answer; None if there is none that can be read. Its usage counts only in the try that asked for
        it."""
        text = self._cache.recall(_ANSWER, digest_of(*self._subject, required))
        try:
            kept = object_reader(_Answered)(json.loads(text or "null"))
        except (ValueError, TypeError, KeyError):
            return None
        usage = kept.usage if kept.number == self._now else Usage(0, 0, 0, 0.0)
        answer = ReviewAnswer(kept.said, kept.findings)
        return Opinion(required.reviewer, answer, "", usage, kept.evidence, refused=self.refused_of(required))

    def silence_of(self, reviewer: str) -> Silent | None:
        """Whether it gave no answer in the last try, unless a person resumed the run since then."""
        if self._request.number == 1 or not self._tries:
            return None
        return next((silent for silent in self._tries[-1].silent if silent.reviewer == reviewer), None)

    def refused_of(self, required: AnswerRequirements) -> tuple[Refused, ...]:
        """All that was refused, in every try: it is told even if a person resumed the run or a process ended."""
        found: list[Refused] = []
        while len(found) < _TRIES_MAX:
            text = self._cache.recall(_REFUSED, digest_of(*self._subject, required, len(found)))
            if text is None:
                break
            found.append(object_reader(Refused)(json.loads(text)))
        return tuple(found)

    def keep_refused(self, required: AnswerRequirements, one: Refused) -> None:
        text = json.dumps(object_writer(Refused)(one))
        key = digest_of(*self._subject, required, len(self.refused_of(required)))
        self._cache.remember(_REFUSED, key, text)

    def keep_answer(self, required: AnswerRequirements, opinion: Opinion) -> None:
        assert opinion.answer is not None
        decision, findings = opinion.answer.decision, opinion.answer.findings
        answered = _Answered(self._now, decision, findings, opinion.usage, opinion.evidence)
        text = json.dumps(object_writer(_Answered)(answered))
        self._cache.remember(_ANSWER, digest_of(*self._subject, required), text)

    def keep_try(self, opinions: list[Opinion]) -> None:
        """Keep a try that decided nothing."""
        silent = tuple(Silent(one.reviewer, one.asked, one.why, one.evidence) for one in opinions if one.answer is None)
        text = json.dumps(object_writer(_Try)(_Try(self._request.number, silent)))
        self._cache.remember(_TRY, self._key(self._now), text)

    @property
    def _now(self) -> int:
        return len(self._tries) + 1

    def _key(self, number: int) -> str:
        return digest_of(*self._subject, number)

    def _recalled(self) -> Iterator[_Try]:
        for number in range(1, _TRIES_MAX):
            text = self._cache.recall(_TRY, self._key(number))
            if text is None:
                return
            yield object_reader(_Try)(json.loads(text))
