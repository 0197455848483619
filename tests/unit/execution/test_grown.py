"""Test files that only grew, as seen by who continues with a workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.execution.recorder import Port

from interlock.core import pipeline as model
from interlock.core.pipeline import CommandLine, Gate, GateKind, Pipeline, Scope, Stage
from interlock.execution.grown import only_grew
from interlock.ports import Change, UsageError

GATE = Gate("old", GateKind.RUN, CommandLine(("pytest",)), tests=model.Tests.BASE, used="python.test")
ADDS = Stage("tests", scope=Scope(adds=("tests/**",)), gates=(GATE,))
OTHER = Stage("other")
PIPELINE = Pipeline("p", (OTHER, ADDS))
CHANGE = Change("tests/test_a.py", "M", "100644", "100644")
OLD = b"def test_a():\n    pass\n"
NEW = OLD + b"\n\ndef test_b():\n    pass\n"


@pytest.mark.parametrize(
    ("change", "stages", "contents", "grown"),
    [
        (CHANGE, (ADDS,), [OLD, NEW], True),
        (CHANGE, (OTHER, ADDS), [OLD, NEW], True),
        (CHANGE, (OTHER,), [OLD, NEW], False),
        (CHANGE, (ADDS,), [NEW, OLD], False),
        (replace(CHANGE, status="T"), (ADDS,), [OLD, NEW], False),
        (replace(CHANGE, new_mode="100755"), (ADDS,), [OLD, NEW], False),
        (replace(CHANGE, path="src/a.py"), (ADDS,), [OLD, NEW], False),
        (CHANGE, (ADDS,), [None, NEW], False),
        (CHANGE, (ADDS,), [OLD, None], False),
        (CHANGE, (ADDS,), [UsageError("too large")], False),
        (CHANGE, (ADDS,), [OLD, UsageError("too large")], False),
    ],
)
def test_a_test_file_that_a_stage_may_add_to_may_grow(
    change: Change, stages: tuple[Stage, ...], contents: list[Any], grown: bool
) -> None:
    calls: list[tuple[Any, ...]] = []
    workspaces: Any = Port(calls, read=contents)
    assert only_grew(workspaces, ("old", "new"), change, PIPELINE, stages) is grown
    if grown:
        assert [call[:3] for call in calls] == [("read", commit, CHANGE.path) for commit in ("old", "new")]
