"""Runs as OpenTelemetry: exported, and sent to a collector on loopback while they go on."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.contract.cli_world import World, new_world

from interlock.telemetry import lacking, traces, wanted

DOCS = Path(__file__).resolve().parents[2] / "docs" / "telemetry.md"
_PIPELINE = """\
version: 1
name: shop
agents:
  own:
    use: command
    run: |
      echo '{"tokens_in": 10, "tokens_out": 5, "cost_usd": 0.25}' > "$INTERLOCK_USAGE"
      if grep -q rejected $BRIEF; then echo right; else echo wrong; fi > app.txt
stages:
  code:
    agent: own
    gates:
      - {id: right, run: "grep -q right app.txt"}
"""


class Collector:
    """Keeps what is sent to it; `hangs` never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.released = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    raise AssertionError("not asked for")
                if hangs:
                    collector.released.wait(60)
                if self.path.endswith("/traces"):
                    collector.traces.append(ExportTraceServiceRequest.FromString(body))
                else:
                    collector.metrics.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def spans(self):
        return [
            span for sent in self.traces for one in sent.resource_spans for s in one.scope_spans for span in s.spans
        ]

    def points(self):
        for sent in self.metrics:
            for one in sent.resource_metrics:
                for scope in one.scope_metrics:
                    for metric in scope.metrics:
                        yield from (
                            (metric.name, point) for point in (*metric.sum.data_points, *metric.histogram.data_points)
                        )

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path / "w", {"interlock.yaml": _PIPELINE})


def spans_of(out: str) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = json.loads(out)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    return spans


def parsed(out: str) -> ExportTraceServiceRequest:
    """OTLP's JSON writes ids in hexadecimal, where protobuf's would have base64."""

    def in_base64(found: re.Match[str]) -> str:
        return f'"{found[1]}": "{base64.b64encode(bytes.fromhex(found[2])).decode()}"'

    return Parse(re.sub(r'"(\w+Id)": "([0-9a-f]+)"', in_base64, out), ExportTraceServiceRequest())


def assert_legal_ids(spans: Iterable[Span]) -> None:
    """As the specification of OTLP has them: 16 and 8 bytes, not all zero; a parent may be missing."""
    for span in spans:
        assert (len(span.trace_id), len(span.span_id)) == (16, 8)
        assert len(span.parent_span_id) in (0, 8)
        assert all(any(one) for one in (span.trace_id, span.span_id, span.parent_span_id or b"1"))


def told(attributes) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def test_a_run_is_exported_as_otlp_and_the_same_each_time(world: World) -> None:
    world.ask("run", "-t", "Make it right.", "--plain").ended(0)
    first = world.ask("export", "--format", "otlp").ended(0)
    assert world.ask("export", "--format", "otlp").out == first.out
    sent = parsed(first.out)
    [scope] = sent.resource_spans[0].scope_spans
    run, *others = scope.spans
    view = world.show()
    assert told(run.attributes)[traces.RUN] == view["id"]
    assert told(run.attributes)[traces.RUN_RESULT] == "success"
    assert run.status.code == 1
    attempts = [span for span in others if span.parent_span_id == run.span_id]
    assert [told(span.attributes)[traces.ATTEMPT_RESULT] for span in attempts] == ["rejected", "accepted"]
    assert told(attempts[0].attributes)[traces.TOKENS_IN] == 10
    gates = [span for span in others if span.parent_span_id == attempts[0].span_id]
    assert [told(span.attributes)[traces.VERDICT] for span in gates] == ["passed", "failed"]
    assert len({span.span_id for span in scope.spans}) == len(scope.spans)
    assert_legal_ids(scope.spans)
    ids = [value for span in spans_of(first.out) for name, value in span.items() if name.endswith("Id")]
    assert all(re.fullmatch("(?!0+$)([0-9a-f]{32}|[0-9a-f]{16})", one) for one in ids if one)
    assert {span["traceId"] for span in spans_of(first.out)} == {run.trace_id.hex()}
    for span in scope.spans:
        assert run.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano


def test_what_goes_on_says_so(world: World) -> None:
    waits = _PIPELINE.replace('grep -q right app.txt"}', 'grep -q right app.txt"}\n      - {id: look, approve: Good?}')
    world.commit({"interlock.yaml": waits})
    world.ask("run", "-t", "Make it right.", "--plain").ended(3)
    sent = parsed(world.ask("export", "--format", "otlp").out)
    spans = sent.resource_spans[0].scope_spans[0].spans
    assert [told(span.attributes).get(traces.OPEN, False) for span in spans if span.name[:3] in ("run", "att")] == [
        True,
        False,
        True,
    ]
    assert spans[0].status.code == 0


def test_spans_and_metrics_come_live_and_agree_with_the_export(world: World, collector: Collector) -> None:
    world.ask("run", "-t", "Make it right.", "--plain", OTEL_EXPORTER_OTLP_ENDPOINT=collector.base).ended(0)
    exported = parsed(world.ask("export", "--format", "otlp").out)
    wanted_spans = {one.span_id: one for one in exported.resource_spans[0].scope_spans[0].spans}
    sent = {one.span_id: one for one in collector.spans()}
    assert_legal_ids(sent.values())
    assert {one.trace_id for one in sent.values()} == {one.trace_id for one in wanted_spans.values()}
    assert sent.keys() == wanted_spans.keys()
    for key, one in sent.items():
        assert (one.name, told(one.attributes)) == (wanted_spans[key].name, told(wanted_spans[key].attributes))
        assert one.start_time_unix_nano == wanted_spans[key].start_time_unix_nano
    points = list(collector.points())
    newest = {(name, json.dumps(told(point.attributes), sort_keys=True)): point for name, point in points}
    sums = {}
    for (name, _), point in newest.items():
        if name != traces.ATTEMPT_DURATION:
            sums[name] = sums.get(name, 0) + (point.as_double or point.as_int)
    assert sums == {traces.ATTEMPTS: 2, traces.VERDICTS: 4, traces.TOKENS: 30, traces.COSTS: 0.5}
    for _, point in points:
        assert not traces.ON_SPANS_ALONE & set(told(point.attributes))
        assert world.show()["id"] not in str(point.attributes)


@pytest.mark.parametrize("how", ["dead", "hanging"])
def test_a_collector_that_is_away_holds_no_run_up(world: World, how: str) -> None:
    hanging = Collector(hangs=True)
    base = hanging.base if how == "hanging" else "http://127.0.0.1:1"
    try:
        began = time.monotonic()
        world.ask("run", "-t", "Make it right.", "--plain").ended(0)
        alone = time.monotonic() - began
        began = time.monotonic()
        said = world.ask("run", "-t", "Make it right.", "--plain", OTEL_EXPORTER_OTLP_ENDPOINT=base).ended(0)
        assert time.monotonic() - began < 10 * alone + 20  # a hang would be 60 s
        assert "Traceback" not in said.text
    finally:
        hanging.close()


def test_without_the_extra_it_is_said() -> None:
    assert not wanted({})
    assert not wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"})
    assert wanted({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x"})
    assert lacking({}) == ""


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.telemetry.live._is_installed", lambda: False)
    assert "interlock[otel]" in lacking({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})


def test_the_page_has_every_name() -> None:
    listed = set(re.findall(r"^\| `([^`]+)` \|", DOCS.read_text(), re.MULTILINE))
    ours = {value for name, value in vars(traces).items() if name.isupper() and isinstance(value, str)}
    assert listed == ours - {traces.SCOPE}
