"""Test files that grew between two commits, for who does not judge."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.conventions.protected_changes import grew, may_grow
from interlock.core.pipeline import Pipeline, Stage
from interlock.ports import Change, UsageError, Workspaces

_FILE_MAX = 10_000_000


def only_grew(
    workspaces: Workspaces, commits: tuple[str, str], change: Change, pipeline: Pipeline, stages: Sequence[Stage]
) -> bool:
    """Whether it is a test file that one of the stages may add to, with all that it had. `commits`: old and new."""
    if change.status != "M" or change.old_mode != change.new_mode:
        return False
    if not any(may_grow(pipeline, stage, change.path) for stage in stages):
        return False
    try:
        old, new = (workspaces.read(commit, change.path, _FILE_MAX) for commit in commits)
    except UsageError:
        return False
    return old is not None and new is not None and grew(change.path, old, new)
