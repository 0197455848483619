"""The spans of a run: one for the run, below it one for each attempt, below that one for each verdict. Pure.

Rule: every name that leaves us stands here: OpenTelemetry's own if there is one, else below `interlock.`. The name of a
single run or attempt is on spans alone, never on metrics. The same history gives the same ids, so what is sent twice is
one span. A verdict begins where the one before it ended, since the history does not tell when its gate was asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from interlock import __version__
from interlock.core.events import Usage, VerdictStatus
from interlock.readmodel.history import AttemptPhase, AttemptView, VerdictView
from interlock.readmodel.run import OVER, RunPhase, RunView

SERVICE = "service.name"
SCOPE = "interlock"

# On spans.
RUN = "cicd.pipeline.run.id"
ATTEMPT = "cicd.pipeline.task.run.id"
COMMIT = "interlock.commit"
TREE = "interlock.tree"
OPEN = "interlock.open"  # not ended yet: its end is the newest event
OVERRIDDEN = "interlock.overridden"
FINDINGS = "interlock.findings"
CACHED = "interlock.cached"

# On spans and metrics.
PIPELINE = "cicd.pipeline.name"
RUN_RESULT = "cicd.pipeline.result"
STAGE = "cicd.pipeline.task.name"
ATTEMPT_RESULT = "cicd.pipeline.task.run.result"
GATE = "interlock.gate"
VERDICT = "interlock.verdict"
AGENT = "gen_ai.agent.name"
MODEL = "gen_ai.request.model"
TOKENS_IN = "gen_ai.usage.input_tokens"
TOKENS_OUT = "gen_ai.usage.output_tokens"
COST = "interlock.cost_usd"
TOKEN_TYPE = "gen_ai.token.type"

# Metrics.
ATTEMPTS = "interlock.attempts"
ATTEMPT_DURATION = "interlock.attempt.duration"  # seconds
VERDICTS = "interlock.verdicts"
TOKENS = "interlock.tokens"
COSTS = "interlock.cost"  # dollars

ON_SPANS_ALONE = frozenset({RUN, ATTEMPT, COMMIT, TREE})

Value = str | int | float | bool
_OPEN = (AttemptPhase.WORKING, AttemptPhase.JUDGING)
_RESULTS = {RunPhase.ACCEPTED: "success", RunPhase.CANCELLED: "cancellation", RunPhase.STOPPED: "failure"}
_STATUS = {"unset": 0, "ok": 1, "error": 2}


@dataclass(frozen=True, slots=True)
class Span:
    """Ids are lower-case hex (32 and 16 digits), times unix seconds. `status` is ok, error or unset."""

    trace: str
    id: str
    parent: str
    name: str
    start: float
    end: float
    status: str
    attributes: Mapping[str, Value]

    @property
    def is_open(self) -> bool:
        return OPEN in self.attributes


def spans(view: RunView) -> Iterator[Span]:
    """The span of the run first. A span of what has not ended ends at the newest event and has the attribute OPEN."""
    over = view.phase in OVER
    values: dict[str, Value] = {PIPELINE: view.pipeline, RUN: view.id}
    attributes = {**values, **({RUN_RESULT: _RESULTS[view.phase]} if over else {OPEN: True})}
    if view.commit:
        attributes[COMMIT] = view.commit
    status = ("ok" if view.phase is RunPhase.ACCEPTED else "error") if over else "unset"
    root = _id(view.id, "")
    trace = sha256(f"run {view.id}".encode()).hexdigest()[:32]
    yield Span(trace, root, "", f"run {view.pipeline}", view.started_at, view.at, status, attributes)
    for stage in view.stages:
        for attempt in stage.attempts:
            yield from _of_attempt(view, trace, root, attempt)


def _of_attempt(view: RunView, trace: str, root: str, attempt: AttemptView) -> Iterator[Span]:
    is_open = attempt.phase in _OPEN
    last = max([attempt.ended_at, *(item.at for item in attempt.verdicts)])
    end = view.at if is_open else max(last, attempt.started_at)
    attributes: dict[str, Value] = {
        PIPELINE: view.pipeline, RUN: view.id, STAGE: attempt.id.stage,
        ATTEMPT: str(attempt.id), **_used(attempt.usage),
    }  # fmt: skip
    attributes |= {OPEN: True} if is_open else {ATTEMPT_RESULT: attempt.phase.value}
    optional: dict[str, Value] = {
        AGENT: attempt.agent, MODEL: attempt.model, COMMIT: attempt.commit, TREE: attempt.tree,
        OVERRIDDEN: bool(attempt.override_by), CACHED: attempt.cached,
    }  # fmt: skip
    attributes |= {name: value for name, value in optional.items() if value}
    status = "unset" if is_open else "ok" if attempt.phase is AttemptPhase.ACCEPTED else "error"
    own = _id(view.id, str(attempt.id))
    yield Span(trace, own, root, f"attempt {attempt.id.stage}", attempt.started_at, end, status, attributes)
    before = attempt.ended_at or attempt.started_at
    for item in sorted(attempt.verdicts, key=lambda one: one.at):
        yield _of_verdict(view, trace, own, item, before)
        before = max(before, item.at)


def _of_verdict(view: RunView, trace: str, parent: str, item: VerdictView, before: float) -> Span:
    verdict = item.verdict
    attributes: dict[str, Value] = {
        PIPELINE: view.pipeline, RUN: view.id, STAGE: verdict.subject.stage,
        ATTEMPT: str(verdict.subject), GATE: verdict.gate, VERDICT: verdict.status.value,
        FINDINGS: len(verdict.findings), **_used(verdict.usage),
    }  # fmt: skip
    if verdict.cached:
        attributes[CACHED] = True
    own = _id(view.id, f"{verdict.subject} {verdict.gate} {verdict.number}")
    status = "ok" if verdict.status is VerdictStatus.PASSED else "error"
    return Span(trace, own, parent, f"gate {verdict.gate}", min(before, item.at), item.at, status, attributes)


def _used(usage: Usage) -> dict[str, Value]:
    values = {TOKENS_IN: usage.tokens_in, TOKENS_OUT: usage.tokens_out, COST: usage.cost_usd}
    return {name: value for name, value in values.items() if value is not None}


def _id(run: str, what: str) -> str:
    return sha256(f"span {run} {what}".encode()).hexdigest()[:16]


# --- OTLP ----------------------------------------------------------------------------------------


def otlp(made: Iterator[Span]) -> str:
    """An ExportTraceServiceRequest in OTLP's JSON, with a line break at its end."""
    scope = {"scope": {"name": SCOPE, "version": __version__}, "spans": [_json(span) for span in made]}
    resource = {"attributes": [_attribute(SERVICE, "interlock")]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}, indent=2) + "\n"


def nanoseconds(at: float) -> int:
    return round(at * 1_000_000) * 1_000


def _json(span: Span) -> dict[str, object]:
    parent = {"parentSpanId": span.parent} if span.parent else {}
    return {
        "traceId": span.trace,
        "spanId": span.id,
        **parent,
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": str(nanoseconds(span.start)),
        "endTimeUnixNano": str(nanoseconds(span.end)),
        "attributes": [_attribute(name, value) for name, value in span.attributes.items()],
        "status": {"code": _STATUS[span.status]},
    }


def _attribute(name: str, value: Value) -> dict[str, object]:
    match value:
        case bool():
            return {"key": name, "value": {"boolValue": value}}
        case int():
            return {"key": name, "value": {"intValue": str(value)}}
        case float():
            return {"key": name, "value": {"doubleValue": value}}
        case _:
            return {"key": name, "value": {"stringValue": value.encode("utf-8", "replace").decode()}}
