"""Agents: what does an attempt's work.

Rule: an adapter reports how its program ended and what it says it used, as a claim (`Outcome`), and judges
nothing. A crash is reported as a crash: that it counts as infrastructure where nothing was changed, and as a
candidate like any other where something was, is decided by the execution, which alone sees the change.
"""

from interlock.agents.registry import adapters

__all__ = ["adapters"]
