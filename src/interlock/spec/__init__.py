"""The pipeline file: read, checked, built, shown. Rule: the only package that knows YAML, pydantic and templates."""

from __future__ import annotations

from interlock.spec.codec import decode_pipeline, encode_pipeline
from interlock.spec.find import find_pipelines, locate_pipeline
from interlock.spec.load import Loaded, load_pipeline, require_runnable
from interlock.spec.mistakes import InvalidPipeline, Level, Mistake

__all__ = [
    "InvalidPipeline",
    "Level",
    "Loaded",
    "Mistake",
    "decode_pipeline",
    "encode_pipeline",
    "find_pipelines",
    "load_pipeline",
    "locate_pipeline",
    "require_runnable",
]
