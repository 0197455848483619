"""Spans and metrics of a run that this process drives, for the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.

Rule: a run never fails because of it and waits for it at its end only, for two seconds at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, assert_never

from interlock.core.events import (
    AnswerTaken,
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Delivered,
    DeliveryBegun,
    EffectErrored,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    Recorded,
    Refused,
    RunFinished,
    RunStarted,
    SentBack,
    StageSkipped,
    TimeReached,
    Usage,
    VerdictGiven,
    WhenHeld,
)
from interlock.core.ids import AttemptId
from interlock.ports import started
from interlock.readmodel.run import RunView
from interlock.telemetry import traces
from interlock.telemetry.traces import Span, nanoseconds, spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

CLOSE_S = 2.0
_SEND_S = 1.5
_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)  # fmt: skip
_NEEDED = "opentelemetry.exporter.otlp.proto.http"


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the user named a collector, and did not switch the SDK off."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not off and any(environ.get(name) for name in _ENDPOINTS)


def lacking(environ: Mapping[str, str]) -> str:
    """What to tell a user who named a collector and has no SDK; empty where nothing is lacking."""
    if not wanted(environ) or _is_installed():
        return ""
    return "nothing is sent to the OpenTelemetry collector: the extra is missing: pip install 'interlock[otel]'"


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Observes the runs of one repository. `view` gives the state of a run."""

    view: Callable[[str], RunView]

    def attend(self, run: str) -> TelemetryObserver:
        made = TelemetryObserver(run, self.view)
        started(made.thread)
        return made


@dataclass(slots=True)
class TelemetryObserver:
    """Observes one run. A span is sent once it has ended."""

    run: str
    view: Callable[[str], RunView]
    heard: list[Recorded] = field(default_factory=list)
    wake: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    sent: set[str] = field(default_factory=set)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._work, name="telemetry", daemon=True)

    def hear(self, record: Recorded) -> None:
        self.heard.append(record)
        self.wake.set()

    def close(self) -> None:
        self.closing.set()
        self.wake.set()
        if self.thread.is_alive():
            self.thread.join(CLOSE_S)

    def _work(self) -> None:
        with suppress(Exception):  # no error of the collector is an error of the run
            exporter, metrics = _Exporter(), _Metrics()
            while not self.closing.is_set():
                self.wake.wait()
                self.wake.clear()
                time.sleep(0.05)  # so that events that come together are sent together
                self._send(exporter, metrics)
            self._send(exporter, metrics)
            metrics.close()

    def _send(self, exporter: _Exporter, metrics: _Metrics) -> None:
        records, self.heard = self.heard, []
        view = self.view(self.run)
        made = [span for span in spans(view) if not span.is_open and span.id not in self.sent]
        if made and exporter.send(made):
            self.sent.update(span.id for span in made)
        for record in records:
            metrics.count(view, record)


class _Exporter:
    """Exports spans with the ids that they have in `traces`."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        self._exporter = OTLPSpanExporter(timeout=_SEND_S)
        self._resource = _resource()

    def send(self, made: list[Span]) -> bool:
        from opentelemetry.sdk.trace.export import SpanExportResult

        return self._exporter.export([self._readable(span) for span in made]) is SpanExportResult.SUCCESS

    def _readable(self, span: Span) -> ReadableSpan:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

        def context(one: str) -> SpanContext:
            flags = TraceFlags(TraceFlags.SAMPLED)
            return SpanContext(int(span.trace, 16), int(one, 16), is_remote=False, trace_flags=flags)

        return ReadableSpan(
            span.name,
            context=context(span.id),
            parent=context(span.parent) if span.parent else None,
            resource=self._resource,
            attributes=dict(span.attributes),
            status=Status(StatusCode[span.status.upper()]),
            start_time=nanoseconds(span.start),
            end_time=nanoseconds(span.end),
            instrumentation_scope=InstrumentationScope(traces.SCOPE),
        )


class _Metrics:
    """Counts what happens while this process drives the run."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(timeout=_SEND_S), export_timeout_millis=_SEND_S * 1000
        )
        self._provider = MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)
        meter = self._provider.get_meter(traces.SCOPE)
        self._attempts = meter.create_counter(traces.ATTEMPTS, "{attempt}", "attempts whose work ended")
        self._duration = meter.create_histogram(traces.ATTEMPT_DURATION, "s", "how long an attempt worked")
        self._verdicts = meter.create_counter(traces.VERDICTS, "{verdict}", "verdicts of gates")
        self._tokens = meter.create_counter(traces.TOKENS, "{token}", "tokens that agents told")
        self._cost = meter.create_counter(traces.COSTS, "{USD}", "dollars that agents told")

    def count(self, view: RunView, record: Recorded) -> None:
        match record.event:
            case CandidateProduced() as event:
                self._attempt(view, event.attempt, event.outcome or "completed", record.at, event.usage)
            case AttemptErrored() as event:
                self._attempt(view, event.attempt, "errored", record.at, event.usage)
            case AttemptLost() as event:
                self._attempt(view, event.attempt, "lost", record.at, Usage())
            case VerdictGiven() as event if event.subject.number:  # 0 is an input, which is no attempt
                labels = _labels(view, event.subject)
                attributes = {**labels, traces.GATE: event.gate, traces.VERDICT: event.status.value}
                self._verdicts.add(1, attributes)
                self._used(event.usage, labels)
            case (
                RunStarted() | OwnerChanged() | InputPrepared() | StageSkipped() | WhenHeld() | AttemptStarted()
                | VerdictGiven() | ApprovalAsked() | HandoffAccepted() | CandidateRejected() | SentBack()
                | Paused() | AnswerTaken() | Refused() | TimeReached() | EffectErrored() | DeliveryBegun()
                | Delivered() | RunFinished()
            ):  # fmt: skip
                pass
            case _:
                assert_never(record.event)

    def close(self) -> None:
        self._provider.force_flush(_SEND_S * 1000)

    def _attempt(self, view: RunView, attempt: AttemptId, result: str, at: float, usage: Usage) -> None:
        seen = view.attempt(attempt)
        labels = _labels(view, attempt)
        if seen.agent:
            labels[traces.AGENT] = seen.agent
        attributes = {**labels, traces.ATTEMPT_RESULT: str(result)}
        self._attempts.add(1, attributes)
        self._duration.record(max(0.0, at - seen.started_at), attributes)
        self._used(usage, labels)

    def _used(self, usage: Usage, labels: dict[str, str]) -> None:
        for kind, number in (("input", usage.tokens_in), ("output", usage.tokens_out)):
            if number:
                self._tokens.add(number, {**labels, traces.TOKEN_TYPE: kind})
        if usage.cost_usd:
            self._cost.add(usage.cost_usd, labels)


def _labels(view: RunView, attempt: AttemptId) -> dict[str, str]:
    return {traces.PIPELINE: view.pipeline, traces.STAGE: attempt.stage}


def _resource() -> Any:  # noqa: ANN401 - of the SDK, which may be missing
    from opentelemetry.sdk.resources import Resource

    return Resource.create({traces.SERVICE: "interlock"})


def _is_installed() -> bool:
    try:
        return find_spec(_NEEDED) is not None
    except ModuleNotFoundError:
        return False
