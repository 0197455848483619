"""Runs as OpenTelemetry: spans of a run, exported or sent while it goes on, and metrics. Rule: it only looks on."""

from interlock.telemetry.live import Telemetry, lacking, wanted
from interlock.telemetry.spans import Span, otlp, spans

__all__ = ["Span", "Telemetry", "lacking", "otlp", "spans", "wanted"]
