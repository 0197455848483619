"""Which run a word means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from interlock.ports import UsageError

_NEWEST = re.compile(r"@(?:-(\d{1,6}))?")
_SHOWN_MAX = 10


def in_order(begun: Sequence[str], lost: Sequence[str]) -> list[str]:
    """Oldest first. The journal knows in which order runs were begun; a lost one stands where its id, which begins
    with the time, puts it."""
    placed = list(begun)
    for run in sorted(lost):
        at = next((at for at, other in enumerate(placed) if other > run), len(placed))
        placed.insert(at, run)
    return placed


def run_named(runs: Sequence[str], name: str) -> str:
    """Of `runs`, oldest first: `@` is the newest, `@-1` the one before; else an id, or a beginning or an end of one
    that no other has. Raises UsageError."""
    if match := _NEWEST.fullmatch(name):
        return _newest(runs, name, int(match[1] or 0))
    found = (
        [run for run in runs if run == name]
        or [run for run in runs if run.startswith(name)]
        or [run for run in runs if run.endswith(name)]
    )
    if not found:
        raise UsageError(f"no run {name} in this repository: `interlock list` shows those there are")
    if len(found) > 1:
        raise UsageError(f"{name} is the name of {len(found)} runs: {candidates(found)}: say more of it")
    return found[0]


def candidates(runs: Sequence[str]) -> str:
    """Of `runs`, oldest first, the newest."""
    shown = ", ".join(reversed(runs[-_SHOWN_MAX:]))
    return f"{shown}, ..." if len(runs) > _SHOWN_MAX else shown


def _newest(runs: Sequence[str], name: str, back: int) -> str:
    if not runs:
        raise UsageError("no runs in this repository yet: `interlock run -p PIPELINE TASK` starts one")
    if back >= len(runs):
        raise UsageError(f"{name}: there is no such run: the oldest is {runs[0]}, or @-{len(runs) - 1}")
    return runs[-1 - back]
