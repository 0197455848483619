"""Agents: what does the work of an attempt.

Rule: an adapter reports how its program ended and what it used, as a claim (`Outcome`), and judges nothing. It reports
a crash as a crash. The execution, which alone sees the change, decides what a crash counts as: infrastructure if
nothing was changed, else a candidate like any other.
"""

from interlock.agents.registry import adapters

__all__ = ["adapters"]
