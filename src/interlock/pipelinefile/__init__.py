"""The pipeline file: read, checked, built, printed. Rule: the only package that knows YAML, pydantic and templates.

Importing it is cheap: what reads YAML, validates or fills templates is imported when it is first called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from interlock.pipelinefile.codec import decode_pipeline, encode_pipeline
from interlock.pipelinefile.load import (
    Loaded,
    find_pipelines,
    load_pipeline,
    locate_pipeline,
    require_confined,
    require_runnable,
)
from interlock.pipelinefile.mistakes import InvalidPipeline, Level, Mistake

if TYPE_CHECKING:
    from interlock.pipelinefile.export import json_schema, resolved_yaml
    from interlock.pipelinefile.templates import render

__all__ = [
    "InvalidPipeline",
    "Level",
    "Loaded",
    "Mistake",
    "decode_pipeline",
    "encode_pipeline",
    "find_pipelines",
    "json_schema",
    "load_pipeline",
    "locate_pipeline",
    "render",
    "require_confined",
    "require_runnable",
    "resolved_yaml",
]

_LAZY = {"json_schema": "export", "render": "templates", "resolved_yaml": "export"}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
