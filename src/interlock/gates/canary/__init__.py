"""A test that must fail, added to each run of the tests: what changes the runner's answers changes its answer too.

Rule: it is named anew in each run and looks like any other test; it must be reported as failed, and is then taken out
of what is compared. What it was called stands in the last line of the kept report: ours, and no candidate's.
"""

from interlock.gates.canary.planting import MustFail, Planted, Words, plant
from interlock.gates.canary.shown import (
    CanaryResult,
    added_to,
    is_end_of,
    marked,
    own_tests,
    rides,
    shown,
    without_lines,
)

__all__ = [
    "CanaryResult",
    "MustFail",
    "Planted",
    "Words",
    "added_to",
    "is_end_of",
    "marked",
    "own_tests",
    "plant",
    "rides",
    "shown",
    "without_lines",
]
