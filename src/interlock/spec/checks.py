"""The rules."""

from __future__ import annotations

from interlock.core.pipeline import Pipeline
from interlock.spec.build import Draft


def check(draft: Draft, pipeline: Pipeline) -> None: ...
