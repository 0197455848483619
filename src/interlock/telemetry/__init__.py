"""Runs as OpenTelemetry: spans of a run, exported or sent while it runs, and metrics.

Rule: it observes, and decides nothing.
"""

from interlock.telemetry.live import Telemetry, lacking, wanted
from interlock.telemetry.traces import Span, otlp, spans

__all__ = ["Span", "Telemetry", "lacking", "otlp", "spans", "wanted"]
