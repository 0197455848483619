"""The spans of a run: one for the run, below it one for each attempt, below that one for each verdict. Pure.

Rule: the same history gives the same ids, so what is sent twice is one thing. A verdict begins where the one before it
ended: no more is known of when its gate was asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from interlock import __version__
from interlock.core.events import Usage, VerdictStatus
from interlock.core.history import AttemptPhase, AttemptView, VerdictView
from interlock.core.views import RunPhase, RunView
from interlock.telemetry import names

Value = str | int | float | bool
_OVER = (RunPhase.ACCEPTED, RunPhase.CANCELLED, RunPhase.STOPPED)
_GOES_ON = (AttemptPhase.WORKING, AttemptPhase.JUDGING)
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
        return names.OPEN in self.attributes


def spans(view: RunView) -> Iterator[Span]:
    """The run's own first. What goes on still ends at the newest event, and says so."""
    over = view.phase in _OVER
    known: dict[str, Value] = {names.PIPELINE: view.pipeline, names.RUN: view.id}
    told = {**known, **({names.RUN_RESULT: _RESULTS[view.phase]} if over else {names.OPEN: True})}
    if view.commit:
        told[names.COMMIT] = view.commit
    status = ("ok" if view.phase is RunPhase.ACCEPTED else "error") if over else "unset"
    root = _id(view.id, "")
    trace = sha256(f"run {view.id}".encode()).hexdigest()[:32]
    yield Span(trace, root, "", f"run {view.pipeline}", view.started_at, view.at, status, told)
    for stage in view.stages:
        for attempt in stage.attempts:
            yield from _of_attempt(view, trace, root, attempt)


def _of_attempt(view: RunView, trace: str, root: str, attempt: AttemptView) -> Iterator[Span]:
    goes_on = attempt.phase in _GOES_ON
    last = max([attempt.ended_at, *(item.at for item in attempt.verdicts)])
    end = view.at if goes_on else max(last, attempt.started_at)
    told: dict[str, Value] = {
        names.PIPELINE: view.pipeline, names.RUN: view.id, names.STAGE: attempt.id.stage,
        names.ATTEMPT: str(attempt.id), **_used(attempt.usage),
    }  # fmt: skip
    told |= {names.OPEN: True} if goes_on else {names.ATTEMPT_RESULT: attempt.phase.value}
    optional: dict[str, Value] = {
        names.AGENT: attempt.agent, names.MODEL: attempt.model, names.COMMIT: attempt.commit, names.TREE: attempt.tree,
        names.OVERRIDDEN: bool(attempt.override_by), names.CACHED: attempt.cached,
    }  # fmt: skip
    told |= {name: value for name, value in optional.items() if value}
    status = "unset" if goes_on else "ok" if attempt.phase is AttemptPhase.ACCEPTED else "error"
    own = _id(view.id, str(attempt.id))
    yield Span(trace, own, root, f"attempt {attempt.id.stage}", attempt.started_at, end, status, told)
    before = attempt.ended_at or attempt.started_at
    for item in sorted(attempt.verdicts, key=lambda one: one.at):
        yield _of_verdict(view, trace, own, item, before)
        before = max(before, item.at)


def _of_verdict(view: RunView, trace: str, parent: str, item: VerdictView, before: float) -> Span:
    said = item.verdict
    told: dict[str, Value] = {
        names.PIPELINE: view.pipeline, names.RUN: view.id, names.STAGE: said.subject.stage,
        names.ATTEMPT: str(said.subject), names.GATE: said.gate, names.VERDICT: said.status.value,
        names.FINDINGS: len(said.findings), **_used(said.usage),
    }  # fmt: skip
    if said.cached:
        told[names.CACHED] = True
    own = _id(view.id, f"{said.subject} {said.gate} {said.number}")
    status = "ok" if said.status is VerdictStatus.PASSED else "error"
    return Span(trace, own, parent, f"gate {said.gate}", min(before, item.at), item.at, status, told)


def _used(usage: Usage) -> dict[str, Value]:
    known = {names.TOKENS_IN: usage.tokens_in, names.TOKENS_OUT: usage.tokens_out, names.COST: usage.cost_usd}
    return {name: value for name, value in known.items() if value is not None}


def _id(run: str, what: str) -> str:
    return sha256(f"span {run} {what}".encode()).hexdigest()[:16]


# --- OTLP ----------------------------------------------------------------------------------------


def otlp(made: Iterator[Span]) -> str:
    """An ExportTraceServiceRequest in OTLP's JSON, with a line break at its end."""
    scope = {"scope": {"name": names.SCOPE, "version": __version__}, "spans": [_json(span) for span in made]}
    resource = {"attributes": [_attribute(names.SERVICE, "interlock")]}
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
